"""Transactions of clients that look at rows before they change them.

SQLite gives one that has only read a snapshot, and refuses its first write at once ("database is locked") when anybody
committed since, however long the time-out is: a job server does so all the time. So the transaction begins with a write
that meets no row; for that one SQLite waits its turn. On other databases it is one that is run again after a deadlock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from django.db import connections, transaction

from gearjobs.models import Job
from gearjobs.records.sessions.deadlocks import run_again

Answer = TypeVar("Answer")


def in_writing_transaction(alias: str, work: Callable[[], Answer]) -> Answer:
    """Do the work in a transaction that may write after it has read; inside a caller's transaction, in that one.

    Raises:
        django.db.Error: as any write may; then nothing of the work was kept.
    """
    return run_again(connections[alias], partial(_try, alias, work))


def _try(alias: str, work: Callable[[], Answer]) -> Answer:
    with transaction.atomic(using=alias):
        if connections[alias].vendor == "sqlite":
            # No job has an empty handle.
            Job.objects.using(alias).filter(pk="").update(owner="")
        return work()
