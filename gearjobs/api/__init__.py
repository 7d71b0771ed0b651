"""The REST API over the job table; only reading, so far."""
