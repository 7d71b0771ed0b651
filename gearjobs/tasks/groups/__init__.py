"""Groups, chains and chords: calls that belong together and wait for one another."""
