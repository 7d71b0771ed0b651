"""A supervisor of worker processes: forks them, replaces the ones that end, stops them without losing their jobs.

It knows nothing of jobs: a child is a function called with its index, which must return after SIGTERM (`Worker.stop`).
SIGTERM or SIGINT to the supervisor becomes SIGTERM to the children; who is still there when the time is over is killed.
The children ignore SIGINT, which a terminal sends to all of them: the supervisor alone decides. When the supervisor
itself is killed, its children die with it. Only what it forked itself is waited for: a program may have other children.
A child that is past the deadline it wrote on the board is killed at once: it is stopped or stuck, and what it runs may
be run by somebody else from then on.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import NoReturn

from gearjobs.errors import UsageError
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.pool.child_slot import ChildSlot
from gearjobs.worker.pool.deadline_board import DeadlineBoard
from gearjobs.worker.pool.parent_death import die_with_parent
from gearjobs.worker.pool.signal_pipe import SignalPipe

logger = logging.getLogger("gearjobs.worker")


#: Seconds from one look at the children's deadlines to the next.
WATCH_EVERY_S = 0.2
#: Seconds a child has after its deadline to end by itself, and say why; with the above, within the time by which all
#: deadlines are early (two seconds, less only where leases are very short).
GRACE_S = 0.2


class PoolEventKind(Enum):
    """What can happen to a pool."""

    #: A child was started.
    STARTED = "started"
    #: A child ended, by itself or as it was told to.
    ENDED = "ended"
    #: The pool was told to stop and tells its children.
    STOPPING = "stopping"
    #: A child did not stop in time, or is past its deadline, and is killed.
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """Something happened to a pool."""

    kind: PoolEventKind
    #: Which child; -1 when all are meant.
    index: int = -1
    #: The child's process id; 0 when all are meant.
    pid: int = 0
    #: How a child ended: its exit code, or minus the signal that ended it.
    exit_code: int = 0
    #: Seconds until the child is replaced.
    pause_s: float = 0.0


class ProcessPool:
    """Keeps `count` children running.

    Args:
        count: how many.
        run_child: called in each child with its index from 0; the child ends when it returns.
        shutdown_timeout_s: seconds the children have to stop before they are killed.
        deadlines: where the children say when they must have ended what they run.
        on_event: called in the supervisor with each PoolEvent.

    Raises:
        UsageError: there would be no child.
    """

    def __init__(
        self,
        count: int,
        run_child: Callable[[int], None],
        *,
        shutdown_timeout_s: float = 30.0,
        deadlines: DeadlineBoard | None = None,
        on_event: Callable[[PoolEvent], None] | None = None,
    ) -> None:
        if count < 1:
            raise UsageError(f"a pool needs at least one process, got {count}")
        self._run_child = run_child
        self._shutdown_timeout_s = shutdown_timeout_s
        self._deadlines = deadlines
        self._on_event = on_event
        self._slots = [ChildSlot(index) for index in range(count)]
        self._is_stopping = False

    def run(self) -> int:
        """Run until SIGTERM or SIGINT, then until all children have ended; main thread only.

        Returns:
            The exit code for the process: 0, or 1 when a child had to be killed.
        """
        with SignalPipe() as signals:
            while not signals.is_stop_asked:
                self._reap()
                self._fill_slots(signals)
                self._wait(signals, self._next_start_at())
            return self._stop(signals)

    def _wait(self, signals: SignalPipe, until: float) -> None:
        """Wait for a signal; with a board of deadlines, no longer than until the next look at it."""
        if self._deadlines is None:
            signals.wait(until)
            return
        signals.wait(min(until, time.monotonic() + WATCH_EVERY_S))
        now = lease_now()
        for slot in self._slots:
            if slot.pid and self._deadlines.is_over(slot.index, now - GRACE_S):
                # Once is enough: the next one to fill the slot begins without a deadline.
                self._deadlines.note(slot.index, math.inf)
                logger.error("Killing worker process past its deadline index=%s pid=%s", slot.index, slot.pid)
                self._kill(slot)

    def _fill_slots(self, signals: SignalPipe) -> None:
        for slot in self._slots:
            if slot.is_due(time.monotonic()):
                self._start(slot, signals)

    def _start(self, slot: ChildSlot, signals: SignalPipe) -> None:
        # What is buffered would be written by both.
        _flush_output()
        if self._deadlines is not None:
            # The one before may have died with its run.
            self._deadlines.note(slot.index, math.inf)
        supervisor_pid = os.getpid()
        pid = signals.fork()
        if pid == 0:
            self._be_child(slot.index, supervisor_pid)
        slot.started(pid, time.monotonic())
        logger.info("Started worker process index=%s pid=%s", slot.index, pid)
        self._tell(PoolEvent(PoolEventKind.STARTED, slot.index, pid))

    def _be_child(self, index: int, supervisor_pid: int) -> NoReturn:
        """Be a child to the end: the supervisor's own code must never go on in it, whatever is raised."""
        exit_code = 1
        try:
            die_with_parent(supervisor_pid)
            self._run_child(index)
            exit_code = 0
        except SystemExit as request:
            exit_code = _exit_code(request)
        except KeyboardInterrupt:
            # What a shell says of a program ended by Ctrl-C; the user knows why.
            exit_code = 128 + signal.SIGINT
        except BaseException:
            # The process ends here; the traceback is its last word.
            logger.critical("Worker process failed index=%s pid=%s", index, os.getpid(), exc_info=True)
        finally:
            _flush_output()
            os._exit(exit_code)

    def _reap(self) -> None:
        """Notice which children have ended."""
        for slot in self._slots:
            if not slot.pid:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                exit_code = os.waitstatus_to_exitcode(status)
                pause_s = slot.ended(time.monotonic())
                self._log_end(slot.index, pid, exit_code)
                self._tell(PoolEvent(PoolEventKind.ENDED, slot.index, pid, exit_code, pause_s))

    def _log_end(self, index: int, pid: int, exit_code: int) -> None:
        ending = f"exit code {exit_code}" if exit_code >= 0 else f"signal {-exit_code} ({signal.strsignal(-exit_code)})"
        level = logging.INFO if self._is_stopping or exit_code == 0 else logging.ERROR
        logger.log(level, "Worker process ended index=%s pid=%s with=%s", index, pid, ending)

    def _next_start_at(self) -> float:
        return min((slot.start_at for slot in self._slots if not slot.pid), default=math.inf)

    def _stop(self, signals: SignalPipe) -> int:
        self._is_stopping = True
        logger.info("Stopping worker processes count=%s", len(self._slots))
        self._tell(PoolEvent(PoolEventKind.STOPPING))
        self._signal_all(signal.SIGTERM)
        kill_at = time.monotonic() + self._shutdown_timeout_s
        exit_code = 0
        self._reap()
        while any(slot.pid for slot in self._slots):
            self._wait(signals, kill_at)
            self._reap()
            if time.monotonic() >= kill_at and any(slot.pid for slot in self._slots):
                self._kill_rest()
                kill_at, exit_code = math.inf, 1
        return exit_code

    def _kill_rest(self) -> None:
        for slot in self._slots:
            if slot.pid:
                logger.error("Killing worker process that did not stop index=%s pid=%s", slot.index, slot.pid)
                self._kill(slot)

    def _kill(self, slot: ChildSlot) -> None:
        self._tell(PoolEvent(PoolEventKind.KILLED, slot.index, slot.pid))
        _send_signal(slot, signal.SIGKILL)

    def _signal_all(self, number: signal.Signals) -> None:
        for slot in self._slots:
            if slot.pid:
                _send_signal(slot, number)

    def _tell(self, event: PoolEvent) -> None:
        if self._on_event is not None:
            self._on_event(event)


def _send_signal(slot: ChildSlot, number: signal.Signals) -> None:
    # Ended, and not waited for yet: the pid is still this child's.
    with suppress(ProcessLookupError):
        os.kill(slot.pid, number)


def _exit_code(request: SystemExit) -> int:
    """Return what the interpreter would make of it."""
    if request.code is None:
        return 0
    if isinstance(request.code, int):
        return request.code
    sys.stderr.write(f"{request.code}\n")
    return 1


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        # Closed or gone: nothing left to save.
        with suppress(OSError, ValueError):
            stream.flush()
