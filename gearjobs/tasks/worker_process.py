"""A worker process from its fork to its end: one or several Gearman workers that run this project's tasks.

The supervisor (`worker.pool`) forks it and tells it by SIGTERM to stop after the running jobs, by SIGUSR1 to take none
and by SIGUSR2 to take them again. Each lane is a Worker with connections of its own and runs one job at a time: one in
the main thread, several in threads, or many in threads that only wait while coroutines run in the main thread's event
loop. A run that is lost, or over its time, ends the whole process at once: nothing else ends a function for sure. The
jobs of the other lanes are lost with it, and run again. What a job needs around it stands in `execution`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from functools import partial
from types import FrameType
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections

from gearjobs.protocol.worker_report import WorkerReport, WorkerState, encode_report
from gearjobs.signals import worker_started, worker_stopped
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.site_security import site_security
from gearjobs.tasks.task import options_of
from gearjobs.tasks.worker_groups import ASYNC, WorkerGroup
from gearjobs.version import __version__
from gearjobs.worker.ending.interruption import hear_interrupts
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.pool.process_memory import rss_bytes
from gearjobs.worker.pool.process_pool import ChildPlace
from gearjobs.worker.pool.recycling import reason_to_recycle
from gearjobs.worker.pool.signal_pipe import QUIET_SIGNAL, RESUME_SIGNAL
from gearjobs.worker.pool.work_board import Ending, LaneRow
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker

logger = logging.getLogger("gearjobs.tasks")

#: What an operator may say by way of a job server.
_QUIET, _RESUME, _STOP = "quiet", "resume", "stop"


class WorkerProcess:
    """One process and its lanes.

    Args:
        place: what its supervisor says of it.
        group: what it does.
        name: makes its id `<name>-<index>`; by default that is `<host>-<pid>`. Several lanes have a number each.
        is_batch: whether it ends when there is nothing left to do.
    """

    def __init__(self, place: ChildPlace, group: WorkerGroup, *, name: str = "", is_batch: bool = False) -> None:
        self._place = place
        self._group = group
        self._is_batch = is_batch
        self._started_at = time.time()
        self._age_from = time.monotonic()
        self._lock = threading.Lock()
        self._is_stopping = False
        self._failure: BaseException | None = None
        self.worker_id = f"{name}-{place.index}" if name else f"{socket.gethostname()}-{os.getpid()}"
        lanes = place.cell.lanes
        ids = [self.worker_id] if len(lanes) == 1 else [f"{self.worker_id}.{number}" for number in range(len(lanes))]
        self._workers = [self._make_worker(lane, lane_id) for lane, lane_id in zip(lanes, ids, strict=True)]

    def run(self) -> None:
        """Take and run jobs until SIGTERM; must be the main thread.

        Raises:
            KeyboardInterrupt, SystemExit: raised by a job, which was given back to its server.
        """
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(QUIET_SIGNAL, self._signalled)
        signal.signal(RESUME_SIGNAL, self._signalled)
        hear_interrupts()
        if self._place.cell.row.is_quiet:
            self.control(_QUIET)
        worker_started.send_robust(sender=None, worker_id=self.worker_id)
        try:
            if self._group.executor == ASYNC:
                asyncio.run(self._run_in_loop())
            elif len(self._workers) > 1:
                self._run_in_threads()
            else:
                self._workers[0].work()
        finally:
            worker_stopped.send_robust(sender=None, worker_id=self.worker_id)
            connections.close_all()
        if self._failure is not None:
            raise self._failure

    def control(self, verb: str) -> None:
        """Do what an operator says to the process, by a signal or by way of a server; in any thread."""
        logger.info("Told verb=%s pid=%s", verb, os.getpid())
        if verb == _STOP:
            self._end(Ending.STOPPED)
        for worker in self._workers:
            if verb == _QUIET:
                worker.quiet()
            elif verb == _RESUME:
                worker.resume()

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            self._stop()
        else:
            # In a context of its own: what is logged now is not the job's whose code was interrupted, perhaps where it
            # has the locks of its reports.
            Context().run(self.control, _QUIET if number == QUIET_SIGNAL else _RESUME)

    def _end(self, ending: Ending) -> None:
        """Leave word of why the process ends, and end."""
        if not self._is_stopping:
            self._place.cell.row.ending = ending
            self._stop()

    def _stop(self) -> None:
        self._is_stopping = True
        for worker in self._workers:
            worker.stop()

    def _run_in_threads(self) -> None:
        threads = [
            threading.Thread(target=self._work, args=(worker,), name=f"gearjobs-lane-{number}")
            for number, worker in enumerate(self._workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    async def _run_in_loop(self) -> None:
        """Run the lanes in threads that know of this loop: there `async_to_sync` runs coroutines in it."""
        with ThreadPoolExecutor(len(self._workers), thread_name_prefix="gearjobs-lane") as threads:
            work = sync_to_async(self._work, thread_sensitive=False, executor=threads)
            await asyncio.gather(*(work(worker) for worker in self._workers))

    def _work(self, worker: Worker) -> None:
        """Be a lane in a thread of its own; what ends one lane ends them all."""
        try:
            worker.work()
        except BaseException as failure:  # noqa: BLE001 - raised again by the main thread
            self._failure = self._failure or failure
            self._stop()
        finally:
            connections.close_all()

    def _make_worker(self, lane: LaneRow, worker_id: str) -> Worker:
        worker = Worker(self._group.plan.servers, client_id=worker_id, security=site_security())
        worker.watch_runs(
            on_lost=_end_with_lost_run, on_overrun=_end_with_overrun, note_deadline=partial(setattr, lane, "deadline")
        )
        worker.show_state(
            report=_Reports(self._report).make,
            on_control=self.control,
            on_turn=lambda servers, is_idle: self._turned(lane, worker, servers=servers, is_idle=is_idle),
        )
        for function, task in self._group.plan.tasks.items():
            options = options_of(task)
            worker.register(
                function,
                partial(self._run_job, task=task, lane=lane, worker_id=worker_id),
                run_timeout_s=options.timeout_s,
                soft_timeout_s=options.soft_timeout_s,
            )
        return worker

    def _run_job(self, job: RunningJob, *, task: Task[..., Any], lane: LaneRow, worker_id: str) -> bytes:
        lane.begin(job.handle, job.attempt, server=job.server)
        is_done = False
        try:
            result = run_job(job, task=task, worker_id=worker_id)
            is_done = True
        finally:
            lane.end()
            # Before the outcome leaves: another job would be asked for with it.
            self._count(is_failed=not is_done)
        return result

    def _count(self, *, is_failed: bool) -> None:
        row = self._place.cell.row
        with self._lock:
            row.jobs_done += 1
            row.jobs_failed += is_failed
        limits = self._place.limits
        reason = reason_to_recycle(
            limits,
            jobs=row.jobs_done,
            rss_bytes=rss_bytes(os.getpid()) if limits.rss_bytes else 0,
            age_s=time.monotonic() - self._age_from,
        )
        if reason and not self._is_stopping:
            logger.info("Ending this worker process pid=%s: %s", os.getpid(), reason)
            self._end(Ending.RECYCLED)

    def _turned(self, lane: LaneRow, worker: Worker, *, servers: int, is_idle: bool) -> None:
        lane.turn(servers, is_idle=is_idle, now=lease_now())
        if is_idle and self._is_batch:
            # This lane only: the others may be making work, and will do it.
            worker.stop()
            if not any(other.attempt for other in self._place.cell.lanes):
                self._end(Ending.DRAINED)

    def _report(self, state: WorkerState, since: float) -> bytes:
        row = self._place.cell.row
        return encode_report(
            WorkerReport(
                pid=os.getpid(),
                host=socket.gethostname(),
                version=__version__,
                group=self._group.name,
                state=state,
                queues=self._group.plan.queues,
                rss_bytes=rss_bytes(os.getpid()),
                jobs_done=row.jobs_done,
                jobs_failed=row.jobs_failed,
                started_at=self._started_at,
                since=since,
            )
        )


class _Reports:
    """Notes since when a lane is in its state.

    Args:
        make: makes the report of the process, for a lane in that state since then.
    """

    def __init__(self, make: Callable[[WorkerState, float], bytes]) -> None:
        self._make = make
        self._state: WorkerState | None = None
        self._since = 0.0

    def make(self, state: WorkerState) -> bytes:
        """Return the report of the lane in this state."""
        if state is not self._state:
            self._state, self._since = state, time.time()
        return self._make(state, self._since)


def _end_with_lost_run(job: RunningJob) -> None:
    logger.error("Ending this worker process with its lost run job=%s pid=%s", job.handle, os.getpid())
    _end_at_once()


def _end_with_overrun(job: RunningJob) -> None:
    logger.error("Ending this worker process with a run that does not end job=%s pid=%s", job.handle, os.getpid())
    _end_at_once()


def _end_at_once() -> None:
    # Whatever the function does, and whatever it would do on its way out.
    os.kill(os.getpid(), signal.SIGKILL)
