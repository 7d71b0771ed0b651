"""Jobs that wait for one another: their rows, and how a whole goes on when one of its jobs ends."""
