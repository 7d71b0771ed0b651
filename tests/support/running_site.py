"""The project `worker_site` at work: its job server, its worker processes and its shell, as processes of a test.

`RunningSite` starts the server on a free port and stops everything at the end of the block. Rows are read by SQLite
itself, so that a test sees what is committed and nothing else.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from gearjobs.client.client import Client
from tests.support.eventually import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
#: Seconds a process may take to start or to stop; the machine may be busy.
PROCESS_TIMEOUT_S = 30.0
#: Seconds a job may take to get where a test waits for it.
JOB_TIMEOUT_S = 20.0


class SiteProcess:
    """One management command at work, with its output in a file."""

    def __init__(self, site: RunningSite, arguments: Sequence[str]) -> None:
        self._log = site.directory / f"{arguments[0]}.log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                site.command(arguments), cwd=ROOT, env=site.environment, stdout=output, stderr=subprocess.STDOUT
            )
        self.pid = self._process.pid

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def await_output(self, pattern: str) -> re.Match[str]:
        """Return the first match of the pattern in what the process wrote."""

        def look() -> list[re.Match[str]]:
            found = list(re.finditer(pattern, self.output))
            assert found or self._process.poll() is None, f"ended early:\n{self.output}"
            return found

        return eventually(look, PROCESS_TIMEOUT_S, f"{pattern!r} in the output of {self._process.args!r}")[0]

    def find_all(self, pattern: str) -> list[Any]:
        """Return all that the pattern's groups match in what the process wrote so far."""
        return re.findall(pattern, self.output)

    @staticmethod
    def kill(pid: int) -> None:
        """Kill a process of this one's."""
        os.kill(pid, signal.SIGKILL)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def await_end(self) -> int:
        """Return the exit code, minus the signal's number for a killed process."""
        return self._process.wait(PROCESS_TIMEOUT_S)

    def stop(self) -> None:
        if self._process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.await_end()
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self.await_end()
                raise


class RunningSite:
    """A project with a job server, in a directory of its own.

    Args:
        directory: where everything of it is.
        server_options: of `runjobserver`, beside where it listens.
    """

    def __init__(self, directory: Path, *server_options: str) -> None:
        self.directory = directory
        self.server_options = server_options
        self.database = directory / "site.sqlite3"
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "GEARJOBS_"))
        }
        self.environment |= {"PYTHONPATH": str(ROOT), "WORKER_SITE_DATABASE": str(self.database)}
        self._processes: list[SiteProcess] = []

    def __enter__(self) -> Self:
        self.manage(["migrate", "--verbosity", "0"])
        self.server = self.start(["runjobserver", "--listen", "127.0.0.1", "--port", "0", *self.server_options])
        self.address = self.server.await_output(r"listening on (127\.0\.0\.1:\d+)")[1]
        self.environment["WORKER_SITE_SERVER"] = self.address
        self.client = Client([self.address])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.client.close()
        for process in reversed(self._processes):
            process.stop()

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return the command line of a management command."""
        settings = ["--settings", "tests.support.worker_site.settings"]
        return [sys.executable, "-m", "django", arguments[0], *settings, *arguments[1:]]

    def restart_server(self) -> None:
        """Start the job server again at its old address, after it was stopped."""
        port = self.address.rpartition(":")[2]
        self.server = self.start(["runjobserver", "--listen", "127.0.0.1", "--port", port, *self.server_options])
        self.server.await_output("listening on")

    def start(self, arguments: Sequence[str]) -> SiteProcess:
        """Start a command that runs until it is stopped, at the end of the block at the latest."""
        process = SiteProcess(self, arguments)
        self._processes.append(process)
        return process

    def start_workers(self, *arguments: str, count: int = 1) -> SiteProcess:
        """Start `runworkers` and wait until every process is known to the server."""
        workers = self.start(["runworkers", "--processes", str(count), *arguments])
        workers.await_output(r"(?s)" + ".*".join(["Serving job server"] * count))
        return workers

    def manage(self, arguments: Sequence[str], *, code: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end, with `code` as its input."""
        return subprocess.run(
            self.command(arguments),
            cwd=ROOT,
            env=self.environment,
            input=code,
            capture_output=True,
            text=True,
            timeout=PROCESS_TIMEOUT_S,
            check=False,
        )

    def submit(self, task: str, *args: object, on_queue: str = "") -> str:
        """Submit a call as a client in any language would; return the job's handle."""
        function = f"tests.support.worker_site.tasks.{task}" + (f"@{on_queue}" if on_queue else "")
        return self.client.submit_background(function, json.dumps({"args": args}).encode())

    def row(self, handle: str) -> dict[str, Any]:
        """Return the committed row of a job."""
        with closing(sqlite3.connect(self.database, timeout=10)) as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute("SELECT * FROM gearjobs_job WHERE handle = ?", (handle,)).fetchone()
        return dict(found) if found else {}

    def await_row(self, handle: str, **values: object) -> dict[str, Any]:
        """Return the row once it has these values."""

        def look() -> dict[str, Any]:
            row = self.row(handle)
            return row if row and all(row[name] == value for name, value in values.items()) else {}

        return eventually(look, JOB_TIMEOUT_S, f"{values} of job {handle}; it is {self.row(handle)}")
