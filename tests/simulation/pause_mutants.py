"""Queues that each break a rule of pauses; what they are for is said in `mutants`."""

from __future__ import annotations

from collections.abc import Mapping

from gearjobs.core.function_brake import QueueControl
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import FunctionName


class QueueThatPausesNothing(JobQueue):
    """What operators say is not heard."""

    def control_functions(self, controls: Mapping[FunctionName, QueueControl], *, now: float) -> None:
        """Pass it over."""


class QueueThatNeverGoesOn(JobQueue):
    """What is paused once stays so."""

    def control_functions(self, controls: Mapping[FunctionName, QueueControl], *, now: float) -> None:
        for name in self._abilities.controls:
            controls = {**controls, name: QueueControl(is_paused=True)}
        super().control_functions(controls, now=now)
