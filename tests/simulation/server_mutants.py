"""Queues and group commits that each break one rule; what they are for is said in `mutants`."""

from __future__ import annotations

from collections.abc import Iterable

from gearjobs.core.changes import Accepted, Change, Finished, Started, StoredJob
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import ConnectionId, Job, JobHandle, JobState
from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.core.submission import Receipt, Submission
from gearjobs.server.commit.batch_commit import Verdict
from gearjobs.server.commit.commit_steps import Ruling
from gearjobs.server.commit.group_commit import GroupCommit
from gearjobs.server.connection import HeldReply


class QueueWithoutGrace(JobQueue):
    """What ran when its server was lost runs again at once."""

    def restore(self, stored: Iterable[StoredJob], *, now: float) -> None:
        jobs = list(stored)
        for job in jobs:
            job.owner_gone_s = 1e6
        super().restore(jobs, now=now)


class QueueThatResumesAnything(JobQueue):
    """A run may go on whichever attempt it is, and whoever's."""

    def resume_job(self, connection: ConnectionId, handle: JobHandle, attempt: int, *, now: float) -> ResumeVerdict:
        job = self._life.jobs.get(handle)
        if job is None or not job.is_running:
            return super().resume_job(connection, handle, attempt, now=now)
        self._life.reattach(self._abilities.peers[connection], job, now=now)
        return ResumeVerdict.ACCEPTED


class QueueThatTrustsHandles(JobQueue):
    """Whoever knows a job's handle may end it, and nobody is refused."""

    def work_complete(self, connection: ConnectionId, handle: JobHandle, result: bytes, *, now: float) -> None:
        job = self._life.jobs.get(handle)
        if job is not None and job.worker is not None:
            connection = job.worker
        super().work_complete(connection, handle, result, now=now)

    def resume_job(self, connection: ConnectionId, handle: JobHandle, attempt: int, *, now: float) -> ResumeVerdict:
        verdict = super().resume_job(connection, handle, attempt, now=now)
        return ResumeVerdict.ACCEPTED if verdict is ResumeVerdict.REFUSED else verdict


class QueueThatForgetsOrphans(JobQueue):
    """A run whose worker never comes back is waited for, for ever."""

    def tick(self, now: float) -> None:
        self._life.orphans.take_overdue(now)
        super().tick(now)


class QueueThatRunsJoinedJobs(JobQueue):
    """A job that was joined to another server's is run as well."""

    def joined(self, change: Accepted, into: JobHandle, *, now: float) -> None:
        self.committed(change, now=now)


class QueueThatRunsRefusedJobs(JobQueue):
    """A job whose submitter heard ERROR is run all the same."""

    def refused(self, change: Accepted, *, now: float) -> None:
        self.committed(change, now=now)


class QueueThatRunsEarly(JobQueue):
    """A background job may run before its row is committed."""

    def submit_job(self, connection: ConnectionId, submission: Submission, *, handle: JobHandle, now: float) -> Receipt:
        receipt = super().submit_job(connection, submission, handle=handle, now=now)
        job = self._life.jobs[receipt.handle]
        if job.state is JobState.STORING:
            self._life.acceptance_kept(job.handle, now=now)
            job.is_kept = False
        return receipt


class QueueThatCountsNoCrashes(JobQueue):
    """A worker that was lost is no crash."""

    def disconnect(self, connection: ConnectionId, *, now: float, was_cut: bool = False) -> None:
        for job in self._abilities.peers[connection].held.values():
            job.crashes -= 1
        super().disconnect(connection, now=now, was_cut=was_cut)


class QueueOfLastComers(JobQueue):
    """Who came last is served first."""

    def grab_job(self, connection: ConnectionId, *, is_resumable: bool = False, now: float) -> Job | None:
        for ability in self._abilities.peers[connection].abilities:
            for line in ability.queue._lines.values():
                line.rotate(1)
        return super().grab_job(connection, is_resumable=is_resumable, now=now)


class GroupThatForgetsGhosts(GroupCommit[HeldReply]):
    """What may be committed though its submitter heard ERROR is not taken back."""

    def settle(self, verdict: Verdict, *, now: float) -> Ruling[HeldReply]:
        ruling = super().settle(verdict, now=now)
        self._ghosts.take(10_000)
        self._ghosts.rest()
        return ruling


class GroupThatDropsOutcomes(GroupCommit[HeldReply]):
    """An outcome that the store did not take is not tried again."""

    def settle(self, verdict: Verdict, *, now: float) -> Ruling[HeldReply]:
        verdict.postponed = [change for change in verdict.postponed if not isinstance(change, Finished)]
        return super().settle(verdict, now=now)


class GroupThatTellsAtOnce(GroupCommit[HeldReply]):
    """Clients hear of an end before it is committed."""

    def hold_ended(self, handle: JobHandle, reply: HeldReply) -> None:
        reply.connection.release(reply, is_kept=True)


class GroupThatRecordsNoStart(GroupCommit[HeldReply]):
    """That a job was handed out is not recorded."""

    def record(self, change: Change, *, now: float) -> None:
        if not isinstance(change, Started):
            super().record(change, now=now)


class GroupThatTakesSilenceForConsent(GroupCommit[HeldReply]):
    """A commit that was not answered counts as done."""

    def settle(self, verdict: Verdict, *, now: float) -> Ruling[HeldReply]:
        if verdict.postponed:
            verdict = Verdict(committed=verdict.postponed)
        return super().settle(verdict, now=now)
