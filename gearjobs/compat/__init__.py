"""Other libraries' programming interfaces, on gearjobs: what was written for them runs after a change of its import."""
