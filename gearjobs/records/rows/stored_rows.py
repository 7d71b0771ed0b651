"""Unfinished rows as the queue takes them in.

Rows are read in portions that a statement's time limit allows, whatever their payloads. What cannot be a job is set
aside (`poison_rows`): where a portion cannot be read, its rows are read one by one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.db import connections
from django.db.models import QuerySet
from django.db.models.functions import Length

from gearjobs.core.changes import StoredJob
from gearjobs.core.handles import is_handle
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import TermsError, read_terms
from gearjobs.models import Job, JobStatus
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.rows.column_values import to_unix_s
from gearjobs.records.rows.poison_rows import is_unreadable, set_aside

_FIELDS: Final = (
    "handle", "function", "unique", "payload", "priority", "run_at", "enqueued_at", "attempt", "crashes", "worker_ids",
    "reducer", "status", "is_resumable", "terms", "cancel_asked_at", "lost",
)  # fmt: skip
_NUMBERS: Final = ("priority", "attempt", "crashes", "lost")
#: Payloads read by one statement, which any database sends within its limit. A longer one is read alone.
_PORTION_BYTES: Final = 8_388_608
#: Rows read by one statement: below the 999 parameters of the oldest SQLite that Django supports.
_PORTION_ROWS: Final = 500


def read_jobs(jobs: QuerySet[Job], *, owner_gone_s: float = 0.0) -> list[StoredJob]:
    """Return the rows in the order of acceptance; those that cannot be jobs are set aside.

    Args:
        jobs: unfinished rows.
        owner_gone_s: seconds since the server that owned them gave a sign of life.
    """
    found = list_sizes(jobs.order_by("enqueued_at", "handle"))
    return read_sized(jobs.db, found, owner_gone_s=owner_gone_s)


def list_sizes(jobs: QuerySet[Job]) -> list[tuple[str, int]]:
    """Return handles and the lengths of their payloads, for `read_sized`."""
    return list(jobs.values_list("handle", Length("payload")))


def read_sized(alias: str, sizes: Sequence[tuple[str, int]], *, owner_gone_s: float = 0.0) -> list[StoredJob]:
    """Return the unfinished rows of these handles in this order; those that cannot be jobs are set aside."""
    rows = Job.objects.using(alias)
    found: dict[str, StoredJob] = {}
    for handles in _portions(sizes):
        # By handle alone and in no order: the planner might take another index, and look at every job in it.
        jobs = _read_portion(rows.filter(handle__in=handles), owner_gone_s)
        found.update((job.handle.decode("ascii"), job) for job in jobs)
    return [found[handle] for handle, _ in sizes if handle in found]


def _portions(sizes: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    handles: list[str] = []
    payload_bytes = 0
    for handle, length in sizes:
        if handles and (len(handles) == _PORTION_ROWS or payload_bytes + length > _PORTION_BYTES):
            yield handles
            handles, payload_bytes = [], 0
        handles.append(handle)
        payload_bytes += length
    if handles:
        yield handles


def _read_portion(portion: QuerySet[Job], owner_gone_s: float) -> Iterator[StoredJob]:
    vendor = connections[portion.db].vendor
    try:
        rows = list(portion.values(*_FIELDS))
    except Exception as error:
        if not is_unreadable(error, vendor=vendor):
            raise
        rows = list(_read_singly(portion, vendor))
    for row in rows:
        if (reason := _flaw(row)) is not None:
            set_aside(portion.db, row["handle"], reason)
        else:
            yield _job(row, owner_gone_s)


def _read_singly(portion: QuerySet[Job], vendor: str) -> Iterator[dict[str, Any]]:
    for handle in list(portion.values_list("handle", flat=True)):
        try:
            yield from portion.filter(pk=handle).values(*_FIELDS)
        except Exception as error:
            if not is_unreadable(error, vendor=vendor):
                raise
            set_aside(portion.db, handle, f"{type(error).__name__}: {error}")


def _flaw(row: dict[str, Any]) -> str | None:
    """Return why the row cannot be a job, if it cannot."""
    if not is_handle(row["handle"].encode("utf-8", "surrogatepass")):
        return "a handle is 1 to 63 visible ASCII characters"
    if not _are_ids(row["worker_ids"]):
        return f"its workers must be a list of texts, got {row['worker_ids']!r}"
    # SQLite's columns take values of any type.
    if not isinstance(row["payload"], bytes | memoryview):
        return f"its payload must be bytes, got {type(row['payload']).__name__}"
    if not all(isinstance(row[name], int) for name in _NUMBERS):
        return f"{', '.join(_NUMBERS)} must be whole numbers, got {[row[name] for name in _NUMBERS]!r}"
    return _flaw_of_terms(row["terms"])


def _flaw_of_terms(terms: object) -> str | None:
    if not isinstance(terms, dict):
        return f"its terms must be an object, got {terms!r}"
    try:
        read_terms(terms)
    except TermsError as error:
        return str(error)
    return None


def _job(row: dict[str, Any], owner_gone_s: float) -> StoredJob:
    was_running = row["status"] == JobStatus.RUNNING
    return StoredJob(
        handle=JobHandle(row["handle"].encode("ascii")),
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
        was_running=was_running,
        is_resumable=row["is_resumable"],
        owner_gone_s=owner_gone_s if was_running else 0.0,
        terms=read_terms(row["terms"]),
        is_cancel_asked=row["cancel_asked_at"] is not None,
        lost=row["lost"],
    )


def _unix_s(moment: datetime.datetime | None) -> float:
    return 0.0 if moment is None else to_unix_s(moment)


def _are_ids(value: Iterable[object]) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)
