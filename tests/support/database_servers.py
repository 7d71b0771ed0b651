"""Private PostgreSQL and MariaDB servers, for tests and for programs that start their own.

A server has a directory of its own, listens on a free port of 127.0.0.1 and is forgotten at the end; nothing of the
machine's own databases is touched. Programs that refuse to run as root run as `nobody`. The servers write to their disk
as those of users do: nothing is switched off that a test could miss. `kill`, `pause` and `restart` play what befalls
databases. This file knows no pytest; its fixtures are `databases`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

from tests.support.eventually import eventually
from tests.support.gearmand import free_port

ROOT: Final = Path(__file__).resolve().parent.parent.parent
#: Seconds a server may take to be made, to start, or to end; the machine may be busy.
SERVER_TIMEOUT_S: Final = 60.0
#: The user that servers run as where this process is root's.
_UNPRIVILEGED: Final = "nobody"
#: Holds the migrated tables that fresh databases are copied from.
_TEMPLATE: Final = "gearjobs_template"


class ServerMissing(Exception):
    """A program or a driver is not installed; the text says which, and what Debian calls it."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database of a running server, migrated and empty."""

    server: DatabaseServer
    name: str

    @property
    def url(self) -> str:
        """For GEARJOBS_TEST_DATABASE_URL and whatever else reads addresses of databases."""
        return self.server.url(self.name)

    @property
    def settings(self) -> dict[str, Any]:
        """The entry in Django's DATABASES."""
        return self.server.settings(self.name)


class DatabaseServer(ABC):
    """One server; starts when the block begins and is gone, with its data, when it ends."""

    #: Django's name of the kind of database.
    vendor: str
    user: str
    #: The driver and the programs it takes, with the package of Debian that has them.
    needs: tuple[str, ...]

    def __init__(self) -> None:
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self._directory = Path()
        driver, package, *programs = self.needs
        self._driver = _import_driver(driver)
        self._programs = {program: _find_program(program, package) for program in programs}

    def __enter__(self) -> Self:
        self._directory = Path(tempfile.mkdtemp(prefix=f"gearjobs-{self.vendor}-"))
        if os.geteuid() == 0:
            shutil.chown(self._directory, _UNPRIVILEGED)
        try:
            self._make()
            self.start()
            self._make_template()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    @property
    def log(self) -> str:
        """What the server wrote, for a test that failed."""
        return (self._directory / "log").read_text(encoding="utf-8", errors="replace")

    @property
    def pids(self) -> list[int]:
        """The server's processes, the first one first."""
        if self._process is None:
            return []
        return [self._process.pid, *_children(self._process.pid)]

    def url(self, name: str) -> str:
        """Return the address of one of the server's databases."""
        scheme = "postgres" if self.vendor == "postgresql" else self.vendor
        return f"{scheme}://{self.user}@127.0.0.1:{self.port}/{name}"

    def settings(self, name: str) -> dict[str, Any]:
        """Return the entry in Django's DATABASES for one of the server's databases."""
        return {
            "ENGINE": f"django.db.backends.{self.vendor}",
            "NAME": name,
            "USER": self.user,
            "PASSWORD": "",
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
        }

    def start(self) -> None:
        """Start the server, which must be stopped, at its port and with its data; returns when it answers."""
        with (self._directory / "log").open("ab") as log:
            self._process = self._popen(self._command(), log)
        eventually(self._answers, SERVER_TIMEOUT_S, f"{self.vendor} to answer")

    def stop(self) -> None:
        """Stop the server as an administrator does: whoever is connected is sent away."""
        self._end_process(self._stop_signal())

    def kill(self) -> None:
        """Kill all of its processes at once: nothing is written any more."""
        self._end_process(signal.SIGKILL)

    def restart(self) -> None:
        """Stop the server and start it again."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Let it hang: connections stay, nothing answers. New processes cannot come, so the first one stops first."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused server go on."""
        self._signal_all(signal.SIGCONT)

    def make_ready(self) -> None:
        """Have it answer again, whatever a test did to it."""
        self.resume()
        if self._process is None or self._process.poll() is not None:
            self.kill()
            self.start()

    def create_database(self) -> Database:
        """Return a fresh database with gearjobs' tables in it."""
        self._databases += 1
        name = f"gearjobs_{self._databases}"
        self._copy_template(name)
        return Database(self, name)

    @abstractmethod
    def drop_database(self, database: Database) -> None:
        """Remove a database, and send away whoever is connected to it."""

    @abstractmethod
    def query(self, sql: str, *, database: str = "") -> list[tuple[Any, ...]]:
        """Return the rows of a statement, executed by itself in a session of its own."""

    @abstractmethod
    def _make(self) -> None:
        """Make the files of an empty server."""

    @abstractmethod
    def _command(self) -> list[str]: ...

    @abstractmethod
    def _stop_signal(self) -> signal.Signals: ...

    @abstractmethod
    def _create_template(self) -> None: ...

    @abstractmethod
    def _copy_template(self, name: str) -> None: ...

    def _run(self, command: Sequence[str]) -> None:
        with (self._directory / "log").open("ab") as log:
            process = self._popen(command, log)
            if process.wait(SERVER_TIMEOUT_S) != 0:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{self.log}")

    def _popen(self, command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        as_root: dict[str, Any] = {}
        if os.geteuid() == 0:
            as_root = {"user": _UNPRIVILEGED, "group": "nogroup", "extra_groups": []}
        # A server must not outlive the tests that started it, whatever ends them; a signal to their group is not its.
        dying = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        return subprocess.Popen(
            [*dying, *command],
            cwd=self._directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **as_root,
        )

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self.vendor} ended with {self._process.returncode}:\n{self.log}")
        with suppress(Exception):
            return bool(self.query("SELECT 1"))
        return False

    def _make_template(self) -> None:
        self._create_template()
        migrate(self.url(_TEMPLATE))

    def _end_process(self, number: signal.Signals) -> None:
        process, pids = self._process, self.pids
        if process is None:
            return
        self._signal_all(number)
        # What was paused must go on to hear anything but SIGKILL.
        self._signal_all(signal.SIGCONT)
        process.wait(SERVER_TIMEOUT_S)
        eventually(lambda: not any(map(_is_alive, pids)), SERVER_TIMEOUT_S, f"{self.vendor} to end")
        self._process = None

    def _signal_all(self, number: signal.Signals) -> None:
        # An orderly end is the first process's business; the others hear of it from that one.
        only_first = number not in {signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT}
        for pid in self.pids[:1] if only_first else self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _end(self) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)


class PostgresServer(DatabaseServer):
    """PostgreSQL, with what `initdb` sets up."""

    vendor = "postgresql"
    user = "gear"
    needs = ("psycopg", "postgresql", "initdb", "postgres")

    def query(self, sql: str, *, database: str = "") -> list[tuple[Any, ...]]:
        host = {"host": "127.0.0.1", "port": self.port, "user": self.user, "connect_timeout": 5}
        with self._driver.connect(dbname=database or "postgres", autocommit=True, **host) as session:
            cursor = session.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def drop_database(self, database: Database) -> None:
        self.query(f"DROP DATABASE IF EXISTS {database.name} WITH (FORCE)")

    def _make(self) -> None:
        options = ["--username", self.user, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        self._run([self._programs["initdb"], "--pgdata", str(self._directory / "data"), *options])

    def _command(self) -> list[str]:
        place = str(self._directory)
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": place, "max_connections": "60"}
        command = [self._programs["postgres"], "-D", f"{place}/data", "-p", str(self.port)]
        return [*command, *(word for name, value in options.items() for word in ("-c", f"{name}={value}"))]

    def _stop_signal(self) -> signal.Signals:
        return signal.SIGINT

    def _create_template(self) -> None:
        self.query(f"CREATE DATABASE {_TEMPLATE}")

    def _copy_template(self, name: str) -> None:
        self.query(f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")


class MariadbServer(DatabaseServer):
    """MariaDB, with what `mariadb-install-db` sets up; statements may be long enough for payloads of 20 MB."""

    vendor = "mysql"
    user = "root"
    needs = ("pymysql", "mariadb-server", "mariadb-install-db", "mariadbd")

    def query(self, sql: str, *, database: str = "") -> list[tuple[Any, ...]]:
        with closing(self._connect(database)) as session, session.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def drop_database(self, database: Database) -> None:
        for (pid,) in self.query(f"SELECT id FROM information_schema.processlist WHERE db = '{database.name}'"):
            with suppress(Exception):
                self.query(f"KILL {pid}")
        self.query(f"DROP DATABASE IF EXISTS {database.name}")

    def _make(self) -> None:
        options = ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        self._run(
            [self._programs["mariadb-install-db"], "--no-defaults", f"--datadir={self._directory / 'data'}", *options]
        )

    def _command(self) -> list[str]:
        place = self._directory
        return [
            self._programs["mariadbd"],
            "--no-defaults",
            f"--datadir={place}/data",
            f"--socket={place}/socket",
            f"--pid-file={place}/pid",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--max-allowed-packet=64M",
            "--innodb-buffer-pool-size=64M",
        ]

    def _stop_signal(self) -> signal.Signals:
        return signal.SIGTERM

    def _create_template(self) -> None:
        self.query(f"CREATE DATABASE {_TEMPLATE} CHARACTER SET utf8mb4")

    def _copy_template(self, name: str) -> None:
        self.query(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        tables = [table for (table,) in self.query("SHOW TABLES", database=_TEMPLATE)]
        texts = [self.query(f"SHOW CREATE TABLE {table}", database=_TEMPLATE)[0][1] for table in tables]
        with closing(self._connect(name)) as session, session.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            for table, text in zip(tables, texts, strict=True):
                cursor.execute(text)
                cursor.execute(f"INSERT INTO {table} SELECT * FROM {_TEMPLATE}.{table}")

    def _connect(self, database: str) -> Any:
        return self._driver.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            database=database or None,
            connect_timeout=5,
            read_timeout=SERVER_TIMEOUT_S,
            autocommit=True,
        )


def migrate(url: str) -> None:
    """Make gearjobs' tables, and those of the tests' project, in the database at an address."""
    environment = {**os.environ, "GEARJOBS_TEST_DATABASE_URL": url, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "django", "migrate", "--settings", "tests.support.settings", "--verbosity=0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=SERVER_TIMEOUT_S)


def _import_driver(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ServerMissing(f"the Python package {name} is not installed") from error


def _find_program(name: str, package: str) -> str:
    # Debian keeps them out of PATH: of each version of PostgreSQL its own.
    folders = sorted(map(str, Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    place = shutil.which(name, path=path)
    if place is None:
        raise ServerMissing(f"{name} is not installed (Debian: {package})")
    return place


def _children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    places = Path("/proc").glob("[0-9]*/stat")
    return [int(place.parent.name) for place in places if _stat(place)[1:2] == [str(pid)]]


def _is_alive(pid: int) -> bool:
    """Whether the process does anything still; one whose exit code nobody has asked for does not."""
    return _stat(Path(f"/proc/{pid}/stat"))[:1] not in (["Z"], [])


def _stat(place: Path) -> list[str]:
    """Return a process's state, its parent's pid and what follows; nothing for one that is gone."""
    with suppress(OSError):
        # The program's name may hold anything, and stands in parentheses before these.
        return place.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    return []
