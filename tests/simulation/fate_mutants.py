"""Parts that each break a promise of retries, losses, expiry or cancels; what they are for is said in `mutants`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gearjobs.core.changes import CancelAsked, Change, Retried, StoredJob
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import ConnectionId, JobHandle
from gearjobs.core.terms import NO_TERMS
from gearjobs.server.commit.group_commit import GroupCommit
from gearjobs.server.connection import HeldReply


class QueueThatExpiresNothing(JobQueue):
    """Jobs start however late it is."""

    def tick(self, now: float) -> None:
        self._life.expiry.take_expired(now)
        super().tick(now)


class QueueThatForgetsTerms(JobQueue):
    """What was wanted of a job is forgotten with its server."""

    def restore(self, stored: Iterable[StoredJob], *, now: float) -> None:
        super().restore([replace(job, terms=replace(NO_TERMS, limits=job.terms.limits)) for job in stored], now=now)


class QueueThatForgetsCancels(JobQueue):
    """That a job is to stop is forgotten with its server."""

    def restore(self, stored: Iterable[StoredJob], *, now: float) -> None:
        super().restore([replace(job, is_cancel_asked=False) for job in stored], now=now)


class QueueThatRunsStoppedJobsAgain(JobQueue):
    """A job that is to stop runs again when its worker is lost."""

    def disconnect(self, connection: ConnectionId, *, now: float, was_cut: bool = False) -> None:
        for job in self._abilities.peers[connection].held.values():
            job.is_cancel_asked = False
        super().disconnect(connection, now=now, was_cut=was_cut)


class GroupThatForgetsRetries(GroupCommit[HeldReply]):
    """How a run failed that is tried again is not recorded."""

    def record(self, change: Change, *, now: float) -> None:
        if not isinstance(change, Retried):
            super().record(change, now=now)


class GroupThatForgetsCancels(GroupCommit[HeldReply]):
    """That a job is to stop is answered, and not recorded."""

    def record(self, change: Change, *, now: float) -> None:
        if not isinstance(change, CancelAsked):
            super().record(change, now=now)

    def hold_asked(self, handle: JobHandle, reply: HeldReply) -> None:
        reply.connection.release(reply, is_kept=True)
