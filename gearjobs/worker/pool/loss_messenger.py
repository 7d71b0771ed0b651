"""Tells the world what a worker process died of, without the supervisor having to wait for anybody.

The word goes to a job server, which may be slow or gone; so a child of its own carries it, forked for each death, and
ends. It is not told to stop with the others, and nobody waits for it: what it says is of use to people only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from gearjobs.worker.pool.child_process import be_child
from gearjobs.worker.pool.signal_pipe import SignalPipe
from gearjobs.worker.pool.work_board import HeldJob

#: Called with the jobs and what their process died of.
ReportLoss = Callable[[Sequence[HeldJob], str], None]


class LossMessenger:
    """Sends the word of each death on its way.

    Args:
        report: says it; None where nobody is to be told.
    """

    def __init__(self, report: ReportLoss | None) -> None:
        self._report = report
        self._pids: list[int] = []

    def send(self, signals: SignalPipe, jobs: Sequence[HeldJob], cause: str) -> None:
        """Have the job servers told."""
        report = self._report
        if report is None:
            return
        supervisor_pid = os.getpid()
        pid = signals.fork()
        if pid == 0:
            be_child(lambda: report(jobs, cause), supervisor_pid=supervisor_pid, name="loss messenger")
        self._pids.append(pid)

    def reap(self) -> None:
        """Wait for those that have ended."""
        self._pids = [pid for pid in self._pids if not os.waitpid(pid, os.WNOHANG)[0]]
