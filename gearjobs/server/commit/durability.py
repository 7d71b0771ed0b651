"""The loop's side of the store: carries out what `group_commit` decides.

One task has the writer thread take one step after the other, an alarm rings when something is due though nothing comes
in. Held replies wait in their connections, and behind each all later ones of its connection, whose order clients rely
on. What is decided, and why, is `group_commit`'s; the thread itself is `writer`'s.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from gearjobs.core.changes import Change, StoredJob
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreBug, StoreError, StoreFenced, UsageError
from gearjobs.protocol.codec import encode_response
from gearjobs.protocol.packets import ErrorCode, PacketType
from gearjobs.server.commit.batch_commit import commit_batch
from gearjobs.server.commit.commit_steps import CommitRules, CommitStep, RenewStep, Ruling, Step
from gearjobs.server.commit.group_commit import GroupCommit
from gearjobs.server.commit.writer import Writer
from gearjobs.server.connection import Connection, HeldReply
from gearjobs.stores.base import JobStore

logger = logging.getLogger("gearjobs.server")

#: Seconds a store that hangs may hold up the server's end, for the last commit and for letting go each.
CLOSE_TIMEOUT_S: Final = 4.0
#: Seconds by which an alarm already due is put off, so that the loop has time for others.
_LEAST_DELAY_S: Final = 0.001


class Durability:
    """The loop's side of the store.

    Args:
        store: where background jobs live; opened, used and closed in the writer thread only.
        rules: what the operator chose.
        on_ruling: called in the loop with what became of changes, once their replies may leave.
        on_adopted: called in the loop with jobs that this server owns from now on.
        on_hand_out: called in the loop with False when no stored job may be handed out any more, and with True when
            they may again.
        on_released: called in the loop when replies were let go, to write them.
    """

    def __init__(
        self,
        store: JobStore,
        rules: CommitRules,
        *,
        on_ruling: Callable[[Ruling[HeldReply]], None],
        on_adopted: Callable[[list[StoredJob]], None],
        on_hand_out: Callable[[bool], None],
        on_released: Callable[[], None],
    ) -> None:
        self._store = store
        self._writer = Writer()
        self._on_ruling = on_ruling
        self._on_adopted = on_adopted
        self._on_hand_out = on_hand_out
        self._on_released = on_released
        self._group: GroupCommit[HeldReply] = GroupCommit(rules)
        #: The loop's clock, once there is a loop.
        self._clock = time.monotonic
        self._has_work = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._rings_at = 0.0
        self._may_hand_out = True
        #: What was last logged of the store: it is down, it hangs, things are dropped.
        self._was_down = self._was_slow = False
        self._told_dropped = 0
        self._told_bug = ""

    async def open(self) -> list[StoredJob]:
        """Start the writer and return the store's unfinished jobs that are this server's.

        Raises:
            StoreError: the store cannot be opened, or another server owns it.
        """
        self._clock = asyncio.get_running_loop().time
        self._writer.start()
        try:
            stored = await self._writer.call(self._store.load)
        except StoreBug as bug:
            self._log_store(bug, refused=0)
            raise
        asked_at = self._clock()
        self._group.lease.renewed(await self._writer.call(self._store.renew), asked_at=asked_at)
        self._task = asyncio.create_task(self._keep_stepping())
        return stored

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Commit and adopt until the event is set.

        Raises:
            StoreFenced: another server took this one's jobs over: nobody may be told anything any more.
            Exception: a bug; a server that cannot commit must end, not answer nobody.
        """
        if self._task is None:
            raise UsageError("a store must be opened before it is committed to: call open() first")
        stopped = asyncio.create_task(stopping.wait())
        try:
            done, _ = await asyncio.wait({stopped, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if self._task in done:
            self._task.result()

    async def close(self) -> None:
        """Commit what is pending (a store that is down gets one more try), close the store, end the writer."""
        self._group.close()
        self._has_work.set()
        try:
            if self._task is not None:
                await self._finish(self._task)
        finally:
            if self._alarm is not None:
                self._alarm.cancel()
            await self._let_go()

    @property
    def is_lease_held(self) -> bool:
        """Whether the server surely owns its jobs: no other server may have taken them over."""
        return self._group.lease.is_held(self._clock())

    @property
    def is_store_down(self) -> bool:
        """Whether the store failed as a whole the last time."""
        return self._group.is_store_down

    def outage_age_s(self, now: float) -> float | None:
        """Return how long ago the store failed as a whole, or None where it did not the last time.

        Args:
            now: the loop's time.
        """
        return now - self._group.failed_at if self.is_store_down else None

    @property
    def pending_changes(self) -> int:
        """How many changes wait for their commit."""
        return self._group.waiting

    @property
    def dropped_changes(self) -> int:
        """How much progress and output was dropped, ever, because the store stayed away."""
        return self._group.backlog.dropped

    def step_age_s(self, now: float) -> float:
        """Return for how long the store has been busy with one thing; `now` is the loop's time. 0 while it is idle."""
        return self._group.step_age_s(now)

    def record(self, change: Change) -> None:
        """Let the change be committed with the next batch; progress may be held back for a later one."""
        # Outcomes that are stuck do not count: they have a time of their own, which may be long.
        had_work = len(self._group.backlog) > 0
        self._group.record(change, now=self._clock())
        # The step for what nobody waits for has its time already.
        if not had_work or self._group.is_urgent:
            self._has_work.set()

    def adopt(self) -> None:
        """Look for jobs without an owner."""
        self._group.want_adoption()
        self._has_work.set()

    def hold_created(
        self, connection: Connection, handle: JobHandle, reply: bytes, *, refusal: bytes, may_join: bool = True
    ) -> None:
        """Send the reply when the job's acceptance is committed, or the refusal when it is not.

        Args:
            connection: the submitter's.
            handle: the job.
            reply: JOB_CREATED.
            refusal: ERROR.
            may_join: False where the submitter is to hear ERROR, too, when the store has another job of that unique.
        """
        held = connection.hold(reply, refusal=refusal)
        if not may_join:
            held.only_for = handle
        self._group.hold_created(handle, held, now=self._clock())

    def hold_ended(
        self, connection: Connection, handle: JobHandle, reply: bytes, *, refusal: bytes | None = None
    ) -> None:
        """Send the reply when the job's outcome is committed; where its acceptance is not, the refusal, or it too."""
        self._group.hold_ended(handle, connection.hold(reply, refusal=reply if refusal is None else refusal))
        self._has_work.set()

    def hold_asked(self, connection: Connection, handle: JobHandle, reply: bytes, *, is_new: bool) -> None:
        """Send the reply when it is committed that the job is to stop, which may be so already if that is not new."""
        if is_new or self._group.is_asking(handle):
            self._group.hold_asked(handle, connection.hold(reply, refusal=reply))
        else:
            connection.send(reply)

    def hold_changed(self, connection: Connection, handle: JobHandle, reply: bytes) -> None:
        """Send the reply when it is committed that the job waits otherwise, which was recorded just now."""
        self._group.hold_changed(handle, connection.hold(reply, refusal=reply))

    def watch(self) -> None:
        """Notice at once that the lease has run out; to be called before a peer's packets are looked at.

        A process that was stopped wakes up with packets that came long ago: no alarm rings before they are read.
        """
        if self._may_hand_out and not self._group.may_hand_out(self._clock()):
            self._note_hand_out()

    def doubt_lease(self) -> None:
        """Hold on to the lease no longer: nobody knows how long the machine slept. It is asked for anew."""
        self._group.lease.doubt()
        self._has_work.set()
        self._note_hand_out()

    async def _keep_stepping(self) -> None:
        while not self._group.is_done:
            step = self._group.next_step(self._clock())
            self._rearm()
            if step is None:
                self._has_work.clear()
                await self._has_work.wait()
            else:
                await self._take(step)

    async def _take(self, step: Step) -> None:
        try:
            if isinstance(step, CommitStep):
                verdict = await self._writer.call(partial(commit_batch, self._store, step.batch))
                self._carry_out(self._group.settle(verdict, now=self._clock()), verdict.error)
            elif isinstance(step, RenewStep):
                lasts_s = await self._writer.call(self._store.renew)
                self._group.renewed(lasts_s, now=self._clock())
            else:
                adopted = await self._writer.call(partial(self._store.adopt, step.limit))
                self._group.adopted(adopted)
                if adopted:
                    self._on_adopted(adopted)
        except StoreFenced:
            raise
        except StoreError as error:
            self._group.failed(error, now=self._clock())
            self._log_store(error, refused=0)
        self._note_hand_out()

    def _ring(self) -> None:
        self._alarm = None
        self._carry_out(self._group.tick(self._clock()))
        self._has_work.set()
        self._rearm()

    def _rearm(self) -> None:
        """See to it that the alarm rings when something is due; it may ring too early, never too late."""
        due_at = self._group.next_due()
        if due_at is None or (self._alarm is not None and self._rings_at <= due_at):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        # Not asked of the alarm: uvloop's has no time where the moment is as good as here.
        self._rings_at = max(due_at, self._clock() + _LEAST_DELAY_S)
        self._alarm = asyncio.get_running_loop().call_at(self._rings_at, self._ring)

    def _carry_out(self, ruling: Ruling[HeldReply], error: StoreError | None = None) -> None:
        self._log_store(error, refused=len(ruling.refused))
        for reply in ruling.kept:
            reply.connection.release(reply, is_kept=True)
        for reply in ruling.void:
            reply.connection.release(reply, is_kept=False)
        for reply, into in ruling.renamed:
            reply.refusal = joined_reply(into, only_for=reply.only_for)
            reply.connection.release(reply, is_kept=False)
        for reply, into in ruling.renamed_ends:
            reply.refusal = reply.refusal or abandoned_reply(into)
            reply.connection.release(reply, is_kept=False)
        # After the replies: a client hears of its job before a worker can have done it.
        if ruling.committed or ruling.refused or ruling.joined:
            self._on_ruling(ruling)
        self._note_hand_out()
        self._on_released()

    def _note_hand_out(self) -> None:
        may_hand_out = self._group.may_hand_out(self._clock())
        if may_hand_out == self._may_hand_out:
            return
        self._may_hand_out = may_hand_out
        if may_hand_out:
            logger.info("hand out background jobs again")
        else:
            reason = "too many changes wait for the store" if self.is_lease_held else "the store's lease has run out"
            logger.warning("hold back background jobs: %s", reason)
        self._on_hand_out(may_hand_out)

    def _log_store(self, error: StoreError | None, *, refused: int) -> None:
        """Tell of trouble once, and of its end."""
        if isinstance(error, StoreBug) and str(error) != self._told_bug:
            self._told_bug = str(error)
            logger.error("keep outcomes=%d for later: %s", self._group.stuck_outcomes, error, exc_info=error.__cause__)
        if self.is_store_down and not self._was_down:
            logger.error("refuse submits=%d, keep changes=%d: %s", refused, self.pending_changes, error)
        elif self._was_down and not self.is_store_down:
            logger.info("resume commits: the store answers again")
        is_slow = self._group.backlog.is_bounded and not self.is_store_down
        if is_slow and not self._was_slow:
            logger.warning("wait for the store: it has not answered for a second changes=%d", self.pending_changes)
        if self.dropped_changes > self._told_dropped and not self._group.backlog.is_bounded:
            logger.error(
                "dropped progress=%d: the store was away for too long", self.dropped_changes - self._told_dropped
            )
            self._told_dropped = self.dropped_changes
        self._was_down, self._was_slow = self.is_store_down, is_slow

    async def _finish(self, task: asyncio.Task[None]) -> None:
        done, _ = await asyncio.wait({task}, timeout=CLOSE_TIMEOUT_S)
        if done:
            # A bug in it rises here.
            task.result()
        else:
            task.cancel()
            logger.error("wait no longer for the store: it has not answered for %g s", CLOSE_TIMEOUT_S)
        lost = self._group.uncommitted
        if lost:
            logger.error("lose changes=%d: they were not committed when the server ended", lost)

    async def _let_go(self) -> None:
        closing = self._writer.call(self._store.close)
        done, _ = await asyncio.wait({closing}, timeout=CLOSE_TIMEOUT_S)
        if done:
            self._writer.stop()
            closing.result()
        else:
            self._writer.abandon()
            logger.error("leave the store as it is: it cannot be closed")


def joined_reply(into: JobHandle, *, only_for: bytes) -> bytes:
    """Return what a submitter is told whose job another one stands for: its handle, or ERROR.

    Args:
        into: the other job, or the submitted one itself, which is another server's.
        only_for: the submitted one, where the submitter wants no other; else empty.
    """
    if only_for in {b"", into}:
        return encode_response(PacketType.JOB_CREATED, into)
    text = b"a job of this function and unique is not finished at another server: " + into
    return encode_response(PacketType.ERROR, ErrorCode.UNIQUE_TAKEN.encode(), text)


def abandoned_reply(into: JobHandle) -> bytes:
    """Return what a client is told that waits for a job which ended before another one stood for it: WORK_FAIL.

    It hears of the other as its job at the same time, and nobody would ever tell it here what becomes of that.
    """
    return encode_response(PacketType.WORK_FAIL, into)
