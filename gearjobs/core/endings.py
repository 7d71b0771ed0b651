"""How a job comes to its end, whatever brought it there: what is recorded, who is told, what is counted no more.

Outcome first, then news: the record of a durable job's end stands before what its clients are told, who hear of it when
it is committed. Which step ends a job, and as what, is decided by `lifecycle` and the policies behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gearjobs.core.abilities import Abilities
from gearjobs.core.changes import Change, Finished, Forgotten, Started
from gearjobs.core.coalescing import UniqueIndex
from gearjobs.core.effects import Effect, News, NewsKind, OutcomeSettled, Record
from gearjobs.core.jobs import ConnectionId, Job, JobHandle, JobState, move
from gearjobs.core.tallies import JobObserver
from gearjobs.core.terms import UniqueSpan


@dataclass(slots=True, init=False)
class Ending:
    """What the clients that wait for a job are told of its end."""

    kind: NewsKind
    #: The packet's arguments after the handle.
    arguments: tuple[bytes, ...]

    def __init__(self, kind: NewsKind, arguments: tuple[bytes, ...] = ()) -> None:
        self.kind = kind
        self.arguments = arguments


#: That it failed, and nothing more.
FAILED: Final = Ending(NewsKind.FAIL)

_STORING: Final = JobState.STORING
_DELAYED: Final = JobState.DELAYED
_WAITING: Final = JobState.WAITING
_ENDED: Final = JobState.ENDED
_EXCEPTION: Final = NewsKind.EXCEPTION
_QUEUED: Final = UniqueSpan.QUEUED


class Endings:
    """All live jobs, and how they end.

    Args:
        effects: the queue's list; what an end records and tells is appended to it.
        abilities: the functions and workers.
        has_store: False keeps background jobs in memory only: nothing is recorded, nothing waits for a commit.
        observer: who is told of each end; None where nobody counts.
    """

    def __init__(
        self, effects: list[Effect], abilities: Abilities, *, has_store: bool, observer: JobObserver | None
    ) -> None:
        #: Every job that can still be asked for, by handle.
        self.jobs: dict[JobHandle, Job] = {}
        self.uniques = UniqueIndex()
        #: Who reported the end of a resumable run that is not committed yet, and keeps it until then.
        self.unsettled: dict[JobHandle, ConnectionId] = {}
        self._effects = effects
        self._abilities = abilities
        self._has_store = has_store
        self._observer = observer

    def is_recorded(self, job: Job) -> bool:
        """Whether what becomes of the job is recorded, beside its end: it has a row."""
        return job.is_background and job.is_kept and self._has_store

    def may_have_row(self, job: Job | None) -> bool:
        """Whether the store has, or may come to have, a row of the job; or may have one of a job that is not known."""
        return self._has_store and (job is None or job.is_background)

    def note(self, job: Job, change: Change) -> None:
        """Record what becomes of the job, if it has a row or may come to have one."""
        if self.may_have_row(job):
            self._effects.append(Record(change))

    def outcome_kept(self, handle: JobHandle) -> None:
        """The job's outcome is committed: the queue may forget it."""
        self.jobs.pop(handle, None)
        if self.unsettled:
            self._settle(handle)

    def _settle(self, handle: JobHandle) -> None:
        """Let whoever reported the end of a run, which is committed now, forget it."""
        connection = self.unsettled.pop(handle, None)
        if connection is not None:
            self._effects.append(OutcomeSettled(connection, handle))

    def drop(self, job: Job) -> None:
        """Remove a job that does not run, without an outcome or a row left of it; who waits for it hears WORK_FAIL."""
        state = job.state
        self._end(job)
        self._stop_counting(job, state)
        if job.is_background and self._has_store:
            self._effects.append(Record(Forgotten(job.handle)))
        self._tell_end(job, FAILED, was_created=state is not _STORING or job.is_kept)

    def _record_start(self, job: Job) -> None:
        frees_unique = job.terms.unique_for is _QUEUED
        started = Started(job.handle, job.attempt, job.worker_ids, job.started_at, job.is_resumable, frees_unique)
        self._effects.append(Record(started))

    def _stop_counting(self, job: Job, state: JobState) -> None:
        """Let the counts forget a job that has just left this state without being run."""
        queue = self._abilities.function(job.function)
        if state is _WAITING:
            queue.withdraw(job)
        elif state is _DELAYED:
            queue.delayed -= 1
        elif state is _STORING:
            queue.storing -= 1

    def _conclude(self, job: Job, finished: Finished) -> None:
        if self._observer is not None:
            self._observer.job_ended(job, finished.outcome, finished.finished_at)
        if job.is_background and self._has_store:
            if not job.is_kept and job.attempt:
                self._record_start(job)
            self.uniques.remove(job)
            move(job, _ENDED)
            job.payload = b""
            finished.is_member = job.terms.is_member
            finished.function = job.function
            self._effects.append(Record(finished))
        else:
            self._end(job)

    def _end(self, job: Job) -> None:
        self.uniques.remove(job)
        move(job, _ENDED)
        del self.jobs[job.handle]
        job.payload = b""

    def _tell_end(self, job: Job, ending: Ending, *, was_created: bool = True) -> None:
        awaits_store = job.is_background and self._has_store
        clients, job.clients = job.clients, ()
        for connection in clients:
            peer = self._abilities.peers[connection]
            peer.awaited.pop(job.handle, None)
            told = FAILED if ending.kind is _EXCEPTION and not peer.wants_exceptions else ending
            self._effects.append(News(connection, told.kind, job.handle, told.arguments, awaits_store, not was_created))
