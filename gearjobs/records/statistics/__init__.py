"""What jobs did over time: written by servers minute by minute, read for charts, rates and percentiles."""
