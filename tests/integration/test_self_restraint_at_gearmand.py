"""A worker of ours that fails whatever it gets, at once, at a job server that lets it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.core.quarantine import BenchRules
from gearjobs.servers import ServerAddress
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.eventually import eventually
from tests.support.job_server import running_memory_server
from tests.support.running_worker import running

pytestmark = [pytest.mark.interop, pytest.mark.slow]

RULES = BenchRules()
#: How many jobs it fails before it holds back.
FAILURES = RULES.failures + 1
#: Seconds anything here may take.
SOON_S = 20.0
JOBS = 200


class Resizer:
    """A worker at work whose disk is full, until somebody makes room."""

    def __init__(self, *servers: ServerAddress, client_id: str) -> None:
        self.failed: list[bytes] = []
        self.done: list[bytes] = []
        self.mailed = 0
        self.turns = 0
        self.is_disk_full = True
        self.worker = Worker(servers, client_id=client_id)
        self.worker.register("resize", self._resize)
        self.worker.register("mail", self._mail)
        self.worker.show_state(on_turn=self._note_turn)

    @property
    def is_held_back(self) -> bool:
        return len(self.failed) >= FAILURES

    def _resize(self, job: RunningJob) -> bytes:
        if self.is_disk_full:
            self.failed.append(job.payload)
            raise OSError("no space left on device")
        self.done.append(job.payload)
        return b""

    def _mail(self, _job: RunningJob) -> bytes:
        self.mailed += 1
        return b""

    def _note_turn(self, _servers: int, _is_idle: bool) -> None:
        self.turns += 1


@pytest.fixture
def client(gearmand: ServerAddress) -> Iterator[Client]:
    with Client([gearmand]) as client:
        yield client


@pytest.fixture
def jobs(client: Client) -> list[bytes]:
    """Payloads that wait at gearmand."""
    payloads = [b"%d" % count for count in range(JOBS)]
    for payload in payloads:
        client.submit_background("resize", payload)
    return payloads


def offered(server: ServerAddress) -> int:
    """How many workers would take a job of `resize`."""
    with AdminClient(server) as admin:
        return sum(line.workers for line in admin.status() if line.function == b"resize")


def fair_share(seconds: float) -> int:
    """How many jobs it may fail in that time."""
    return FAILURES + int(seconds / RULES.interval_s) + 1


def test_worker_that_fails_everything_leaves_the_queue_to_the_others(gearmand, jobs):
    sick, healthy = Resizer(gearmand, client_id="sick"), Resizer(gearmand, client_id="healthy")
    healthy.is_disk_full = False
    began_at = time.monotonic()
    with running(sick.worker):
        eventually(lambda: sick.is_held_back and offered(gearmand) == 0, SOON_S, "the sick worker to hold back")
        with running(healthy.worker):
            eventually(lambda: len(sick.failed + healthy.done) == JOBS, SOON_S, "every job to be done")

    assert len(sick.failed) <= fair_share(time.monotonic() - began_at)
    assert sorted(sick.failed + healthy.done) == sorted(jobs)


@pytest.mark.usefixtures("jobs")
def test_worker_that_can_work_again_takes_all_jobs_again(gearmand, caplog):
    caplog.set_level(logging.INFO, "gearjobs.worker")
    sick = Resizer(gearmand, client_id="sick")
    with running(sick.worker):
        eventually(lambda: len(sick.failed) == FAILURES + 1, SOON_S, "the job after the pause to fail")
        sick.is_disk_full = False
        eventually(lambda: len(sick.failed + sick.done) == JOBS, SOON_S, "every job to be done")

    lines = [record for record in caplog.records if "stock job servers" in record.getMessage()]
    assert [record.levelno for record in lines] == [logging.WARNING, logging.INFO]


@pytest.mark.usefixtures("jobs")
def test_worker_that_holds_back_does_what_it_is_good_at_and_sleeps_otherwise(gearmand, client):
    with running_memory_server() as server, Client([server.address]) as our_client:
        sick = Resizer(gearmand, server.address, client_id="sick")
        with running(sick.worker):
            eventually(lambda: sick.is_held_back, SOON_S, "the sick worker to hold back")
            began_at = time.monotonic()
            for _ in range(50):
                client.do("mail", b"", timeout_s=SOON_S)
                our_client.do("mail", b"", timeout_s=SOON_S)
            assert len(sick.failed) <= fair_share(time.monotonic() - began_at)

            turns = sick.turns
            eventually(lambda: len(sick.failed) >= FAILURES + 2, SOON_S, "two pauses to pass")

    assert sick.mailed == 100
    # A job and its answer, its call and its end: some turns each, and none in between.
    assert sick.turns - turns < 40
