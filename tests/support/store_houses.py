"""Where the stores of a test live, and the changes they are given.

A store joins the contract by a `StoreHouse`: how to open it, as a restarted server would, how a client puts a row in
without a server, and how a row comes in that cannot be a job.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connections

from gearjobs.core.changes import Accepted, Finished, Outcome, Started, StoredJob
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.models import Job, JobOutput, JobServer
from gearjobs.records.job_queries import NewJob, insert_jobs
from gearjobs.records.record_store import RecordStore
from gearjobs.stores.base import JobStore
from gearjobs.stores.memory import MemoryStore

ACCEPTED_AT = 1_760_000_000.25

_numbers = itertools.count(1)


@dataclass(frozen=True)
class StoreHouse:
    """Where the stores of one test live."""

    #: Opens the store; what an earlier store of the house committed is in it.
    open: Callable[[], JobStore]
    #: Inserts a job as a client without a server does; None where none can.
    insert: Callable[[JobHandle], None] | None
    #: Django's alias of the database; "" for a store without one.
    alias: str = ""
    #: The entry in DATABASES.
    settings: dict[str, Any] | None = None


def memory_house() -> StoreHouse:
    store = MemoryStore()

    def insert(handle: JobHandle) -> None:
        store.unowned[handle] = StoredJob(handle, FunctionName(b"f"), b"", b"p", 0, 0.0, ACCEPTED_AT)

    return StoreHouse(lambda: store, insert)


def record_house(alias: str, settings: dict[str, Any]) -> StoreHouse:
    """Return a house in a migrated database, without the jobs that earlier tests left there."""
    for model in (JobOutput, Job, JobServer):
        model._default_manager.using(alias).all().delete()
    # The store is to open its own.
    connections[alias].close()
    return StoreHouse(
        lambda: RecordStore(alias, f"server-{next(_numbers)}"),
        lambda handle: insert_jobs([NewJob(handle.decode(), b"f", b"p")], using=alias),
        alias,
        settings,
    )


def new_handle() -> JobHandle:
    return JobHandle(b"H:test:%010d" % next(_numbers))


def accepted(handle: JobHandle, *, payload: bytes = b"p", **others: Any) -> Accepted:
    given = {"priority": 0, "run_at": 0.0, "accepted_at": ACCEPTED_AT, "unique": b"", **others}
    return Accepted(handle, FunctionName(given.pop("function", b"f")), payload=payload, **given)


def started(handle: JobHandle, attempt: int = 1) -> Started:
    return Started(handle, attempt, [f"worker-{number}" for number in range(1, attempt + 1)], ACCEPTED_AT + attempt)


def finished(handle: JobHandle, outcome: Outcome = Outcome.SUCCEEDED, result: bytes = b"result") -> Finished:
    return Finished(handle, outcome, result, ACCEPTED_AT + 9)
