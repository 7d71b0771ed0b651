"""A store in whatever trouble a test wants: slow, down, choosy, or with a bug.

It is a MemoryStore, used by the writer thread as any store is; what it is told may change while it is used.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Final

from gearjobs.core.changes import Accepted, Change, StoredJob
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.errors import StoreError
from gearjobs.stores.memory import MemoryStore

#: Seconds a gate stays shut at most, so that a test that fails does not hang.
_GATE_TIMEOUT_S: Final = 10.0

OUTAGE: Final = StoreError("the disk is full")


class TroubledStore(MemoryStore):
    """A MemoryStore with `failure` (it is down) and more."""

    def __init__(self) -> None:
        super().__init__()
        #: Each batch that was tried, whatever became of it.
        self.batches: list[list[Change]] = []
        #: Jobs whose changes it refuses, as a database refuses a value.
        self.refused_handles: set[bytes] = set()
        #: Jobs at whose changes it meets a bug, again and again.
        self.bugs_at: set[bytes] = set()
        #: Shut (cleared), it keeps every commit waiting.
        self.gate = threading.Event()
        self.gate.set()
        #: Seconds that every commit takes.
        self.commit_s = 0.0
        #: Raised once by the next commit.
        self.bug: Exception | None = None
        #: Raised by `load` while it is set.
        self.load_failure: StoreError | None = None
        #: Raised by every adoption while it is set.
        self.adopt_failure: StoreError | None = None
        self.adoptions = 0
        #: Raised by every renewal while it is set.
        self.renew_failure: StoreError | None = None
        self.renewals = 0
        self.is_closed = False

    def commit(self, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        self.batches.append(list(changes))
        self.gate.wait(_GATE_TIMEOUT_S)
        if self.commit_s:
            threading.Event().wait(self.commit_s)
        if self.bug is not None:
            bug, self.bug = self.bug, None
            raise bug
        if any(change.handle in self.bugs_at for change in changes):
            raise KeyError("handle")
        if any(change.handle in self.refused_handles for change in changes):
            raise StoreError("value too long", is_outage=False)
        return super().commit(changes)

    def renew(self) -> float:
        self.renewals += 1
        if self.renew_failure is not None:
            raise self.renew_failure
        return super().renew()

    def load(self) -> list[StoredJob]:
        if self.load_failure is not None:
            raise self.load_failure
        return super().load()

    def adopt(self, limit: int) -> list[StoredJob]:
        self.adoptions += 1
        if self.adopt_failure is not None:
            raise self.adopt_failure
        return super().adopt(limit)

    def close(self) -> None:
        self.is_closed = True


def accepted(handle: bytes, *, payload: bytes = b"photo") -> Accepted:
    """Return the acceptance of a job of `resize`."""
    return Accepted(JobHandle(handle), FunctionName(b"resize"), b"", payload, 0, 0.0, 1_000.0)
