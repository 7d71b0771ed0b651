"""`manage.py runserver` with a job server and workers beside it, as a developer meets them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest

from gearjobs.client.client import Client
from tests.support.eventually import eventually
from tests.support.running_site import JOB_TIMEOUT_S, ROOT, RunningSite, SiteProcess

pytestmark = pytest.mark.slow

SETTINGS = """
from tests.support.worker_site.settings import *
DEBUG = True
ROOT_URLCONF = "development_settings"
urlpatterns = []
GEARJOBS = {{
    "SERVERS": ["127.0.0.1:{port}"],
    "SERVER": {{"AUTOSTART": "debug", "PORT": {port}, "LISTEN": ["127.0.0.1"]}},
}}
"""


class DevelopmentSite(RunningSite):
    """The project with nothing but `runserver` at work."""

    def __enter__(self) -> Self:
        self.port, self.web_port = free_port(), free_port()
        self.settings = self.directory / "development_settings.py"
        self.settings.write_text(SETTINGS.format(port=self.port), encoding="utf-8")
        self.environment["PYTHONPATH"] = f"{ROOT}{os.pathsep}{self.directory}"
        self.manage(["migrate", "--verbosity", "0"])
        self.client = Client([f"127.0.0.1:{self.port}"])
        return self

    def command(self, arguments: Sequence[str]) -> list[str]:
        command = super().command(arguments)
        command[command.index("--settings") + 1] = "development_settings"
        return command

    def runserver(self, *options: str) -> SiteProcess:
        process = self.start(["runserver", f"127.0.0.1:{self.web_port}", *options])
        process.await_output("Serving job server")
        return process


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def site(tmp_path: Path):
    with DevelopmentSite(tmp_path) as site:
        yield site


def is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("options", [[], ["--noreload"]])
def test_jobs_run_with_nothing_started_but_runserver(options, site):
    process = site.runserver(*options)

    site.await_row(site.submit("add", 1, 2), status="SUCCESSFUL")

    process.stop()
    eventually(lambda: not is_listening(site.port), JOB_TIMEOUT_S, "the job server to end with runserver")


def test_changed_code_is_run_by_fresh_workers_and_the_server_stays(site):
    process = site.runserver()
    # The reloader compares times of change, and knows of none before its first look.
    process.await_output("Quit the server")

    def reloaded() -> bool:
        later = time.time() + 5
        os.utime(site.settings, (later, later))
        return "changed, reloading" in process.output

    eventually(reloaded, JOB_TIMEOUT_S, "the reloader to see the change")
    process.await_output("(?s)Serving job server.*changed, reloading.*Serving job server")

    site.await_row(site.submit("add", 1, 2), status="SUCCESSFUL")
    assert process.output.count("listening on") == 1


def test_server_that_is_there_already_is_used(site):
    site.start(["runjobserver"]).await_output("listening on")

    process = site.runserver("--noreload")

    assert f"A job server answers at 127.0.0.1:{site.port} already" in process.output
    site.await_row(site.submit("add", 1, 2), status="SUCCESSFUL")


def test_companion_that_ended_is_started_again(site):
    process = site.runserver("--noreload")
    pid = int(process.await_output(r"gearjobs\.server listen .* pid=(\d+)")[1])

    os.kill(pid, signal.SIGKILL)

    process.await_output("runjobserver beside runserver ended with exit code -9; it is started again in 1 s.")
    process.await_output("(?s)listening on.*started again.*listening on")
    site.await_row(site.submit("add", 1, 2), status="SUCCESSFUL")
