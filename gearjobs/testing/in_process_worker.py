"""A worker in the test's own thread: takes jobs from an InProcessServer and runs them as worker processes do.

It speaks the worker's side of the wire (`worker.grab_loop`) and runs tasks by `tasks.execution`: through JSON, in a
context of their own, with Django's signals around them. Two things differ, since the test's database connection and
transaction are the task's: connections stay open, and what a job put off until a commit (`transaction.on_commit`) is
done when the job ends, where the test's own transaction would never commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from gearjobs.protocol.codec import Decoder
from gearjobs.protocol.packets import RESPONSE_MAGIC
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.execution import run_job_in_place
from gearjobs.testing.in_process_server import InProcessServer
from gearjobs.worker.failure_report import run_report
from gearjobs.worker.grab_loop import GrabLoop, GrabState
from gearjobs.worker.running_job import RunningJob

#: What results and records show as the worker.
WORKER_ID: Final = "gearjobs.testing"
_MAX_PACKET_BYTES: Final = 64 * 1024 * 1024


@dataclass(slots=True)
class Run:
    """One run of a job."""

    handle: str
    #: What the task raised; None where it returned.
    error: BaseException | None


class InProcessWorker:
    """A worker of one server.

    Args:
        server: where it takes jobs.
        tasks: the task of every function it offers.
    """

    def __init__(self, server: InProcessServer, tasks: Mapping[str, Task[..., Any]]) -> None:
        self._server = server
        self._tasks = {function.encode(): task for function, task in tasks.items()}
        self._grab_loop = GrabLoop(dict.fromkeys(self._tasks, 0.0), client_id=WORKER_ID.encode())
        self._decoder = Decoder(expects=RESPONSE_MAGIC, max_body_bytes=_MAX_PACKET_BYTES)
        self._grab_loop.introduce(server.now)
        self._exchange()

    def run_next(self) -> Run | None:
        """Take a job and run it to its end; return None where none is to be run now.

        Raises:
            KeyboardInterrupt, SystemExit: raised by the task; the job stays as it was.
        """
        self._grab_loop.grab_job(self._server.now)
        self._exchange()
        if self._grab_loop.state is not GrabState.WORKING:
            return None
        job = RunningJob(self._grab_loop.held(), self._report, has_extensions=True, server="in-process")
        with _commits_of_a_job():
            error = self._run(job)
        self._exchange()
        return Run(job.handle, error)

    def _run(self, job: RunningJob) -> BaseException | None:
        try:
            result = run_job_in_place(job, task=self._tasks[job.function], worker_id=WORKER_ID)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - the wall in front of user code, as the worker's own
            job.end()
            self._grab_loop.work_fail(run_report(job, error))
            return error
        job.end()
        self._grab_loop.work_complete(result)
        return None

    def _report(self, packet: bytes) -> None:
        self._server.exchange(packet)

    def _exchange(self) -> None:
        self._decoder.receive(self._server.exchange(self._grab_loop.take_outgoing()))
        while (packet := self._decoder.next_packet()) is not None:
            self._grab_loop.receive(packet, self._server.now)
        self._grab_loop.take_notices()
        if self._grab_loop.complaints:
            raise self._grab_loop.complaints[0]


@contextmanager
def _commits_of_a_job() -> Iterator[None]:
    """Do at the end of the block what was put off in it until a commit, in transactions that were open before it."""
    open_before = [connection for connection in connections.all(initialized_only=True) if connection.in_atomic_block]
    counts = [len(connection.run_on_commit) for connection in open_before]
    yield
    for connection, count in zip(open_before, counts, strict=True):
        _run_put_off(connection, count)


def _run_put_off(connection: BaseDatabaseWrapper, count: int) -> None:
    """Take the callbacks behind the first `count`, and those that they add, and call them."""
    while len(connection.run_on_commit) > count:
        put_off = connection.run_on_commit[count:]
        del connection.run_on_commit[count:]
        for entry in put_off:
            call: Callable[[], object] = entry[1]
            call()
