"""The command line of the job server and what the process is: options, configuration file, log, daemon, limits.

`options` is the one table; the other files read it, show it, and carry out what it says of the process.
"""
