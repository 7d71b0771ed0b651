"""Workers that serve two job servers: no job waits for a worker that is busy with the other server's.

The server calls one sleeping worker a job. A worker that serves two servers sleeps at both, and may be called by one
while it runs a job of the other; gearmand with `--worker-wakeup` lets the job wait then, beside workers that sleep.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.servers import ServerAddress
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.eventually import eventually
from tests.support.gearmand import free_port, running_gearmand
from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.running_worker import running

WORKERS = 8
#: Seconds in which a job must be run by a worker that is free. Below the 10 s after which workers ask by themselves.
SOON_S = 5.0
#: Seconds a job of the mill takes, and how many there are: some three seconds of work for all workers.
GRIND_S = 0.02
JOBS = 1000


class Workplace:
    """Two servers, and workers that serve both: `hold` lasts until the gate is open, `quick` does not last."""

    def __init__(self, first: MemoryServer, second: MemoryServer) -> None:
        self.servers = (first, second)
        self.gate = threading.Event()
        self.waits_s: list[float] = []

    def worker(self, number: int) -> Worker:
        worker = Worker([server.address for server in self.servers], client_id=f"worker {number}")
        worker.register("hold", self._hold)
        worker.register("quick", self._quick)
        return worker

    def are_all_registered(self) -> bool:
        """Whether both servers know all workers."""
        for server in self.servers:
            with AdminClient(server.address) as admin:
                if {line.workers for line in admin.status()} != {WORKERS}:
                    return False
        return True

    def await_quick(self, count: int) -> None:
        """Wait until so many quick jobs are done."""
        eventually(lambda: len(self.waits_s) == count, SOON_S, f"quick job {count} to be done")

    def running_jobs(self, server: MemoryServer) -> int:
        with AdminClient(server.address) as admin:
            return sum(line.running for line in admin.status())

    def _hold(self, job: RunningJob) -> bytes:
        self.gate.wait(60.0)
        return b""

    def _quick(self, job: RunningJob) -> bytes:
        self.waits_s.append(time.time() - float(job.payload))
        return b""


@pytest.fixture
def workplace() -> Iterator[Workplace]:
    with ExitStack() as stack:
        servers = [stack.enter_context(running_memory_server()) for _ in range(2)]
        workplace = Workplace(*servers)
        for number in range(WORKERS):
            stack.enter_context(running(workplace.worker(number)))
        eventually(workplace.are_all_registered, SOON_S, "both servers to know all workers")
        try:
            yield workplace
        finally:
            workplace.gate.set()


def submit_quick(client: Client) -> None:
    client.submit_background("quick", b"%.6f" % time.time())


@pytest.mark.parametrize("busy", [4, 7])
def test_job_is_run_by_a_free_worker_while_called_ones_are_busy_at_the_other_server(busy, workplace):
    first, second = workplace.servers
    with Client([first.address]) as of_first, Client([second.address]) as of_second:
        for _ in range(busy):
            of_first.submit_background("hold", b"")
        eventually(lambda: workplace.running_jobs(first) == busy, SOON_S, f"{busy} busy workers")

        for count in range(1, WORKERS + 1):
            # One at a time: a worker that was called for one job takes the others, too.
            submit_quick(of_second)
            workplace.await_quick(count)


def test_no_job_waits_long_while_jobs_come_from_both_servers_in_turn(workplace):
    first, second = workplace.servers
    with Client([first.address]) as of_first, Client([second.address]) as of_second:
        for number in range(200):
            submit_quick((of_first, of_second)[number % 2])
        workplace.await_quick(200)

    assert max(workplace.waits_s) < 1.0


class Mill:
    """Workers that serve two servers of any kind, and who of them ran what when."""

    def __init__(self, servers: Sequence[ServerAddress]) -> None:
        self.servers = servers
        #: Which worker ended a job, and when (monotonic seconds).
        self.ends: list[tuple[int, float]] = []

    def worker(self, number: int) -> Worker:
        def grind(job: RunningJob) -> bytes:
            time.sleep(GRIND_S)
            self.ends.append((number, time.monotonic()))
            return b""

        worker = Worker(self.servers, client_id=f"worker {number}")
        worker.register("grind", grind)
        return worker


@pytest.fixture(params=["ours", "gearmand", "mixed"])
def two_servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[ServerAddress]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(running_memory_server()).address
            if kind == "ours"
            else stack.enter_context(running_gearmand(tmp_path / f"gearmand-{number}.log"))
            for number, kind in enumerate({"mixed": ["ours", "gearmand"]}.get(request.param, [request.param] * 2))
        ]


def test_all_workers_are_kept_busy_to_the_end(two_servers):
    # python-gearman's defect: of 8 workers on 2 servers some received nothing any more after a while.
    mill = Mill(two_servers)
    with ExitStack() as stack:
        for number in range(WORKERS):
            stack.enter_context(running(mill.worker(number)))
        for server in two_servers:
            with Client([server]) as client:
                for _ in range(JOBS // 2):
                    client.submit_background("grind", b"")
        eventually(lambda: len(mill.ends) == JOBS, 60.0, f"{JOBS} jobs to be done")

    # What is left when the first server's queue is empty is shared by all of them still.
    last = {number for number, _ in mill.ends[-5 * WORKERS :]}
    assert last == set(range(WORKERS))


def test_worker_comes_back_to_a_server_that_was_gone_and_serves_both(tmp_path):
    port = free_port()
    with running_gearmand(tmp_path / "steady.log") as steady, ExitStack() as stack:
        gone = ServerAddress("127.0.0.1", port)
        mill = Mill([steady, gone])
        with running_gearmand(tmp_path / "first-life.log", port=port):
            for number in range(WORKERS):
                stack.enter_context(running(mill.worker(number)))
            eventually(lambda: workers_known_to(gone) == WORKERS, SOON_S, "all workers to be known")
        with running_gearmand(tmp_path / "second-life.log", port=port):
            eventually(lambda: workers_known_to(gone) == WORKERS, 30.0, "all workers to be known once more")
            for server in mill.servers:
                with Client([server]) as client:
                    for _ in range(5 * WORKERS):
                        client.submit_background("grind", b"")
            eventually(lambda: len(mill.ends) == 10 * WORKERS, 30.0, "the jobs of both to be done")
            stack.close()


def workers_known_to(server: ServerAddress) -> int:
    with AdminClient(server) as admin:
        return sum(line.workers for line in admin.status() if line.function == b"grind")
