"""The client that stands in for all others while a test catches its jobs: no byte leaves the process.

Inside a transaction the enqueuing side inserts the job's row by itself, and this client is only nudged. What would have
gone over the wire is inserted here, as a job server would have done; in a test that may not use a database it is kept
in memory. Whatever else would have been asked of a server finds none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, Never

from django.core.exceptions import SynchronousOnlyOperation
from django.db import connections

from gearjobs.client.client import Client
from gearjobs.client.requests import JobRequest, job_request
from gearjobs.client.server_connection import Listener
from gearjobs.core.changes import StoredJob
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import read_terms
from gearjobs.errors import ServerError, ServerUnavailable
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.settings import gearjobs_settings
from gearjobs.stores.memory import MemoryStore
from gearjobs.tasks.late_records import job_queries

#: What Django takes for the database of a project that has none.
_NO_DATABASE: Final = "django.db.backends.dummy"

#: Runs a foreground job at once and returns its result.
RunNow = Callable[[JobRequest], bytes]


class CapturingClient(Client):
    """Keeps every job that is submitted.

    Args:
        run_now: what a foreground job is given to.
        now: unix seconds.
    """

    def __init__(self, run_now: RunNow, *, now: Callable[[], float]) -> None:
        super().__init__()
        #: Jobs of tests that may not use the job table's database.
        self.memory = MemoryStore()
        self._run_now = run_now
        self._now = now

    def submit_all(self, requests: Sequence[JobRequest]) -> list[str | ServerError]:
        """Keep the jobs and return their handles."""
        alias = gearjobs_settings().database
        if may_use_database(alias):
            job_queries.insert_jobs([_new_row(request) for request in requests], using=alias)
        else:
            stored = [_stored(request, self._now()) for request in requests]
            self.memory.unowned.update((job.handle, job) for job in stored)
        return [request.handle.decode("ascii") for request in requests]

    def do(
        self,
        function: str | bytes,
        payload: bytes,
        *,
        unique: str | bytes = b"",
        priority: int = 0,
        timeout_s: float | None = None,
        on_event: Listener | None = None,
    ) -> bytes:
        """Run a foreground job here and now."""
        return self._run_now(job_request(function, payload, unique=unique, priority=priority))

    def adopt_jobs(self) -> bool:
        """Hear that rows were inserted: they are looked for when they are to be run."""
        return True

    def close(self) -> None:
        """Nothing is open."""

    def _talk(self, *_: object, deadline: float = math.inf, **__: object) -> Never:
        raise _no_server()

    def _hand_out(self, *_: object) -> Never:
        raise _no_server()


def _no_server() -> ServerUnavailable:
    return ServerUnavailable("no job server could be reached: this test catches its jobs (gearjobs.testing)")


def may_use_database(alias: str) -> bool:
    """Tell whether the running test may use the job table's database."""
    if connections[alias].settings_dict["ENGINE"] == _NO_DATABASE:
        return False
    try:
        with connections[alias].cursor():
            return True
    # Django forbids it by an AssertionError (SimpleTestCase), pytest-django by a RuntimeError; and any in a coroutine.
    except (AssertionError, RuntimeError, SynchronousOnlyOperation):
        return False


def _new_row(request: JobRequest) -> job_queries.NewJob:
    return job_queries.NewJob(
        request.handle.decode("ascii"),
        request.function,
        request.payload,
        unique=request.unique,
        attributes=request.attributes or SubmitAttributes(priority=request.priority, run_at=request.run_at),
    )


def _stored(request: JobRequest, now: float) -> StoredJob:
    attributes = request.attributes or SubmitAttributes(priority=request.priority, run_at=request.run_at)
    return StoredJob(
        JobHandle(request.handle),
        FunctionName(request.function),
        request.unique,
        request.payload,
        attributes.priority,
        attributes.run_at,
        now,
        terms=read_terms(attributes.terms),
    )
