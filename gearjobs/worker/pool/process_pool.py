"""A supervisor of worker processes: forks them, replaces the ones that end, stops them without losing their jobs.

It knows nothing of jobs: a child is a function called with its place, which must return after SIGTERM. SIGTERM or
SIGINT to the supervisor becomes SIGTERM to the children; who is still there when the time is over is killed. SIGHUP is
new code (`renewal`, `rolling`), SIGUSR1 and SIGUSR2 are passed on as what they say: take no jobs, take them again. The
children ignore SIGINT, which a terminal sends to all of them. When the supervisor itself is killed, its children die
with it. Only what it forked itself is waited for. How many there are and who has had his share: `children_watch`.
"""

from __future__ import annotations

import logging
import math
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gearjobs.errors import UsageError
from gearjobs.worker.pool.child_process import be_child, flush_output, send_signal, words_of_end
from gearjobs.worker.pool.child_slot import ChildSlot, PoolGroup
from gearjobs.worker.pool.children_watch import ChildrenWatch
from gearjobs.worker.pool.loss_messenger import LossMessenger
from gearjobs.worker.pool.pool_events import PoolEvent, PoolEventKind
from gearjobs.worker.pool.pool_services import PoolServices, PoolState, PoolView
from gearjobs.worker.pool.pool_succession import hand_over, make_slots, take_over
from gearjobs.worker.pool.recycling import RecycleLimits, draw_limits
from gearjobs.worker.pool.renewal import Handover
from gearjobs.worker.pool.rolling import Rolling
from gearjobs.worker.pool.signal_pipe import QUIET_SIGNAL, RELOAD_SIGNAL, RESUME_SIGNAL, SignalPipe
from gearjobs.worker.pool.work_board import Ending, ProcessCell, WorkBoard

logger = logging.getLogger("gearjobs.worker")

#: Seconds from one look at the children to the next.
WATCH_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class ChildPlace:
    """What a child is told of itself."""

    #: In the pool, from 0.
    index: int
    group: str
    #: In its group, from 0.
    number: int
    #: Where it writes what its supervisor must know.
    cell: ProcessCell
    #: After what it is to end by itself.
    limits: RecycleLimits


class ProcessPool:
    """Keeps the children of some groups running.

    Args:
        groups: what children there are.
        run_child: called in each child; the child ends when it returns.
        shutdown_timeout_s: seconds the children have to stop before they are killed.
        services: who stands beside.
        handover: what the program left that this one has taken the place of.

    Raises:
        UsageError: there would be no child.
    """

    def __init__(
        self,
        groups: Sequence[PoolGroup],
        run_child: Callable[[ChildPlace], None],
        *,
        shutdown_timeout_s: float = 30.0,
        services: PoolServices | None = None,
        handover: Handover | None = None,
    ) -> None:
        counts = [group.lanes for group in groups for _ in range(group.scale.most)]
        if not counts:
            raise UsageError("a pool needs at least one process, got 0")
        self._run_child = run_child
        self._shutdown_timeout_s = shutdown_timeout_s
        self._services = services or PoolServices()
        left = handover or Handover()
        self._boards = [WorkBoard.opened(one.descriptor, one.lane_counts) for one in left.boards]
        self._rolling = Rolling(take_over(left, self._boards))
        self._boards.append(WorkBoard(counts))
        self._slots = make_slots(groups, self._boards[-1])
        self._watch = ChildrenWatch(groups, self)
        self._messenger = LossMessenger(self._services.report_loss)
        self._is_stopping = False
        self._is_quiet = left.is_quiet

    def run(self) -> int:
        """Run until SIGTERM or SIGINT, then until all children have ended; main thread only.

        It also ends when no child is wanted any more: all have drained their queues, or were stopped by operators.

        Returns:
            The exit code for the process: 0, or 1 when a child had to be killed.
        """
        with SignalPipe() as signals:
            for sideline in self._services.sidelines:
                sideline.open(signals)
            try:
                while not signals.is_stop_asked:
                    self._obey(signals)
                    self._reap(signals)
                    self._roll()
                    self._fill_slots(signals)
                    if not any(slot.pid or slot.is_wanted for slot in (*self._slots, *self._rolling.elders)):
                        return 0
                    self._wait(signals, self._next_start_at())
                return self._stop(signals)
            finally:
                for sideline in self._services.sidelines:
                    sideline.close()

    def view(self) -> PoolView:
        """Return the pool at a glance."""
        slots = [slot for slot in (*self._slots, *self._rolling.elders) if slot.pid]
        return PoolView(
            self._state,
            sum(1 for slot in self._slots if slot.is_wanted),
            len(slots),
            sum(1 for slot in slots if slot.cell.has_servers),
            sum(slot.cell.busy_lanes for slot in slots),
            sum(len(slot.cell.lanes) for slot in slots),
            sum(slot.cell.row.jobs_done for slot in slots),
            sum(slot.cell.row.jobs_failed for slot in slots),
        )

    def kill(self, slot: ChildSlot) -> None:
        """End a child at once."""
        self._tell(PoolEvent(PoolEventKind.KILLED, slot.index, slot.pid))
        send_signal(slot.pid, signal.SIGKILL)

    def tell_to_end(self, slot: ChildSlot, reason: str) -> None:
        """Have a child end once its jobs have."""
        logger.info("Ending worker process index=%s pid=%s: %s", slot.index, slot.pid, reason)
        slot.is_told = True
        send_signal(slot.pid, signal.SIGTERM)

    @property
    def _state(self) -> PoolState:
        if self._is_stopping:
            return PoolState.STOPPING
        renewal = self._services.renewal
        if not self._rolling.is_over or (renewal is not None and renewal.is_trying):
            return PoolState.RELOADING
        return PoolState.QUIET if self._is_quiet else PoolState.RUNNING

    def _obey(self, signals: SignalPipe) -> None:
        """Do what operators said by signals."""
        renewal = self._services.renewal
        if signals.take(RELOAD_SIGNAL) and renewal is not None:
            logger.info("Trying the code as it is now")
            renewal.begin()
        if said := signals.take(QUIET_SIGNAL, RESUME_SIGNAL):
            self._be_quiet(is_quiet=said == QUIET_SIGNAL)
        complaint = renewal.verdict() if renewal is not None else None
        if complaint:
            logger.error("The new code does not start; the old goes on: %s", complaint)
        elif complaint is not None and renewal is not None:
            logger.info("Becoming the new code")
            flush_output()
            signals.hold_back()
            try:
                renewal.become_new(hand_over(self._boards, self._slots, self._rolling.elders, is_quiet=self._is_quiet))
            except OSError:
                signals.let_through()
                logger.exception("The new code could not be executed; the old goes on")

    def _be_quiet(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        logger.info("Worker processes %s", "take no more jobs" if is_quiet else "take jobs again")
        for slot in self._slots:
            # Who was stopped from afar is wanted again.
            slot.is_wanted = slot.is_wanted or (not is_quiet and slot.number < slot.group.scale.least)
        for slot in (*self._slots, *self._rolling.elders):
            # Noted first: a child that starts now has no handler yet, and looks there.
            slot.cell.row.is_quiet = is_quiet
            if slot.pid:
                send_signal(slot.pid, QUIET_SIGNAL if is_quiet else RESUME_SIGNAL)

    def _wait(self, signals: SignalPipe, until: float) -> None:
        view = self.view()
        for sideline in self._services.sidelines:
            sideline.turn(view, time.monotonic())
        signals.wait(min(until, time.monotonic() + WATCH_EVERY_S))
        self._watch.look(self._slots, self._rolling.elders, may_scale=self._state is PoolState.RUNNING)

    def _roll(self) -> None:
        if self._rolling.is_over:
            return
        elder = self._rolling.next_to_go(self._slots, time.monotonic())
        if elder is not None:
            self.tell_to_end(elder, "new code takes its place")

    def _fill_slots(self, signals: SignalPipe) -> None:
        kept = {elder.index for elder in self._rolling.elders}
        for slot in self._slots:
            if slot.index not in kept and slot.is_due(time.monotonic()):
                self._start(slot, signals)

    def _start(self, slot: ChildSlot, signals: SignalPipe) -> None:
        # What is buffered would be written by both.
        flush_output()
        slot.cell.clear()
        slot.cell.row.is_quiet = self._is_quiet
        slot.limits = draw_limits(slot.group.recycle, jitter=slot.group.jitter, chance=random.random())
        supervisor_pid = os.getpid()
        pid = signals.fork()
        if pid == 0:
            place = ChildPlace(slot.index, slot.group.name, slot.number, slot.cell, slot.limits)
            be_child(lambda: self._run_child(place), supervisor_pid=supervisor_pid, name=f"worker {slot.index}")
        slot.started(pid, time.monotonic())
        again = f" after={slot.last_cause!r} quick_ends={slot.quick_ends}" if slot.quick_ends else ""
        logger.info("Started worker process index=%s group=%s pid=%s%s", slot.index, slot.group.name, pid, again)
        self._tell(PoolEvent(PoolEventKind.STARTED, slot.index, pid))

    def _reap(self, signals: SignalPipe) -> None:
        """Notice which children have ended."""
        self._messenger.reap()
        for slot in (*self._slots, *self._rolling.elders):
            if not slot.pid:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                self._bury(slot, os.waitstatus_to_exitcode(status), signals)
        self._rolling.elders[:] = [elder for elder in self._rolling.elders if elder.pid]

    def _bury(self, slot: ChildSlot, exit_code: int, signals: SignalPipe) -> None:
        pid, ending = slot.pid, slot.cell.row.ending
        cause, held_jobs = words_of_end(exit_code), tuple(slot.cell.held_jobs)
        is_planned = exit_code == 0 and (slot.is_told or ending != Ending.UNSAID)
        if exit_code == 0 and ending in (Ending.STOPPED, Ending.DRAINED):
            slot.is_wanted = False
        pause_s = slot.ended(time.monotonic(), is_planned=is_planned, cause=cause)
        level = logging.INFO if self._is_stopping or exit_code == 0 else logging.ERROR
        logger.log(level, "Worker process ended index=%s pid=%s with=%s", slot.index, pid, cause)
        if slot.quick_ends > 1 and slot.is_wanted and not self._is_stopping:
            logger.error(
                "Worker process ends soon after its start index=%s times=%d last=%r: next try in %.0f s",
                slot.index,
                slot.quick_ends,
                cause,
                pause_s,
            )
        if held_jobs:
            memory = f", with {slot.rss_bytes / 1024**2:.0f} MiB of memory when last seen" if slot.rss_bytes else ""
            self._messenger.send(signals, held_jobs, f"worker process {pid} ended with {cause}{memory}")
        self._tell(PoolEvent(PoolEventKind.ENDED, slot.index, pid, exit_code, pause_s, cause, held_jobs))

    def _next_start_at(self) -> float:
        return min((slot.start_at for slot in self._slots if slot.is_wanted and not slot.pid), default=math.inf)

    def _stop(self, signals: SignalPipe) -> int:
        self._is_stopping = True
        if self._services.renewal is not None:
            self._services.renewal.give_up()
        slots = (*self._slots, *self._rolling.elders)
        logger.info("Stopping worker processes count=%s", sum(1 for slot in slots if slot.pid))
        self._tell(PoolEvent(PoolEventKind.STOPPING))
        for slot in slots:
            if slot.pid:
                send_signal(slot.pid, signal.SIGTERM)
        kill_at = time.monotonic() + self._shutdown_timeout_s
        exit_code = 0
        self._reap(signals)
        while any(slot.pid for slot in slots):
            self._wait(signals, kill_at)
            self._reap(signals)
            if time.monotonic() >= kill_at and any(slot.pid for slot in slots):
                self._kill_rest(slots)
                kill_at, exit_code = math.inf, 1
        return exit_code

    def _kill_rest(self, slots: Sequence[ChildSlot]) -> None:
        for slot in slots:
            if slot.pid:
                logger.error("Killing worker process that did not stop index=%s pid=%s", slot.index, slot.pid)
                self.kill(slot)

    def _tell(self, event: PoolEvent) -> None:
        if self._services.on_event is not None:
            self._services.on_event(event)
