"""Unfinished rows as the queue takes them in.

The table is open to everybody who can reach the database, so a row may say what no peer could have sent, such as a
handle that cannot travel. Such a row is passed over and named in the log; it must not keep the server from starting. It
stays in the table as it is, for somebody to look at.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterable
from typing import Any, Final

from django.db.models import QuerySet

from gearjobs.core.changes import StoredJob
from gearjobs.core.handles import is_handle
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.models import Job, JobStatus
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.column_values import to_unix_s

logger = logging.getLogger("gearjobs.records")

_FIELDS: Final = (
    "handle", "function", "unique", "payload", "priority", "run_at", "enqueued_at", "attempt", "crashes", "worker_ids",
    "reducer", "status",
)  # fmt: skip


def read_jobs(jobs: QuerySet[Job]) -> list[StoredJob]:
    """Return the rows in the order of acceptance, without those that cannot be jobs."""
    rows = jobs.order_by("enqueued_at", "handle").values(*_FIELDS).iterator(chunk_size=2_000)
    return [job for job in map(_read, rows) if job is not None]


def _read(row: dict[str, Any]) -> StoredJob | None:
    handle = row["handle"].encode("utf-8", "surrogatepass")
    if not is_handle(handle) or not _are_ids(row["worker_ids"]):
        logger.error("pass over job=%r function=%r: such a row is no job of the wire", row["handle"], row["function"])
        return None
    return StoredJob(
        handle=JobHandle(handle),
        function=FunctionName(to_bytes(row["function"])),
        unique=to_bytes(row["unique"]),
        payload=bytes(row["payload"]),
        priority=row["priority"],
        run_at=_unix_s(row["run_at"]),
        accepted_at=_unix_s(row["enqueued_at"]),
        attempt=row["attempt"],
        crashes=row["crashes"],
        worker_ids=row["worker_ids"],
        reducer=to_bytes(row["reducer"]),
        was_running=row["status"] == JobStatus.RUNNING,
    )


def _unix_s(moment: datetime.datetime | None) -> float:
    return 0.0 if moment is None else to_unix_s(moment)


def _are_ids(value: Iterable[object]) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
