"""Runs the functions of a worker: the wall at which what users' code raises becomes the job's failure.

Around each job stand the hooks that came in, and the watch over its limits and its cancel. Only KeyboardInterrupt and
SystemExit pass: they mean the worker. What goes over the wire before and after is `worker`'s affair, how a run that
does not stop is ended `forced_end`'s.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gearjobs.errors import JobCancelled, SoftTimeout, UsageError
from gearjobs.protocol.wire_text import to_text
from gearjobs.worker.ending.forced_end import report_forced_end
from gearjobs.worker.ending.run_limits import CANCEL_GRACE_S, RunLimits, RunStep
from gearjobs.worker.ending.run_watch import RunWatch
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.running_job import RunningJob

logger = logging.getLogger("gearjobs.worker")

#: Runs a job and returns its result; what it raises is the job's failure.
Run = Callable[[RunningJob], bytes]
#: Called before a job's function; what it raises is the job's failure.
BeforeJob = Callable[[RunningJob], None]
#: Called when a job's outcome is on its way, with the exception of a failed one; what it raises ends the worker.
AfterJob = Callable[[RunningJob, BaseException | None], None]
#: Called when a run was ended by force, and its server told: from any thread, while its function runs. It must end the
#: process.
OnOverrun = Callable[[RunningJob], None]
#: Called with the instant (of `lease_clock`) at which the running job is ended by force, infinity for never.
NoteForcedEnd = Callable[[float], None]


@dataclass(slots=True)
class _Function:
    run: Run
    timeout_s: float
    soft_timeout_s: float


class FunctionRunner:
    """The functions of one worker.

    Args:
        before_job: called in the worker's thread before each job.
        after_job: called in the worker's thread after each job.
        note_forced_end: told when the running job is ended by force, and infinity when it has ended.
    """

    def __init__(
        self, *, before_job: BeforeJob | None, after_job: AfterJob | None, note_forced_end: NoteForcedEnd
    ) -> None:
        self._before_job = before_job
        self._after_job = after_job
        self._note_forced_end = note_forced_end
        self._functions: dict[bytes, _Function] = {}
        self._reclaim_s: dict[bytes, float] = {}
        self._watch = RunWatch(self._act)
        #: How a process is ended; without it no run is ended by force.
        self.on_overrun: OnOverrun | None = None
        #: Seconds from a cancel to the exception in the function.
        self.cancel_grace_s = CANCEL_GRACE_S

    @property
    def reclaim_s(self) -> Mapping[bytes, float]:
        """Each function, and the seconds after which a server takes its jobs back."""
        return self._reclaim_s

    def register(
        self, function: str | bytes, run: Run, *, reclaim_s: float, timeout_s: float, soft_timeout_s: float
    ) -> None:
        """Take a function in; see `Worker.register`.

        Raises:
            UsageError: the name cannot be used, or is taken already.
        """
        name = function.encode() if isinstance(function, str) else function
        if not name or b"\0" in name:
            raise UsageError(f"a function's name must not be empty nor hold a NUL byte, got {name!r}")
        if name in self._functions:
            raise UsageError(f"the function {to_text(name)} is registered already; a worker runs one of that name")
        self._functions[name] = _Function(run, timeout_s, soft_timeout_s)
        self._reclaim_s[name] = reclaim_s

    def outcome(self, job: RunningJob) -> tuple[bytes, BaseException | None]:
        """Run the job and return its result, or why it has none.

        Raises:
            KeyboardInterrupt, SystemExit: raised by the function; nothing more of the job is reported.
        """
        function = self._functions[job.function]
        self._watch.begin(job, self._limits(job, function))
        try:
            # Looked at once the watch hears of cancels: one that comes just now is noted there or here.
            if job.is_cancel_asked:
                return b"", JobCancelled("the job was cancelled before it began")
            if self._before_job is not None:
                self._before_job(job)
            return _checked_result(job, function.run), None
        except (KeyboardInterrupt, SystemExit):
            job.end()
            raise
        except BaseException as error:
            # Not Exception: asyncio's CancelledError is none, and a failure like any other here.
            if not job.is_failure_logged:
                logger.warning("Job failed job=%s function=%s", job.handle, to_text(job.function), exc_info=True)
            return b"", error
        finally:
            self._watch.end()
            if job.ends_at or job.is_cancel_asked:
                self._note_forced_end(float("inf"))

    def cancel(self, *, is_forced: bool) -> None:
        """The running job was cancelled; may be called in any thread."""
        note = self._note_forced_end if self.on_overrun is not None else None
        self._watch.cancel(is_forced=is_forced, grace_s=self.cancel_grace_s, note=note)

    @property
    def wants_ends(self) -> bool:
        """Whether somebody is told of the ends of jobs."""
        return self._after_job is not None

    def tell_end(self, job: RunningJob, error: BaseException | None) -> None:
        """The job's outcome is on its way."""
        if self._after_job is not None:
            self._after_job(job, error)

    def close(self) -> None:
        """End the watch."""
        self._watch.close()

    def _limits(self, job: RunningJob, function: _Function) -> RunLimits | None:
        # What the job itself says counts; a stock server's, or a foreign client's, says nothing.
        job.timeout_s = (job.timeout_s or function.timeout_s) if self.on_overrun is not None else 0.0
        job.soft_timeout_s = job.soft_timeout_s or function.soft_timeout_s
        if not (job.timeout_s or job.soft_timeout_s):
            return None
        limits = RunLimits(lease_now(), timeout_s=job.timeout_s, soft_timeout_s=job.soft_timeout_s)
        if job.timeout_s:
            job.ends_at = time.time() + job.timeout_s
            self._note_forced_end(limits.end_at)
        return limits

    def _act(self, job: RunningJob, step: RunStep) -> None:
        """Do what is due to the running job."""
        if step is RunStep.WARN:
            job.is_warned = True
            job.interruption.interrupt(SoftTimeout(f"the run took longer than {job.soft_timeout_s:g} s (soft_timeout)"))
        elif step is RunStep.STOP:
            job.interruption.interrupt(JobCancelled("the job was cancelled while it ran"))
        elif self.on_overrun is not None:
            report_forced_end(job, step)
            self.on_overrun(job)


def _checked_result(job: RunningJob, run: Run) -> bytes:
    # Nobody checks the types of users' code but this.
    result: object = run(job)
    if not isinstance(result, bytes):
        name = to_text(job.function)
        raise TypeError(f"the function {name} must return bytes, got {type(result).__name__}")
    return result
