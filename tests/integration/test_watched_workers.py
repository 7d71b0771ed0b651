"""Who watches workers from outside: probes, systemd, and whoever reads their log."""

from __future__ import annotations

import json
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.running_site import PROCESS_TIMEOUT_S, RunningSite

pytestmark = pytest.mark.slow


@pytest.fixture
def site(tmp_path: Path):
    with RunningSite(tmp_path) as site:
        yield site


class Systemd:
    """Listens as systemd does.

    Args:
        directory: where its socket is.
    """

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def await_word(self, word: str, *, count: int = 1) -> None:
        """Wait until it was said so often."""

        def listen() -> bool:
            try:
                while True:
                    self.heard += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return sum(1 for one in self.heard if one.startswith(word)) >= count

        eventually(listen, PROCESS_TIMEOUT_S, f"{word} {count} times; heard {self.heard}")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path)
    yield systemd
    systemd.close()


def status_of(address: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
            return answer.status, str(json.loads(answer.read())["reason"])
    except urllib.error.HTTPError as error:
        with error:
            return error.code, str(json.loads(error.read())["reason"])


def test_probes_hear_whether_the_workers_have_a_job_server(site):
    workers = site.start_workers("--health", "127.0.0.1:0")
    address = workers.await_output(r"/readyz on (\S+)")[1]
    eventually(lambda: status_of(address, "/readyz") == (200, ""), PROCESS_TIMEOUT_S, "the workers to be ready")

    site.server.stop()

    lost = (503, "1 of 1 processes have no job server")
    eventually(lambda: status_of(address, "/readyz") == lost, PROCESS_TIMEOUT_S, "the loss to be noticed")
    assert status_of(address, "/livez") == (200, "")


def test_port_of_probes_outlives_new_code(site):
    workers = site.start_workers("--health", "127.0.0.1:0")
    address = workers.await_output(r"/readyz on (\S+)")[1]

    workers.signal(signal.SIGHUP)
    workers.await_output(r"(?s)Becoming the new code.*/readyz on " + address)

    eventually(lambda: status_of(address, "/readyz")[0] == 200, PROCESS_TIMEOUT_S, "the new code to be ready")


def test_systemd_hears_of_the_life_of_workers(site, systemd):
    site.environment |= {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "400000"}
    workers = site.start_workers()
    systemd.await_word("READY=1")
    systemd.await_word("STATUS=running: 1 of 1 processes, 1 of them connected")
    systemd.await_word("WATCHDOG=1", count=3)

    workers.signal(signal.SIGHUP)
    systemd.await_word("RELOADING=1")
    systemd.await_word("MONOTONIC_USEC=")
    systemd.await_word("READY=1", count=2)
    workers.signal(signal.SIGTERM)

    systemd.await_word("STOPPING=1")
    assert workers.await_end() == 0


def test_systemd_hears_of_the_life_of_a_job_server(site, systemd):
    site.environment |= {"NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "400000"}
    site.server.stop()

    site.restart_server()

    systemd.await_word("READY=1")
    systemd.await_word("STATUS=listening on 127.0.0.1:")
    systemd.await_word("WATCHDOG=1", count=3)
    site.server.signal(signal.SIGTERM)
    systemd.await_word("STOPPING=1")
    assert site.server.await_end() == 0


def test_log_is_an_object_a_line_on_request(site):
    workers = site.start(["runworkers", "--processes", "2", "--log-format", "json"])
    handles = [site.submit("add", number, 1) for number in range(20)]
    for handle in handles:
        site.await_row(handle, status="SUCCESSFUL")
    workers.stop()

    lines = [line for line in workers.output.splitlines() if line.startswith("{")]
    records = [json.loads(line) for line in lines]
    runs = [record["facts"] for record in records if record["message"].startswith("ran job=")]
    assert sorted(run["job"] for run in runs) == sorted(handles)
    assert all(float(run["duration_s"]) >= 0 for run in runs)


def test_job_server_logs_an_object_a_line_on_request(site):
    site.server.stop()
    site.server_options = ("--log-format", "json")

    site.restart_server()
    site.server.stop()

    lines = [line for line in site.server.output.splitlines() if line.startswith("{")]
    assert {json.loads(line)["logger"] for line in lines} >= {"gearjobs.server"}
