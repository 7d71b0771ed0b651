"""What workers say of the jobs they run, WORK_*: how far they are, what they stream, how they end.

A report counts where its worker holds the job. What is said of a job that ended otherwise while its worker ran it is
passed over, and so is whatever follows an exception, which ended the job; any other report is refused and changes
nothing. What becomes of the job is `lifecycle`'s; the other verbs stand in `job_queue`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import Explained, Finished, JobFailure, Outcome, Progressed, Retried, Streamed
from gearjobs.core.effects import Effect, News, NewsKind, OutcomeSettled, Record
from gearjobs.core.endings import Ending
from gearjobs.core.jobs import ConnectionId, Job, JobHandle
from gearjobs.core.lifecycle import Lifecycle
from gearjobs.core.output_limit import part_to_record
from gearjobs.core.quarantine import Quarantine
from gearjobs.core.redelivery import may_retry
from gearjobs.errors import JobNotHeld

_SUCCEEDED: Final = Outcome.SUCCEEDED
_COMPLETE: Final = NewsKind.COMPLETE
_STATUS: Final = NewsKind.STATUS
_DATA: Final = NewsKind.DATA
_WARNING: Final = NewsKind.WARNING


@dataclass(slots=True)
class FailedRun:
    """What a gearjobs worker says of a run that failed."""

    failure: JobFailure
    #: What clients that asked for exceptions are sent; the others get WORK_FAIL.
    body: bytes
    #: FAILED, TIMED_OUT or CANCELLED.
    outcome: Outcome = Outcome.FAILED
    #: Seconds after which the same job is to run again; None where this was the last attempt.
    retry_in_s: float | None = None


class RunReports:
    """The reports of one server's workers.

    Args:
        effects: the queue's list; what a report records and tells is appended to it.
        abilities: the functions and workers.
        life: the jobs.
        quarantine: hears of failures and successes.
    """

    def __init__(self, effects: list[Effect], abilities: Abilities, *, life: Lifecycle, quarantine: Quarantine) -> None:
        #: What the caller must carry out, in order, and clear.
        self.effects = effects
        self._abilities = abilities
        self._life = life
        self._quarantine = quarantine

    def work_status(
        self,
        connection: ConnectionId,
        handle: JobHandle,
        status: tuple[bytes, bytes],
        *,
        numbers: tuple[float, float],
        message: str = "",
        now: float,
    ) -> None:
        """WORK_STATUS: note how far the job is and pass it on.

        Args:
            connection: the worker.
            handle: a job it holds.
            status: numerator and denominator as they came, passed on verbatim.
            numbers: the same as numbers.
            message: a gearjobs worker's words.
            now: unix seconds.
        """
        job = self._held(connection, handle)
        if job is None:
            return
        job.numerator, job.denominator = int(numbers[0]), int(numbers[1])
        if self._life.is_recorded(job):
            self.effects.append(Record(Progressed(handle, numbers[0], numbers[1], message, now)))
        self._pass_on(job, _STATUS, status)

    def work_data(self, connection: ConnectionId, handle: JobHandle, body: bytes, *, now: float) -> None:
        """WORK_DATA: keep and pass on a piece of the result."""
        self._stream(connection, handle, body, kind=_DATA, now=now)

    def work_warning(self, connection: ConnectionId, handle: JobHandle, body: bytes, *, now: float) -> None:
        """WORK_WARNING: keep and pass on a warning."""
        self._stream(connection, handle, body, kind=_WARNING, now=now)

    def work_complete(self, connection: ConnectionId, handle: JobHandle, result: bytes, *, now: float) -> None:
        """WORK_COMPLETE: the job succeeded."""
        job = self._ending(connection, handle)
        if job is None:
            return
        self._life.finish(job, Finished(handle, _SUCCEEDED, result, now), Ending(_COMPLETE, (result,)))
        peer = self._abilities.peers[connection]
        if peer.has_failures:
            self._quarantine.note_success(peer, job, now=now)

    def work_fail(self, connection: ConnectionId, handle: JobHandle, *, now: float) -> None:
        """WORK_FAIL: the job failed, and nobody said why."""
        job = self._ending(connection, handle)
        if job is None:
            return
        failure = JobFailure(message="the worker reported WORK_FAIL without a reason")
        self._life.finish(job, Finished(handle, Outcome.FAILED, b"", now, failure), Ending(NewsKind.FAIL))
        self._quarantine.note_failure(self._abilities.peers[connection], job, now=now)

    def work_exception(
        self, connection: ConnectionId, handle: JobHandle, body: bytes, *, failure: JobFailure, now: float
    ) -> None:
        """WORK_EXCEPTION: the job failed with a reason.

        Args:
            connection: the worker.
            handle: a job it holds.
            body: what clients that asked for exceptions are sent; the others get WORK_FAIL.
            failure: what is recorded.
            now: unix seconds.
        """
        job = self._ending(connection, handle)
        self._abilities.peers[connection].excepted = handle
        if job is None:
            return
        ending = Ending(NewsKind.EXCEPTION, (body,))
        self._life.finish(job, Finished(handle, Outcome.FAILED, b"", now, failure), ending)
        self._quarantine.note_failure(self._abilities.peers[connection], job, now=now)

    def work_fail_ext(self, connection: ConnectionId, handle: JobHandle, run: FailedRun, *, now: float) -> None:
        """WORK_FAIL_EXT: the run failed with a reason; a background job may run again: same job, same handle.

        It does not where it was told to stop, or would run after it has expired: then it ends as its run did.

        Args:
            connection: the worker.
            handle: a job it holds.
            run: what became of the run.
            now: unix seconds.
        """
        job = self._ending(connection, handle)
        self._abilities.peers[connection].excepted = handle
        if job is None:
            return
        run_at = None if run.retry_in_s is None else now + run.retry_in_s
        if run_at is not None and may_retry(job, run_at):
            self._life.retry(job, Retried(handle, job.attempt, run.failure, run_at, now, run.outcome))
        else:
            outcome = Outcome.CANCELLED if run_at is not None and job.is_cancel_asked else run.outcome
            ending = Ending(NewsKind.EXCEPTION, (run.body,))
            self._life.finish(job, Finished(handle, outcome, b"", now, run.failure), ending)
        if run.outcome is not Outcome.CANCELLED:
            self._quarantine.note_failure(self._abilities.peers[connection], job, now=now)

    def loss_report(self, handle: JobHandle, attempt: int, cause: str) -> None:
        """LOSS_REPORT: the process that ran this attempt of the job is gone, and this is why.

        Args:
            handle: a job, which need not be known here any more.
            attempt: the number of the run.
            cause: a sentence for people.
        """
        job = self._life.jobs.get(handle)
        if job is not None and job.is_running and job.attempt == attempt:
            self._life.causes.note(job, cause)
        elif self._life.may_have_row(job):
            self.effects.append(Record(Explained(handle, attempt, cause)))

    def _held(self, connection: ConnectionId, handle: JobHandle) -> Job | None:
        """Return the job that a worker reports on; None when it ended otherwise, which nobody told the worker."""
        peer = self._abilities.peers[connection]
        job = peer.held.get(handle)
        if job is None and handle not in peer.passed_over:
            raise JobNotHeld(f"connection {connection} does not hold job {handle!r}")
        return job

    def _ending(self, connection: ConnectionId, handle: JobHandle) -> Job | None:
        """Return the job whose end a worker reports; None when the report comes late and is to be passed over."""
        peer = self._abilities.peers[connection]
        job = peer.held.get(handle)
        if job is None and peer.excepted != handle:
            self._held(connection, handle)
            if peer.passed_over.pop(handle):
                self.effects.append(OutcomeSettled(connection, handle))
        return job

    def _stream(self, connection: ConnectionId, handle: JobHandle, body: bytes, *, kind: NewsKind, now: float) -> None:
        job = self._held(connection, handle)
        if job is None:
            return
        part = part_to_record(job, body) if self._life.is_recorded(job) else None
        if part is not None:
            self.effects.append(Record(Streamed(handle, kind is _WARNING, part, now)))
        self._pass_on(job, kind, (body,))

    def _pass_on(self, job: Job, kind: NewsKind, arguments: tuple[bytes, ...]) -> None:
        for connection in job.clients:
            self.effects.append(News(connection, kind, job.handle, arguments, outlives_client=job.is_background))
