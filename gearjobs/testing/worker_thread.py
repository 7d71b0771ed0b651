"""A real worker for a test: takes jobs from a job server and runs this project's tasks, in a thread of the process.

It runs every task that is declared when it starts, on every queue. Its thread has database connections of its own.
"""

from __future__ import annotations

import threading
from functools import partial
from types import TracebackType
from typing import Final, Self

from django.db import connections

from gearjobs.errors import DeadlineExceeded
from gearjobs.tasks.execution import run_job
from gearjobs.tasks.worker_plan import ALL_QUEUES, make_worker_plan
from gearjobs.worker.worker import Worker

#: What results and records show as the worker.
WORKER_ID: Final = "gearjobs.testing-worker"
#: Seconds a worker may take to end its running job.
STOP_TIMEOUT_S: Final = 30.0


class WorkerThread:
    """A worker of one job server; also a context manager.

    Args:
        server: `host:port`.
    """

    def __init__(self, server: str) -> None:
        self._worker = Worker([server], client_id=WORKER_ID)
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="gearjobs-worker", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Take jobs.

        Raises:
            UsageError: the project has no task.
        """
        for function, task in make_worker_plan(queue_names=[ALL_QUEUES]).tasks.items():
            self._worker.register(function, partial(run_job, task=task, worker_id=WORKER_ID))
        self._thread.start()

    def stop(self) -> None:
        """Let the running job end, and take no more.

        Raises:
            BaseException: whatever ended the worker before it was told to.
        """
        self._worker.stop()
        self._thread.join(STOP_TIMEOUT_S)
        if self._thread.is_alive():
            raise DeadlineExceeded(f"the worker's job did not end within {STOP_TIMEOUT_S} s")
        if self._fault is not None:
            raise self._fault

    def _run(self) -> None:
        try:
            self._worker.work()
        except BaseException as fault:  # noqa: BLE001 - told to the test, from the thread it belongs to
            self._fault = fault
        finally:
            connections.close_all()
