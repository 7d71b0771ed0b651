"""The contract of a job store: where accepted background jobs live.

A store is used by one thread, the job server's writer: it may block, though no longer than a submitter is to wait. It
knows nothing of connections, replies or queue policy: it commits the queue's changes (`core/changes`) in the order
given and gives unfinished jobs back. Several servers may share one: each job has one owner, each owner a lease that it
renews, and a server whose lease ran out loses its jobs to the others (`StoreFenced`). The default store is the Job
table (`gearjobs.records.record_store`); tests use `memory`, `--queue-type builtin` uses `builtin`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gearjobs.core.changes import Change, StoredJob
from gearjobs.core.jobs import JobHandle


class JobStore(Protocol):
    """Keeps background jobs from acceptance to the end of their retention."""

    def load(self) -> list[StoredJob]:
        """Open the store, under a new incarnation, and return every job that is now this server's.

        These are the unfinished jobs that nobody owns, or that were owned by servers that are surely gone, in the order
        of acceptance.

        Raises:
            StoreError: the store cannot be opened, or another live server owns all of it; the text says which.
        """

    def renew(self) -> float:
        """Renew the ownership of this server's jobs.

        Returns:
            Seconds for which it surely lasts, counted from the moment the call was made; infinite where no other server
            can take the jobs over.

        Raises:
            StoreFenced: another server has taken them over.
            StoreError: the ownership was not renewed; it ends when it would have ended.
        """

    def adopt(self, limit: int) -> list[StoredJob]:
        """Take over up to `limit` jobs, in the order of acceptance: those without an owner, those of servers gone.

        The jobs are this server's when the call returns.

        Raises:
            StoreFenced: another server has taken this one's jobs over.
            StoreError: nothing was adopted.
        """

    def commit(self, changes: Sequence[Change]) -> dict[JobHandle, JobHandle]:
        """Make the changes durable, all or none, at the level the store advertises.

        Returns:
            Usually nothing; otherwise the acceptances that were not kept, because another unfinished job has the same
            function and unique, each with the handle of that job. What else was to be committed of them is passed over.

        Raises:
            StoreFenced: another server has taken this one's jobs over; none of the changes was kept or ever will be.
            StoreError: none of the changes was kept.
        """

    def close(self) -> None:
        """Let go of the store so that another server may have its jobs at once; idempotent."""
