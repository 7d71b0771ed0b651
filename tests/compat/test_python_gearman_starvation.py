"""The program that starved python-gearman's workers: several servers, long jobs, one server restarted in between.

A worker that was called by one server while it worked for another went back to sleep there, and one that lost a server
polled the rest only; in the end most workers slept beside full queues. Here each worker notes when it worked.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from gearjobs.compat import gearman
from tests.compat.conftest import running_server
from tests.compat.working import working
from tests.support.eventually import eventually
from tests.support.gearmand import free_port

#: Seconds for anything that is to happen soon; the machine may be busy.
SOON_S = 20.0
WORKERS = 5
#: Long enough that a worker that sleeps shows: the others cannot do its share meanwhile.
JOB_S = 0.04
JOBS_PER_SERVER = 25


class Ledger:
    """Which worker did which job, in the order in which they ended."""

    def __init__(self) -> None:
        self.jobs: list[tuple[int, bytes]] = []

    def worker(self, number: int, servers: list[str]) -> gearman.GearmanWorker:
        """Return a worker that notes its jobs under its number."""

        def do(_worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
            threading.Event().wait(JOB_S)
            self.jobs.append((number, job.data))
            return b""

        worker = gearman.GearmanWorker(servers)
        worker.register_task("long", do)
        return worker

    def done(self, wave: bytes) -> Counter[int]:
        """Return how many jobs of a wave each worker did."""
        return Counter(number for number, data in list(self.jobs) if data == wave)


def submit(server: str, wave: bytes, jobs: int = JOBS_PER_SERVER) -> None:
    to_submit = [{"task": "long", "data": wave} for _ in range(jobs)]
    requests = gearman.GearmanClient([server]).submit_multiple_jobs(to_submit, background=True, poll_timeout=SOON_S)
    assert all(request.complete for request in requests)


@pytest.fixture
def restarted_port() -> int:
    return free_port()


def test_workers_stay_busy_while_one_of_three_servers_restarts(server_kind: str, tmp_path: Path, restarted_port: int):
    ledger = Ledger()
    with ExitStack() as stack:
        staying = [
            str(stack.enter_context(running_server(server_kind, tmp_path / f"staying-{number}.log")))
            for number in range(2)
        ]
        restarted = f"127.0.0.1:{restarted_port}"
        first_life = stack.enter_context(ExitStack())
        first_life.enter_context(running_server(server_kind, tmp_path / "first.log", port=restarted_port))
        for number in range(WORKERS):
            stack.enter_context(working(ledger.worker(number, [*staying, restarted])))

        # All three have work, and one of them ends in the middle of it.
        for server in (*staying, restarted):
            submit(server, b"before")
        eventually(lambda: ledger.done(b"before").total() > JOBS_PER_SERVER // 2, SOON_S, "the workers to be at work")
        first_life.close()
        started_at = time.monotonic()
        for server in staying:
            submit(server, b"without")
        _await(ledger, b"without", 2 * JOBS_PER_SERVER)
        without_s = time.monotonic() - started_at

        # It comes back and has all the work that there is.
        stack.enter_context(running_server(server_kind, tmp_path / "second.log", port=restarted_port))
        submit(restarted, b"after", 3 * JOBS_PER_SERVER)
        _await(ledger, b"after", 3 * JOBS_PER_SERVER)

    fair = 2 * JOBS_PER_SERVER / WORKERS
    assert min(ledger.done(b"without")[number] for number in range(WORKERS)) > fair / 2, ledger.done(b"without")
    assert all(ledger.done(b"after")[number] for number in range(WORKERS)), ledger.done(b"after")
    # Up to four waves of jobs stood in the queues; a worker that slept on a call would have slept ten seconds.
    assert without_s < 8.0


def _await(ledger: Ledger, wave: bytes, jobs: int) -> None:
    eventually(lambda: ledger.done(wave).total() >= jobs, SOON_S, f"{jobs} jobs of the wave {wave!r}")
