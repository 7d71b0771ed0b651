"""Job servers that share a database of PostgreSQL or MariaDB, as real processes, and what happens to their jobs.

`new_sharing_server` makes one more server on the test's `shared_database`; its rows are read with the database's own
client, not through Django. A `Runner` is a stock worker that notes every run with its beginning and its end.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

from gearjobs.protocol.packets import PacketType
from tests.support.database_servers import Database
from tests.support.job_server import JobServerProcess

T = PacketType

#: Seconds a lease lasts in these tests: as short as it may be while the machine is busy.
LEASE_S: Final = 4


class SharingServer(JobServerProcess):
    """A job server on a database that others use, too.

    Args:
        database: the database.
        directory: for its log.
        options: of the command, beside a short lease.
    """

    def __init__(self, database: Database, directory: Path, *options: str) -> None:
        super().__init__(directory, "--lease-ttl", str(LEASE_S), *options)
        self._shared = database

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.support.settings",
            "GEARJOBS_TEST_DATABASE_URL": self._shared.url,
        }

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        raise NotImplementedError("ask `column` instead")

    def column(self, sql: str) -> list[Any]:
        """Return the first column of a query."""
        return [row[0] for row in self._shared.server.query(sql, database=self._shared.name)]

    def count_jobs(self, status: str) -> int:
        return int(self.column(f"SELECT count(*) FROM gearjobs_job WHERE status = '{status}'")[0])

    def pause(self) -> None:
        """Stop the process where it stands (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def clean_up(self) -> None:
        with suppress(ProcessLookupError, AssertionError):
            self.resume()
        super().clean_up()


class Runner:
    """A stock worker of `resize` at one server; it comes back when the server cuts it off or is not there.

    Args:
        server: where it works.
        run_s: seconds that a job takes.
    """

    def __init__(self, server: JobServerProcess, *, run_s: float = 0.0) -> None:
        #: Handle, beginning and end of each run, by the monotonic clock.
        self.runs: list[tuple[bytes, float, float]] = []
        self._server = server
        self._run_s = run_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="runner")
        self._thread.start()

    def stop(self) -> None:
        """Work no more."""
        self._is_over.set()
        self._thread.join(20)
        assert not self._thread.is_alive(), "the runner did not stop within 20 s"

    def _work(self) -> None:
        while not self._is_over.is_set():
            # The server is away, or has cut off everybody.
            with suppress(OSError, AssertionError), self._server.peer() as worker:
                worker.can_do(b"resize")
                while not self._is_over.is_set():
                    worker.say(T.GRAB_JOB)
                    came, body = worker.next_body(timeout_s=30)
                    if came == T.NO_JOB:
                        self._is_over.wait(0.02)
                        continue
                    handle = body.split(b"\0")[0]
                    began_at = time.monotonic()
                    self._is_over.wait(self._run_s)
                    self.runs.append((handle, began_at, time.monotonic()))
                    worker.say(T.WORK_COMPLETE, handle, b"done")
            self._is_over.wait(0.05)


@pytest.fixture
def new_sharing_server(shared_database: Database, tmp_path: Path) -> Iterator[Callable[..., SharingServer]]:
    """Make job server processes on one database, not yet started."""
    made: list[SharingServer] = []

    def make(*options: str) -> SharingServer:
        directory = tmp_path / f"sharing-{len(made) + 1}"
        directory.mkdir()
        made.append(SharingServer(shared_database, directory, *options))
        return made[-1]

    yield make
    for server in made:
        server.clean_up()


@pytest.fixture
def new_runner() -> Iterator[Callable[..., Runner]]:
    """Make workers, which stop at the end of the test."""
    made: list[Runner] = []

    def make(server: JobServerProcess, *, run_s: float = 0.0) -> Runner:
        made.append(Runner(server, run_s=run_s))
        return made[-1]

    yield make
    for runner in made:
        runner.stop()


def overlaps(*runners: Runner) -> list[bytes]:
    """Return the jobs that were run twice at once."""
    found: list[bytes] = []
    last: dict[bytes, float] = {}
    for handle, began_at, ended_at in sorted(
        (run for runner in runners for run in runner.runs), key=lambda run: run[1]
    ):
        if began_at < last.get(handle, 0.0):
            found.append(handle)
        last[handle] = max(ended_at, last.get(handle, 0.0))
    return found


def done(*runners: Runner) -> list[bytes]:
    """Return the handle of each run."""
    return [handle for runner in runners for handle, _, _ in runner.runs]
