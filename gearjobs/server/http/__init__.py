"""What the job server says over HTTP: gearmand's HTTP module, health, metrics.

A request becomes an in-process client of the queue, so nothing here knows how jobs are kept or handed out.
"""
