"""A fresh project for one library: its database and Redis, its servers and workers, and the programs that ask it.

Everything that runs is in a session of its own and is killed at the end of the block, so that nothing of a reading is
left when the next one begins.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Self

from bench.peers import ROOT, START_TIMEOUT_S, Address, PeerError, free_port, wait_until_it_listens
from bench.process_cost import ProcessCost
from bench.services import Services
from bench.task_peers import TaskPeer

#: Seconds that tables may take to be made.
MIGRATE_TIMEOUT_S: Final = 120


class TaskSite:
    """One library's project; services and processes end with the block.

    Args:
        peer: the library.
        services: where databases and Redis come from.
        directory: is the site's own, and empty.

    Raises:
        PeerError: its tables could not be made, or its server does not start.
    """

    def __init__(self, peer: TaskPeer, services: Services, directory: Path) -> None:
        self._peer = peer
        self._services = services
        self._directory = directory
        self._python = str(peer.python())
        self._stack = ExitStack()
        self._service_pids: list[int] = []
        self._words: dict[str, str] = {}
        self._environment: dict[str, str] = {}
        self._pids: list[int] = []

    def __enter__(self) -> Self:
        self._words = {"{python}": self._python, "{port}": str(free_port()), "{redis}": self._fresh_redis()}
        self._environment = self._make_environment(self._fresh_database())
        try:
            self._migrate()
            for command in self._peer.servers:
                log = self._directory / "server.log"
                server = self._stack.enter_context(self._running(command, log))
                wait_until_it_listens(server, Address("127.0.0.1", int(self._words["{port}"])), log)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()

    @contextmanager
    def workers(self) -> Iterator[None]:
        """Run the library's workers as long as the block lasts."""
        with ExitStack() as stack:
            for number, command in enumerate(self._peer.workers):
                stack.enter_context(self._running(command, self._directory / f"worker{number}.log"))
            yield

    @contextmanager
    def driver(self, command: str, count: int, most_s: float) -> Iterator[Driver]:
        """Run one of the programs of `drive`, ready to begin."""
        log = self._directory / f"{command}.log"
        words = ["{python}", "-m", "bench.noop.drive", self._peer.module, command, str(count), str(most_s)]
        with self._running(words, log, is_counted=False) as process:
            yield Driver(process, f"{self._peer.name}, {command}", log)

    def cost(self) -> ProcessCost:
        """Return what servers, workers and services cost."""
        return ProcessCost([*self._pids, *self._service_pids])

    def own_cost(self) -> ProcessCost:
        """Return the same without the services."""
        return ProcessCost(self._pids)

    def log(self) -> str:
        """Return the end of what everybody wrote."""
        texts = [place.read_text(encoding="utf-8", errors="replace") for place in self._directory.glob("*.log")]
        return "\n".join(text[-1500:] for text in texts)

    @contextmanager
    def _running(
        self, command: Sequence[str], log: Path, *, is_counted: bool = True
    ) -> Iterator[subprocess.Popen[str]]:
        with log.open("ab") as log_file:
            process = subprocess.Popen(
                [self._filled(word) for word in command],
                stdin=subprocess.PIPE,
                stdout=log_file if is_counted else subprocess.PIPE,
                stderr=log_file,
                cwd=ROOT,
                env={**os.environ, **self._environment},
                text=True,
                start_new_session=True,
            )
        if is_counted:
            self._pids.append(process.pid)
        try:
            yield process
        finally:
            # One that never came up has been waited for already.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(START_TIMEOUT_S)
            if is_counted:
                self._pids.remove(process.pid)

    def _filled(self, text: str) -> str:
        for word, value in self._words.items():
            text = text.replace(word, value)
        return text

    def _fresh_redis(self) -> str:
        if not self._peer.needs_redis:
            return ""
        port = self._services.fresh_redis("redis")
        self._service_pids.append(self._services.pid("redis"))
        return f"redis://127.0.0.1:{port}"

    def _fresh_database(self) -> Mapping[str, Any]:
        if self._peer.database == "sqlite":
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(self._directory / "db.sqlite3")}
        if not self._peer.database:
            return {}
        name = self._services.fresh_database("postgres")
        self._stack.callback(self._services.drop_database, "postgres", name)
        self._service_pids.append(self._services.pid("postgres"))
        return self._services.database("postgres").settings(name)

    def _make_environment(self, database: Mapping[str, Any]) -> dict[str, str]:
        environment = {"PYTHONPATH": str(ROOT), "BENCH_REDIS": self._words["{redis}"]}
        if not self._peer.apps:
            return environment
        settings = {
            "SECRET_KEY": "bench",
            "INSTALLED_APPS": [*self._peer.apps],
            "DATABASES": {"default": dict(database)},
            **self._peer.settings,
        }
        environment["DJANGO_SETTINGS_MODULE"] = "bench.noop.site_settings"
        environment["BENCH_SETTINGS"] = self._filled(json.dumps(settings))
        return environment

    def _migrate(self) -> None:
        if not self._peer.apps:
            return
        ended = subprocess.run(
            [self._python, "-m", "django", "migrate", "--verbosity", "0"],
            cwd=ROOT,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=MIGRATE_TIMEOUT_S,
        )
        if ended.returncode:
            raise PeerError(f"{self._peer.name}: no tables: {ended.stderr[-500:]}")


class Driver:
    """A program of `drive` that was started.

    Args:
        process: the program.
        name: what it is called in errors.
        log: what it wrote to standard error.
    """

    def __init__(self, process: subprocess.Popen[str], name: str, log: Path) -> None:
        self._process = process
        self._name = name
        self._log = log

    def await_ready(self) -> None:
        """Return when it has imported everything.

        Raises:
            PeerError: it ended instead.
        """
        self._line("ready")

    def begin(self) -> None:
        """Let it begin."""
        if self._process.stdin:
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def found(self) -> dict[str, Any]:
        """Return what it found, when it is done.

        Raises:
            PeerError: it failed.
        """
        return dict(json.loads(self._line("its findings")))

    def run(self) -> dict[str, Any]:
        """Do all three."""
        self.await_ready()
        self.begin()
        return self.found()

    def _line(self, wanted: str) -> str:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise PeerError(f"{self._name} did not say {wanted}: {self._log.read_text(errors='replace')[-800:]}")
        return line
