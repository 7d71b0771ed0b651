"""What an operator does to the queue: cancel or change jobs, clear, pause, limit, create and drop functions.

A door like `job_queue`, which is built on this: no policy of its own, each verb either has its whole effect or raises
QueueRefusal and changes nothing. Lines and packets come here by way of the server, which asks who may send them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gearjobs.core.cancellation import cancel, clear, drop_function, list_waiting
from gearjobs.core.function_brake import NO_CONTROL, QueueControl
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.rescheduling import Wish, reschedule
from gearjobs.core.run_reports import RunReports
from gearjobs.core.submission import CancelReceipt, ChangeReceipt


class OperatorVerbs(RunReports):
    """The operator's side of the queue of one job server."""

    def cancel_job(self, handle: JobHandle, *, is_forced: bool = True, reason: str = "", now: float) -> CancelReceipt:
        """CANCEL_JOB, and `cancel job` by force: end a job; its clients hear WORK_FAIL, its unique is free.

        Args:
            handle: the job, at whatever stage it is.
            is_forced: whether it ends at once though its worker could be asked to stop it.
            reason: why, for its record; may be empty.
            now: unix seconds.

        Raises:
            JobUnknown: it never was, or it has ended.
        """
        return cancel(self._life, self._abilities, handle, is_forced=is_forced, reason=reason, now=now)

    def change_job(self, handle: JobHandle, wish: Wish, *, now: float) -> ChangeReceipt:
        """CHANGE_JOB: let a job that waits for a worker, or for its time, wait as it is wanted now.

        Args:
            handle: the job; what runs, has ended or is not known is left as it is, and the receipt says so.
            wish: what is to be another.
            now: unix seconds.
        """
        return reschedule(self._life, self._abilities, handle, wish=wish, now=now)

    def waiting_jobs(self, name: FunctionName) -> list[JobHandle]:
        """Return the function's jobs that wait for a worker, however many; one pass over all live jobs."""
        return list_waiting(self._life, name)

    def clear_jobs(self, handles: Sequence[JobHandle], *, reason: str = "", now: float) -> int:
        """`clear`: end those of the jobs as cancelled that wait for a worker; return how many.

        Args:
            handles: as `waiting_jobs` named them, or some of them at a time; those that wait no more are passed over.
            reason: why, for their records.
            now: unix seconds.
        """
        return clear(self._life, handles, reason=reason, now=now)

    def create_function(self, name: FunctionName) -> None:
        """`create function`: let the function be listed, and limited, before anybody uses it."""
        self._abilities.function(name)

    def drop_function(self, name: FunctionName) -> None:
        """`drop function`: remove a function, named in any case, and its jobs with their rows.

        Raises:
            FunctionUnknown: there is none of that name.
            FunctionInUse: workers can do it, or run a job of it.
        """
        drop_function(self._life, self._abilities, name)

    def limit_function(self, name: FunctionName, limits: tuple[int, int, int]) -> None:
        """`maxqueue`: refuse new jobs from so many on, per lane (high, normal, low), 0 for any number.

        A function that nobody has mentioned is passed over, as gearmand does; and one whose limits `control_functions`
        said, which hold until they are taken back there.
        """
        queue = self._abilities.functions.get(name)
        if queue is not None and self._abilities.controls.find(name).max_jobs is None:
            queue.limits = limits

    def pause_function(self, name: FunctionName, *, is_paused: bool, now: float) -> None:
        """`pause` and `resume`: hand out no job of the function from now on, or hand them out again.

        It may be one that nobody has mentioned yet. Jobs that run go on.
        """
        control = replace(self._abilities.controls.find(name), is_paused=is_paused)
        self._abilities.control(name, control, now=now)

    def control_functions(self, controls: Mapping[FunctionName, QueueControl], *, now: float) -> None:
        """Let the functions obey this, and all others nothing; what is said already changes nothing."""
        for name in dict.fromkeys([*controls, *self._abilities.controls]):
            control = controls.get(name, NO_CONTROL)
            if control != self._abilities.controls.find(name):
                self._abilities.control(name, control, now=now)

    def control_of(self, name: FunctionName) -> QueueControl:
        """Return what the function has to obey."""
        return self._abilities.controls.find(name)
