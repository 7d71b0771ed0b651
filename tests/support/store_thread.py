"""Record stores that really run side by side: each in a thread of its own, with a database session of its own.

A job server uses its store in one thread only; so do these. `begin` starts a call and returns its future, the methods
of a store wait for theirs. What becomes of a server that is killed is `vanish`: its session breaks, nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from django.db import connections

from gearjobs.core.changes import Accepted, Change, Started, StoredJob
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.records.ownership.lease_watch import LeaseTimes
from gearjobs.records.record_store import RecordStore
from tests.support.eventually import eventually

#: Seconds a call may take.
CALL_TIMEOUT_S: Final = 30.0
#: Leases that run out while a test waits, and hold while a busy machine does not.
SHORT_LEASE: Final = LeaseTimes(ttl_s=0.9, renewal_s=0.25)
ACCEPTED_AT: Final = 1_760_000_000.25

Answer = TypeVar("Answer")


class StoreThread:
    """A RecordStore in a thread.

    Args:
        alias: the database.
        owner: the server's name.
        lease: the numbers of its lease.
    """

    def __init__(self, alias: str, owner: str, *, lease: LeaseTimes = SHORT_LEASE) -> None:
        self.store = RecordStore(alias, owner, lease=lease)
        self._alias = alias
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=owner)

    def begin(self, work: Callable[[], Answer]) -> Future[Answer]:
        """Start a call."""
        return self._thread.submit(work)

    def call(self, work: Callable[[], Answer]) -> Answer:
        """Do something in the thread."""
        return self.begin(work).result(CALL_TIMEOUT_S)

    def load(self) -> list[StoredJob]:
        return self.call(self.store.load)

    def commit(self, *changes: Change) -> dict[JobHandle, JobHandle]:
        return self.call(lambda: self.store.commit(changes))

    def adopt(self, limit: int = 500) -> list[StoredJob]:
        return self.call(lambda: self.store.adopt(limit))

    def renew(self) -> float:
        return self.call(self.store.renew)

    def close(self) -> None:
        self.call(self.store.close)

    def vanish(self) -> None:
        """Break the session, as the kernel does for a process that is killed."""
        self.call(self._break)

    def adopt_when_allowed(self, *, count: int = 1, timeout_s: float = 10.0) -> list[StoredJob]:
        """Renew and sweep as a server does, until so many jobs were adopted."""
        adopted: list[StoredJob] = []

        def sweep() -> bool:
            self.renew()
            adopted.extend(self.adopt())
            return len(adopted) >= count

        eventually(sweep, timeout_s, f"{count} jobs to be taken over")
        return adopted

    def end(self) -> None:
        """End the thread."""
        self.call(self._break)
        self._thread.shutdown()

    def _break(self) -> None:
        connections[self._alias].close()


def accepted(handle: JobHandle, *, unique: bytes = b"", function: bytes = b"f", payload: bytes = b"p") -> Accepted:
    return Accepted(handle, FunctionName(function), unique, payload, 0, 0.0, ACCEPTED_AT)


def started(handle: JobHandle, attempt: int = 1, *, is_resumable: bool = False) -> Started:
    return Started(handle, attempt, ["worker"] * attempt, ACCEPTED_AT + attempt, is_resumable)


def handles_of(jobs: Sequence[StoredJob]) -> list[JobHandle]:
    return [job.handle for job in jobs]
