"""The job table as the job server's store, and as everybody's place to read."""
