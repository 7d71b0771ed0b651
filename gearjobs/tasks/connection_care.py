"""Database connections around a job: alive before it, and none of its transactions left after it.

Django does the like at a request's start and end. A job can do worse than a request: leave a transaction open, whose
locks the next job would inherit and whose rollback would take that one's work with it; or be interrupted in the middle
of a statement, after which nobody knows what the connection is at. Both connections are closed. One that was in a
transaction before the job (a test's) is left alone. Each thread has connections of its own; this is about the caller's.
"""

from __future__ import annotations

import logging

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger("gearjobs.tasks")


def open_for_job() -> list[str]:
    """Drop what is old; return the aliases that are in a transaction already."""
    were_open: list[str] = []
    # What Django's reset_queries and close_old_connections do, in one go: it is done for every job.
    for connection in connections.all(initialized_only=True):
        connection.queries_log.clear()
        if connection.in_atomic_block:
            were_open.append(connection.alias)
        else:
            connection.close_if_unusable_or_obsolete()
    return were_open


def close_after_job(job: str, *, were_open: list[str], is_interrupted: bool) -> None:
    """Close what the job broke or left in a transaction, and what is too old.

    Args:
        job: its handle, for the log.
        were_open: what `open_for_job` returned.
        is_interrupted: whether an exception was raised in it from outside.
    """
    for connection in connections.all(initialized_only=True):
        if connection.alias in were_open:
            continue
        if connection.in_atomic_block:
            logger.warning("rolled back the transaction that job=%s left open database=%s", job, connection.alias)
            _throw_away(connection)
        elif is_interrupted:
            connection.close()
        else:
            # This also closes one that was taken out of autocommit, which rolls back.
            connection.close_if_unusable_or_obsolete()


def _throw_away(connection: BaseDatabaseWrapper) -> None:
    connection.close()
    # Closed within a transaction, the object remembers it until that one's end, which does not come.
    del connections[connection.alias]
