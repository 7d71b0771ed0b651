"""The contract of a job store: where accepted background jobs live.

A store is used by one thread, the job server's writer: it may block. It knows nothing of connections, replies or
queue policy: it commits the queue's changes (`core/changes`) in the order given and gives unfinished jobs back. The
default store is the Job table (`gearjobs.records.record_store`); tests and `--queue-type builtin` use `memory`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gearjobs.core.changes import Change, StoredJob


class JobStore(Protocol):
    """Keeps background jobs from acceptance to the end of their retention."""

    def load(self) -> list[StoredJob]:
        """Open the store and return every unfinished job, in the order of acceptance.

        Raises:
            StoreError: the store cannot be opened, or another live server owns it; the text says which.
        """

    def adopt(self, limit: int) -> list[StoredJob]:
        """Take over up to `limit` unowned jobs that clients inserted themselves, in the order of acceptance.

        The jobs are this server's when the call returns.

        Raises:
            StoreError: nothing was adopted.
        """

    def commit(self, changes: Sequence[Change]) -> None:
        """Make the changes durable, all or none, at the level the store advertises.

        Raises:
            StoreError: none of the changes was kept.
        """

    def close(self) -> None:
        """Let go of the store so that another server may open it at once; idempotent."""
