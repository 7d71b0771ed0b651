"""One lane of an asyncio worker: connections of its own, and one job at a time.

The twin of `worker.worker` and `worker.holding.contact` in one: while the job's function runs, the lane itself keeps in
contact with its servers, since a coroutine leaves it the time to. What it holds of a job that may outlive its server,
how long that may go on, and what becomes of outcomes that were not settled, is `worker.holding`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from gearjobs.aio.async_rota import AsyncRota
from gearjobs.aio.async_runner import AsyncRunner
from gearjobs.aio.async_running_job import AsyncRunningJob
from gearjobs.aio.async_worker_connection import AsyncWorkerConnection
from gearjobs.errors import JobCancelled, SoftTimeout
from gearjobs.protocol.wire_text import to_bytes, to_text
from gearjobs.worker.ending.forced_end import report_forced_end
from gearjobs.worker.ending.run_limits import RunLimits, RunStep
from gearjobs.worker.failure_report import run_report
from gearjobs.worker.holding.contact import LOOK_EVERY_S
from gearjobs.worker.holding.held_work import HeldRun, HeldWork
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.holding.outcome_packets import failure_packet, success_packet
from gearjobs.worker.holding.report_route import ReportRoute
from gearjobs.worker.holding.run_lease import RunVerdict
from gearjobs.worker.worker import LAST_ANSWER_TIMEOUT_S, SETTLE_TIMEOUT_S

logger = logging.getLogger("gearjobs.worker")

#: Seconds a coroutine that was ended may go on cleaning up before the lane takes the next job beside it.
ENDED_PATIENCE_S = 1.0


@dataclass(slots=True)
class LaneWishes:
    """What the worker wants of all its lanes."""

    is_stopping: bool = False
    is_quiet: bool = False
    #: Seconds from the cancel of a running job to the exception in its function.
    cancel_grace_s: float = 10.0

    @property
    def goes_on(self) -> bool:
        """Whether jobs are taken."""
        return not (self.is_stopping or self.is_quiet)


@dataclass(slots=True, eq=False)
class _Run:
    """One run, from the hand-over to its outcome."""

    job: AsyncRunningJob
    connection: AsyncWorkerConnection
    limits: RunLimits
    #: Whether it can be ended by force: a coroutine.
    is_endable: bool
    #: What is held of it, where it may outlive its server; its route then is not the connection.
    held: HeldRun | None
    route: ReportRoute | None


class AsyncLane:
    """Takes and runs jobs, one at a time.

    Args:
        make_rota: makes the lane's connections, told what the lane holds.
        runner: of the worker's functions.
        wishes: what the worker wants.
    """

    def __init__(self, make_rota: Callable[[HeldWork], AsyncRota], runner: AsyncRunner, wishes: LaneWishes) -> None:
        self._held = HeldWork()
        self._rota = make_rota(self._held)
        self._runner = runner
        self._wishes = wishes
        self._run: _Run | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a function runs."""
        return self._run is not None

    def wake(self) -> None:
        """Have the lane look at what is wanted of it."""
        self._rota.wake()

    async def work(self) -> None:
        """Take and run jobs until the worker stops; cancelled, it gives the running one back."""
        rota = self._rota
        try:
            while not self._wishes.is_stopping:
                rota.rest_or_rise(is_quiet=self._wishes.is_quiet)
                connection = await rota.next_turn(may_grab=not self._wishes.is_quiet)
                if connection is not None:
                    await self._run_job(connection)
            await self._take_last()
            await self._settle()
        finally:
            await rota.leave()

    async def _run_job(self, connection: AsyncWorkerConnection) -> None:
        run = self._begin(connection)
        if run is None:
            return
        self._run = run
        started_at = lease_now()
        running = asyncio.create_task(self._runner.outcome(run.job), name=f"gearjobs-run-{run.job.handle}")
        running.add_done_callback(lambda _: self._rota.wake())
        try:
            await self._keep_contact(run, running)
        except asyncio.CancelledError:
            await self._give_up(run, running)
            raise
        finally:
            self._run = None
        if running.done():
            result, error = running.result()
        else:
            logger.error("Left a function that goes on after its run was ended job=%s", run.job.handle)
            result, error = b"", None
        run.job.end()
        if not run.job.has_extensions:
            self._rota.restraint.note_end(
                run.job.function, is_failure=error is not None, started_at=started_at, now=lease_now()
            )
        self._report_outcome(run, result, error)

    async def _give_up(self, run: _Run, running: asyncio.Task[tuple[bytes, BaseException | None]]) -> None:
        """End a run whose job is given back, as far as its function lets itself be ended."""
        logger.warning("Give back the running job job=%s", run.job.handle)
        run.job.is_failure_logged = True
        try:
            if not run.is_endable:
                # Else the thread went on beside the next worker that has the job.
                run.job.interruption.interrupt(JobCancelled("the worker was cancelled"))
                await asyncio.wait([running], timeout=ENDED_PATIENCE_S)
                if not running.done():
                    logger.error("Left a function that goes on after its run was ended job=%s", run.job.handle)
        finally:
            running.cancel()
        await asyncio.wait([running], timeout=ENDED_PATIENCE_S)
        run.job.end()

    def _begin(self, connection: AsyncWorkerConnection) -> _Run | None:
        """Hold the job that was handed over; None for one that came too late."""
        assignment = connection.grab_loop.held()
        held = self._held.begin_run(connection.grab_loop)
        if held is not None and self._held.verdict(lease_now()) is not RunVerdict.GOES_ON:
            # It was under way for so long that its server may have given it to somebody else meanwhile.
            self._held.lose_run()
            self._rota.leave_one(connection, f"it assigned job {to_text(assignment.handle)} too late")
            return None
        route = None if held is None else ReportRoute(connection)
        reporting = connection if route is None else route
        job = AsyncRunningJob(
            assignment,
            reporting.report,
            drain=self._drain,
            has_extensions=connection.grab_loop.has_extensions,
            server=str(connection.address),
            send_last=reporting.report_last,
        )
        function = self._runner.function_of(job)
        # What the job itself says counts; a thread cannot be ended.
        job.timeout_s = (job.timeout_s or function.run_timeout_s) if function.is_coroutine else 0.0
        job.soft_timeout_s = job.soft_timeout_s or function.soft_timeout_s
        limits = RunLimits(lease_now(), timeout_s=job.timeout_s, soft_timeout_s=job.soft_timeout_s)
        run = _Run(job, connection, limits, is_endable=function.is_coroutine, held=held, route=route)
        self._hear_cancels(run)
        return run

    async def _keep_contact(self, run: _Run, running: asyncio.Task[tuple[bytes, BaseException | None]]) -> None:
        """Look after the run until its function has ended, or is not waited for any more."""
        while not running.done():
            while (step := run.limits.take_due(lease_now())) is not None:
                if self._take_step(run, step):
                    running.cancel()
                    await asyncio.wait([running], timeout=ENDED_PATIENCE_S)
                    return
            until = run.limits.due_at
            if run.held is not None and self._still_holds(run, run.held):
                self._follow(run, run.held)
                until = min(until, lease_now() + LOOK_EVERY_S)
            await self._rota.next_turn(may_grab=False, until=until)
            self._hear_cancels(run)

    def _take_step(self, run: _Run, step: RunStep) -> bool:
        """Do what is due to the run; return whether it was ended by force."""
        job = run.job
        if step is RunStep.WARN:
            job.is_warned = True
            job.interruption.interrupt(SoftTimeout(f"the run took longer than {job.soft_timeout_s:g} s (soft_timeout)"))
        elif step is RunStep.STOP:
            job.interruption.interrupt(JobCancelled("the job was cancelled while it ran"))
        elif run.is_endable:
            report_forced_end(job, step)
            return True
        return False

    def _still_holds(self, run: _Run, held: HeldRun) -> bool:
        """Whether the run is still this lane's; have it stopped, once, when it is not."""
        if run.job.is_lost:
            return False
        connection = self._rota.connection_of(held.grab_loop)
        if connection is not None:
            held.lease.heard(lease_now() - connection.silence_s())
        verdict = self._held.verdict(lease_now())
        if verdict is RunVerdict.GOES_ON:
            return True
        run.job.is_lost = True
        logger.error("Lost the running job job=%s reason=%s", run.job.handle, verdict.value)
        left = self._rota.connection_of(self._held.lose_run())
        if left is not None:
            self._rota.leave_one(left, f"a run is over: {verdict.value}")
        # Another worker may have the job: its outcome here is not wanted.
        run.job.interruption.interrupt(JobCancelled(f"the run was lost: {verdict.value}"))
        return False

    def _follow(self, run: _Run, held: HeldRun) -> None:
        """Lead the reports to where the run is now, and let the kernel ask for signs of life there."""
        connection = self._rota.connection_of(held.grab_loop)
        if run.route is not None:
            run.route.lead_to(connection)
        if connection is not None:
            run.connection = connection
            connection.probe_often()
            run.job.send_late_progress()

    def _hear_cancels(self, run: _Run) -> None:
        if not self._held.cancels:
            return
        for asked in self._held.take_cancels(to_bytes(run.job.handle)):
            logger.info("Cancelling the running job job=%s forced=%s", run.job.handle, asked.is_forced)
            run.job.is_cancel_asked = True
            run.limits.cancel(lease_now(), is_forced=asked.is_forced, grace_s=self._wishes.cancel_grace_s)

    def _report_outcome(self, run: _Run, result: bytes, error: BaseException | None) -> None:
        job, connection = run.job, run.connection
        if job.is_ended_by_force:
            if run.held is not None and not job.is_lost:
                self._held.lose_run()
            self._rota.leave_one(connection, "the end of a run was reported by force")
        elif run.held is None:
            if error is None:
                connection.grab_loop.work_complete(result)
            else:
                connection.grab_loop.work_fail(run_report(job, error), tells_why=not job.fails_plainly)
        elif self._still_holds(run, run.held):
            handle = run.held.assignment.handle
            last = success_packet(handle, result) if error is None else failure_packet(handle, run_report(job, error))
            backlog = b"" if run.route is None else run.route.close()
            self._held.end_run(backlog + last, lease_now())
        else:
            logger.error("Dropped the outcome of a lost run job=%s", job.handle)
        is_served = self._rota.report_end(connection, goes_on=self._wishes.goes_on)
        if run.held is None and not is_served and not job.is_ended_by_force:
            logger.error("Lost the outcome with the job server; the job runs again job=%s", job.handle)

    async def _take_last(self) -> None:
        """Run a job that may be on its way already: given back, it would have been an attempt for nothing."""
        until = lease_now() + LAST_ANSWER_TIMEOUT_S
        while self._rota.is_asking and lease_now() < until:
            connection = await self._rota.next_turn(may_grab=False, until=until)
            if connection is not None:
                await self._run_job(connection)

    async def _settle(self) -> None:
        """Wait a while for the outcomes that no server has settled yet."""
        until = lease_now() + SETTLE_TIMEOUT_S
        while len(self._held.outcomes) and lease_now() < until:
            await self._rota.next_turn(may_grab=False, until=until)
        if left := len(self._held.outcomes):
            logger.error("Stopped with outcomes that no job server has settled count=%d", left)

    async def _drain(self) -> None:
        run = self._run
        if run is not None:
            await run.connection.drain()
