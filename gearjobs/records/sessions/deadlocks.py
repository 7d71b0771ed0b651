"""Transactions that two servers made wait for each other: the database ends one, and it is run again.

Nothing of the ended one was kept, so running it again is safe. Waiting too long for a lock is something else: it has
cost its time already, and is an outage.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper

#: Runs of one transaction at most, and the longest pause before the second; each later one is twice as long.
_TRIES: Final = 6
_PAUSE_S: Final = 0.01
#: PostgreSQL: deadlock_detected and serialization_failure.
_SQLSTATES: Final = {"40P01", "40001"}
#: MySQL and MariaDB: ER_LOCK_DEADLOCK, and ER_CHECKREAD, "record has changed since last read".
_ERROR_NUMBERS: Final = {1213, 1020}

Answer = TypeVar("Answer")


def run_again(connection: BaseDatabaseWrapper, work: Callable[[], Answer]) -> Answer:
    """Do the work of a transaction, again when it met a deadlock.

    Args:
        connection: which the transaction is made on; inside somebody else's transaction nothing is run again.
        work: makes the transaction, from its begin to its commit.
    """
    for number in range(1, _TRIES):
        try:
            return work()
        except OperationalError as error:
            if connection.in_atomic_block or not _is_deadlock(error):
                raise
        time.sleep(random.uniform(0, _PAUSE_S * 2 ** (number - 1)))
    return work()


def _is_deadlock(error: OperationalError) -> bool:
    cause = error.__cause__
    if getattr(cause, "sqlstate", None) in _SQLSTATES:
        return True
    return bool(cause is not None and cause.args and cause.args[0] in _ERROR_NUMBERS)
