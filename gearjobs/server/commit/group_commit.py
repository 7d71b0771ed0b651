"""Group commit: what the store is asked next, and which replies may leave when it has answered.

While the store is busy with one step the changes gather for the next, so a batch is as large as the load makes it and
a lone submit waits for nothing. A reply that promises a change waits for the commit of that change. Pure: time comes in
as `now` (seconds of one clock that never jumps), steps go out, and what became of them comes back; `durability` carries
the steps out with a thread, the simulator with a simulated store.

The laws: a submitter is answered within `store_timeout_s`, by ERROR if need be, and a job whose submitter heard ERROR
does not run, even if its commit succeeds after all: its row is removed. Nothing else that was done is ever forgotten
while the process lives; progress and output are, where a store stays away for too long (`backlog`). One step at a time,
adoption and commit in turn. Whoever never heard an answer, because its connection broke, may count on neither outcome:
a job that may be committed is then committed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Generic

from gearjobs.core.changes import (
    Accepted,
    CancelAsked,
    Change,
    Finished,
    Forgotten,
    Progressed,
    Requeued,
    Rescheduled,
    Retried,
    StoredJob,
)
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.server.commit.acceptances import Acceptances, GhostRows
from gearjobs.server.commit.backlog import Backlog
from gearjobs.server.commit.batch_commit import Verdict
from gearjobs.server.commit.commit_pace import CommitPace
from gearjobs.server.commit.commit_steps import AdoptStep, CommitRules, CommitStep, RenewStep, Reply, Ruling, Step
from gearjobs.server.commit.progress_throttle import ProgressThrottle
from gearjobs.server.commit.store_lease import StoreLease
from gearjobs.server.stuck_outcomes import StuckOutcomes

#: Rows adopted in one go: many enough to be cheap, few enough not to hold up a commit for more than some 10 ms.
ADOPT_LIMIT: Final = 500
#: A batch, at most: more saves nothing, and a transaction must be over well before its session's timeouts.
BATCH_CHANGES: Final = 5_000
BATCH_BYTES: Final = 16 * 1024 * 1024
#: A batch that tries whether the store is back: little, for what is in it must be waited for if it hangs.
PROBE_CHANGES: Final = 100
#: Seconds after a failure until the store is tried again: first, at most, and at most while a submitter waits.
RETRY_FIRST_S: Final = 0.1
RETRY_LAST_S: Final = 5.0
RETRY_SUBMIT_S: Final = 0.5
#: Seconds a step may take before the store counts as in trouble, and between two looks at it then.
SLOW_STEP_S: Final = 1.0
LOOK_EVERY_S: Final = 0.25
#: Changes that end a run, and those that end a job: named here, for a union is made anew each time it is asked for.
_RUN_ENDS: Final = (Finished, Requeued, Retried)
_JOB_ENDS: Final = (Finished, Forgotten)
_WISHES: Final = (CancelAsked, Rescheduled)


class GroupCommit(Generic[Reply]):
    """The decisions of the store's side of a job server."""

    def __init__(self, rules: CommitRules) -> None:
        self.lease = StoreLease(renew_interval_s=rules.renew_interval_s, margin_s=rules.lease_margin_s)
        self.backlog = Backlog(max_changes=rules.max_changes, max_bytes=rules.max_bytes)
        #: The clock's time of the last failure of the store as a whole.
        self.failed_at = 0.0
        self._throttle = ProgressThrottle(rules.progress_interval_s)
        self._pace = CommitPace()
        self._created: dict[JobHandle, list[Reply]] = {}
        self._ended: dict[JobHandle, list[Reply]] = {}
        #: Of each job that is to stop, while that is not committed.
        self._asked: dict[JobHandle, list[Reply]] = {}
        #: Of each job that is to wait otherwise, one for each change, in order.
        self._changed: dict[JobHandle, list[Reply]] = {}
        self._acceptances = Acceptances(rules.store_timeout_s)
        #: Jobs of the present batch whose submitters heard ERROR.
        self._given_up: set[JobHandle] = set()
        self._ghosts = GhostRows()
        self._stuck = StuckOutcomes()
        self._step: Step | None = None
        self._step_began_at = 0.0
        #: Seconds from a failure to the next try; 0 while the store works.
        self._retry_s = 0.0
        self._wants_adoption = False
        self._has_adopted_last = False
        self._is_closing = False
        #: True after a failure since `close`.
        self._is_hopeless = False
        self._looked_at = 0.0

    @property
    def is_store_down(self) -> bool:
        """Whether the store failed as a whole the last time."""
        return self._retry_s > 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do, after `close`."""
        return self._is_closing and self._step is None and (self._is_hopeless or not self._has_changes())

    @property
    def stuck_outcomes(self) -> int:
        """How many outcomes met a bug of the store, and are tried again by themselves."""
        return len(self._stuck)

    @property
    def waiting(self) -> int:
        """How many changes wait for their commit."""
        return len(self.backlog) + len(self._stuck)

    @property
    def uncommitted(self) -> int:
        """How many changes wait for their commit or are being committed."""
        return self.waiting + len(self._batch())

    def step_age_s(self, now: float) -> float:
        """Return for how long the present step is under way; 0 while there is none."""
        return now - self._step_began_at if self._step is not None else 0.0

    def may_hand_out(self, now: float) -> bool:
        """Return whether stored jobs may be handed out: this server surely owns them, and can keep their outcomes."""
        return self.lease.is_held(now) and not self.backlog.is_half_full and not self._stuck.are_many

    def record(self, change: Change, *, now: float) -> None:
        """Let the change be committed with the next batch; progress may be held back for a later one."""
        if isinstance(change, Accepted):
            self._note_acceptance(change, now)
        elif isinstance(change, Progressed):
            if not self._throttle.admit(change, now=now):
                return
        elif isinstance(change, _RUN_ENDS):
            last = self._throttle.end(change.handle)
            if last is not None and isinstance(change, Finished):
                self.backlog.add(last)
        elif isinstance(change, CancelAsked):
            self._asked.setdefault(change.handle, [])
        self._pace.note(change)
        self.backlog.add(change)

    @property
    def is_urgent(self) -> bool:
        """Whether somebody waits for what is to be committed."""
        return self._pace.is_urgent

    def hold_created(self, handle: JobHandle, reply: Reply, *, now: float) -> None:
        """Let the reply wait for the commit of the job's acceptance, which was or is about to be recorded."""
        self._created.setdefault(handle, []).append(reply)
        self._acceptances.heed(handle, now=now)

    def hold_ended(self, handle: JobHandle, reply: Reply) -> None:
        """Let the reply wait for the commit of the job's outcome."""
        self._ended.setdefault(handle, []).append(reply)
        self._pace.hurry()

    def is_asking(self, handle: JobHandle) -> bool:
        """Return whether it is still to be committed that the job is to stop."""
        return handle in self._asked

    def hold_asked(self, handle: JobHandle, reply: Reply) -> None:
        """Let the reply wait for that commit, which was or is about to be recorded."""
        self._asked.setdefault(handle, []).append(reply)

    def hold_changed(self, handle: JobHandle, reply: Reply) -> None:
        """Let the reply wait for the commit of a change of the job's place, which is about to be recorded."""
        self._changed.setdefault(handle, []).append(reply)

    def want_adoption(self) -> None:
        """Look for jobs without an owner soon."""
        self._wants_adoption = True

    def close(self) -> None:
        """Commit what is pending, progress held back too; a store that is down gets one more try."""
        self._is_closing = True
        for change in (*self._throttle.take_all(), *self._stuck.take()):
            self.backlog.add(change)

    def next_step(self, now: float) -> Step | None:
        """Return what the store is to be asked now, and count it as begun; None: nothing, or it is busy."""
        if self._step is not None or (self._is_hopeless if self._is_closing else now < self._retry_at()):
            return None
        self._step = self._choose_step(now)
        self._step_began_at = now
        return self._step

    def settle(self, verdict: Verdict, *, now: float) -> Ruling[Reply]:
        """The present commit step is over."""
        self._step = None
        ruling: Ruling[Reply] = Ruling()
        self._note_answer(verdict.error, now)
        self._postpone(verdict, ruling)
        are_ghosts_leaving = self._ghosts.are_leaving
        for change in verdict.committed:
            if isinstance(change, Accepted):
                if change.handle in self._given_up:
                    self._settle_late(change, ruling)
                    continue
                self._ghosts.keep(change.handle)
                self._acceptances.forget(change.handle)
                ruling.kept += self._created.pop(change.handle, ())
            elif are_ghosts_leaving and self._ghosts.is_leaving(change.handle):
                continue
            elif isinstance(change, _JOB_ENDS):
                ruling.kept += self._end_kept(change)
            elif isinstance(change, _WISHES):
                ruling.kept += self._wish_kept(change)
            ruling.committed.append(change)
        for refused in verdict.refused:
            if refused.handle not in self._given_up:
                self._refuse(refused, ruling)
            if verdict.bugs:
                # Nobody knows whether it was kept all the same.
                self._ghosts.add(refused.handle)
        for accepted, into in verdict.joined:
            if accepted.handle not in self._given_up:
                self._join(accepted, into, ruling)
        self._void(ruling)
        self._stuck.keep([outcome for outcome in verdict.stuck if outcome.handle not in self._given_up], now=now)
        self._stuck.rest()
        self._given_up.clear()
        self._ghosts.rest()
        return ruling

    def _end_kept(self, change: Change) -> Sequence[Reply]:
        """The end of a job is committed: return the replies that waited for it."""
        if isinstance(change, Finished) and change.is_member:
            # The store may have released jobs that waited for it, which nobody owns yet.
            self._wants_adoption = True
        return self._ended.pop(change.handle, ())

    def _wish_kept(self, change: CancelAsked | Rescheduled) -> Sequence[Reply]:
        """What was wanted of a job is committed: return the replies that waited for it."""
        if isinstance(change, CancelAsked):
            return self._asked.pop(change.handle, ())
        replies = self._changed.pop(change.handle, [])
        if replies[1:]:
            # Of changes that are still to be committed.
            self._changed[change.handle] = replies[1:]
        return replies[:1]

    def renewed(self, lasts_s: float, *, now: float) -> None:
        """The present step renewed the lease."""
        self._step = None
        self.lease.renewed(lasts_s, asked_at=self._step_began_at)
        if not len(self.backlog):
            # With changes waiting it takes one of their commits to show that the store is back.
            self._note_answer(None, now)

    def adopted(self, jobs: Sequence[StoredJob]) -> None:
        """The present step adopted these jobs; there may be more."""
        self._step = None
        self._wants_adoption = self._wants_adoption or len(jobs) >= ADOPT_LIMIT
        if not self.is_store_down:
            self.backlog.unbound()
        for job in jobs:
            # Its client heard ERROR, or nothing, and inserted the row itself.
            self._ghosts.discard(job.handle)

    def failed(self, error: StoreError, *, now: float) -> None:
        """The present step, which was no commit, failed."""
        step, self._step = self._step, None
        if isinstance(step, RenewStep) or error.is_outage:
            # Whatever was wrong with a renewal, it is not asked for again without a pause.
            self._note_failure(now)

    def tick(self, now: float) -> Ruling[Reply]:
        """Do what is due: answer submitters whose time is over, record progress that was held back."""
        self._looked_at = now
        for change in self._throttle.take_due(now):
            self.backlog.add(change)
        if self.step_age_s(now) >= SLOW_STEP_S and not self.backlog.is_bounded:
            self.backlog.bound()
        ruling: Ruling[Reply] = Ruling()
        overdue = self._acceptances.overdue(now)
        if overdue:
            under_way = {change.handle for change in self._batch() if isinstance(change, Accepted)}
            for acceptance in overdue:
                self._give_up(acceptance, ruling, is_under_way=acceptance.handle in under_way)
            self._void(ruling)
        return ruling

    def next_due(self) -> float | None:
        """Return when `tick` or `next_step` has something to do though nothing comes in, or None."""
        times = [] if self.lease.ends_at <= self._looked_at else [self.lease.ends_at]
        if (answer_due := self._acceptances.next_due()) is not None:
            times.append(answer_due)
        if (progress_due := self._throttle.next_due()) is not None:
            times.append(progress_due)
        if self._step is None and not self._is_closing:
            work_due = min(self.lease.renew_at, self._stuck.retry_at)
            if self._has_changes():
                work_due = min(work_due, self._pace.begins_at())
            times.append(max(work_due, self._retry_at()))
        if self.backlog.is_bounded:
            times.append(self._looked_at + LOOK_EVERY_S)
        elif self._step is not None:
            times.append(self._step_began_at + SLOW_STEP_S)
        return min((time for time in times if time < math.inf), default=None)

    def _choose_step(self, now: float) -> Step | None:
        has_changes = self._has_changes()
        if not self._is_closing:
            if now >= self.lease.renew_at:
                return RenewStep()
            if self._wants_adoption and self.lease.is_held(now) and not (has_changes and self._has_adopted_last):
                self._wants_adoption, self._has_adopted_last = False, True
                return AdoptStep(ADOPT_LIMIT)
            if now >= self._stuck.retry_at:
                return CommitStep(self._stuck.take())
            if has_changes and now < self._pace.begins_at():
                return None
        self._has_adopted_last = False
        return CommitStep(self._take_batch(now)) if has_changes else None

    def _take_batch(self, now: float) -> list[Change]:
        limit = PROBE_CHANGES if self.is_store_down else BATCH_CHANGES
        batch = self.backlog.take(max_changes=limit, max_bytes=BATCH_BYTES)
        self._pace.began(now=now, is_all=not len(self.backlog))
        if self._ghosts:
            batch += [Forgotten(handle, was_refused=True) for handle in self._ghosts.take(max(1, limit - len(batch)))]
        return batch

    def _batch(self) -> list[Change]:
        return self._step.batch if isinstance(self._step, CommitStep) else []

    def _has_changes(self) -> bool:
        return bool(len(self.backlog) or self._ghosts)

    def _retry_at(self) -> float:
        if not self._retry_s:
            return -math.inf
        return self.failed_at + (min(self._retry_s, RETRY_SUBMIT_S) if self._acceptances else self._retry_s)

    def _note_answer(self, error: StoreError | None, now: float) -> None:
        if error is not None and error.is_outage:
            self._note_failure(now)
        else:
            self._retry_s = 0.0
            self.backlog.unbound()

    def _note_failure(self, now: float) -> None:
        self.failed_at = now
        self._retry_s = min(RETRY_LAST_S, self._retry_s * 2 or RETRY_FIRST_S)
        self._is_hopeless = self._is_closing
        self.backlog.bound()

    def _note_acceptance(self, change: Accepted, now: float) -> None:
        # The row that may be there is then this one's.
        self._ghosts.discard(change.handle)
        self._acceptances.expect(change, has_room=not self.backlog.is_full, now=now)

    def _give_up(self, change: Accepted, ruling: Ruling[Reply], *, is_under_way: bool) -> None:
        if is_under_way:
            if not self._is_listened_for(change.handle):
                self._acceptances.set_adrift(change)
                return
            self._given_up.add(change.handle)
        elif self._acceptances.is_doubtful(change.handle):
            self._ghosts.add(change.handle)
        self._refuse(change, ruling)

    def _is_listened_for(self, handle: JobHandle) -> bool:
        return any(reply.is_wanted for reply in self._created.get(handle, ()))

    def _refuse(self, change: Accepted, ruling: Ruling[Reply]) -> None:
        self._acceptances.forget(change.handle)
        self._throttle.end(change.handle)
        ruling.void += self._created.pop(change.handle, ())
        ruling.void += self._ended.pop(change.handle, ())
        ruling.refused.append(change)
        self._ghosts.refuse(change.handle)

    def _join(self, change: Accepted, into: JobHandle, ruling: Ruling[Reply]) -> None:
        self._acceptances.forget(change.handle)
        self._throttle.end(change.handle)
        ruling.renamed += [(reply, into) for reply in self._created.pop(change.handle, ())]
        ruling.renamed_ends += [(reply, into) for reply in self._ended.pop(change.handle, ())]
        ruling.joined.append((change, into))

    def _settle_late(self, change: Accepted, ruling: Ruling[Reply]) -> None:
        """The job is committed though its submitter heard ERROR: away with it, unless it was submitted once more."""
        again = self._acceptances.forget(change.handle)
        if again is None:
            self._ghosts.add(change.handle)
            return
        self.backlog.remove_acceptance(change.handle)
        ruling.kept += self._created.pop(change.handle, ())
        ruling.committed.append(again)

    def _postpone(self, verdict: Verdict, ruling: Ruling[Reply]) -> None:
        """Keep what an outage did not let through, but for acceptances: their submitters must not wait."""
        kept = []
        for change in verdict.postponed:
            if isinstance(change, Accepted):
                if not self._is_set_adrift(change, ruling):
                    continue
            elif self._ghosts.is_leaving(change.handle):
                if change.handle not in self._acceptances:
                    self._ghosts.add(change.handle)
                continue
            elif change.handle in self._given_up:
                continue
            kept.append(change)
        self.backlog.put_back(kept)
        if kept:
            self._pace.hurry()

    def _is_set_adrift(self, change: Accepted, ruling: Ruling[Reply]) -> bool:
        """Decide on an acceptance that may be committed or not: True to try again, False where ERROR was told."""
        handle = change.handle
        if handle not in self._given_up:
            if not self._is_listened_for(handle):
                self._acceptances.set_adrift(change)
                return True
            self._refuse(change, ruling)
        if handle not in self._acceptances:
            self._ghosts.add(handle)
        return False

    def _void(self, ruling: Ruling[Reply]) -> None:
        """What was recorded meanwhile of a job that never was is void with it."""
        void = {change.handle for change in ruling.refused}
        void.update(change.handle for change, _ in ruling.joined)
        if void:
            self.backlog.void(void)
