"""The rows of caught jobs as a job server's store, on the test's own connection and inside its transaction.

Read and written by the same code as the job server's store, without what a server needs beside others: no session of
its own, no lock, no lease. Rows are owned only while jobs are run, and then let go of, so that a test may roll them
back, change them, or have them run by a real job server.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final

from django.db import connections, transaction

from gearjobs.core.changes import Change, StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.models import Job
from gearjobs.records.failures.fingerprint import Fingerprints
from gearjobs.records.failures.group_counts import count_failures
from gearjobs.records.groups.advance import GroupAdvance
from gearjobs.records.ownership.take_over import TakeOver
from gearjobs.records.rows.attempt_rows import attempt_rows, trim_attempts
from gearjobs.records.rows.batch_fold import BatchFold
from gearjobs.records.rows.column_values import BodyLimit, TimeColumn
from gearjobs.records.rows.output_rows import OutputRows
from gearjobs.records.rows.row_dialects import make_row_sql
from gearjobs.records.sessions.store_session import statement_limit_bytes

#: Each has an `owner` of its own: a job that is being run may have others run.
_numbers: Final = itertools.count(1)
#: Rows adopted at once: more than any test enqueues.
_ALL: Final = 100_000
#: Seconds a statement may take.
_STATEMENT_LIMIT_S: Final = 30.0


class CapturedRows:
    """JobStore on the rows that nobody owns.

    Args:
        alias: the database of the job table.
    """

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._owner = f"gearjobs.testing:{next(_numbers)}"
        self._outputs = OutputRows(alias)
        self._fingerprints = Fingerprints()

    def load(self) -> list[StoredJob]:
        """Return every unfinished job that nobody owns."""
        return self.adopt(_ALL)

    def renew(self) -> float:
        """Return for how long the rows are owned: nobody else is there."""
        return math.inf

    def adopt(self, limit: int) -> list[StoredJob]:
        """Own the rows that nobody owns, and return them."""
        return TakeOver(self._alias, self._owner, lease=None).adopt(limit)

    def commit(self, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        """Write what the changes say."""
        connection = connections[self._alias]
        to_time = TimeColumn(connection)
        limit = BodyLimit(statement_limit_bytes(connection))
        fold = BatchFold(changes, owner=self._owner, to_time=to_time, body_limit=limit, fingerprints=self._fingerprints)
        pieces = self._outputs.rows(fold.streamed, fresh=(), to_time=to_time)
        attempts = attempt_rows(self._alias, fold.attempts(), fresh=(), owner=self._owner, to_time=to_time)
        sql = make_row_sql(connection)
        with transaction.atomic(using=self._alias), connection.cursor() as cursor:
            sql.write(cursor, fold, owner=self._owner, limit_s=_STATEMENT_LIMIT_S)
            sql.write_output(cursor, pieces)
            if attempts:
                sql.write_attempts(cursor, attempts)
                trim_attempts(self._alias, attempts)
            if fold.failures:
                count_failures(self._alias, fold.failures)
            if fold.members:
                GroupAdvance(self._alias).jobs_ended([handle.decode("ascii") for handle in fold.members])
        return {}

    def close(self) -> None:
        """Let go of what is not finished."""
        Job.objects.using(self._alias).filter(owner=self._owner, finished_at=None).update(owner="")
