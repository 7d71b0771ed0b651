"""What an operator does to jobs and workers: one file an action, each checks, does and reports.

The admin, the REST API and the management commands call these and nothing below them, so that who may do what, and
what is said of it, is decided once. A user is asked for their permission; None is whoever may run commands on the site.
"""
