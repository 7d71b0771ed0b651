"""The databases and the Redis that peers keep jobs in: private ones, started at the first use and gone at the end.

PostgreSQL and MariaDB are as they come. Redis is there twice: one that synchronises every write, for the stores of job
servers that promise to keep what they acknowledged, and one that writes nothing to disk, for the libraries of tasks: so
they are often run, and it is their fastest setting.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from types import TracebackType
from typing import Final, Self

from tests.support.database_servers import DatabaseServer, MariadbServer, PostgresServer, ServerMissing
from tests.support.queue_servers import RedisServer

#: What can be asked for, and Debian's package of it.
PACKAGES: Final = {
    "postgres": "postgresql",
    "mariadb": "mariadb-server",
    "redis": "redis-server",
    "durable redis": "redis-server",
}
_DATABASE_KINDS: Final = {"postgres": PostgresServer, "mariadb": MariadbServer}


class Services:
    """Starts what is asked for; all of it ends with the block."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._databases: dict[str, DatabaseServer] = {}
        self._redises: dict[str, RedisServer] = {}
        self._made = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def why_absent(self, name: str) -> str:
        """Say why a service cannot be had here; empty where it can."""
        if "redis" in name:
            return "" if shutil.which("redis-server") else "redis-server is not installed"
        try:
            _DATABASE_KINDS[name]()
        except ServerMissing as error:
            return str(error)
        return ""

    def database(self, name: str) -> DatabaseServer:
        """Return the running PostgreSQL or MariaDB."""
        if name not in self._databases:
            self._databases[name] = self._stack.enter_context(_DATABASE_KINDS[name]())
        return self._databases[name]

    def fresh_database(self, name: str) -> str:
        """Make an empty database and return its name."""
        self._made += 1
        fresh = f"bench_{self._made}"
        # MariaDB's own default cannot hold every name.
        encoding = " CHARACTER SET utf8mb4" if name == "mariadb" else ""
        self.database(name).query(f"CREATE DATABASE {fresh}{encoding}")
        return fresh

    def drop_database(self, name: str, database: str) -> None:
        """Remove it again; the next reading shall not share the machine with what cleans up behind this one."""
        forced = " WITH (FORCE)" if name == "postgres" else ""
        self.database(name).query(f"DROP DATABASE IF EXISTS {database}{forced}")

    def fresh_redis(self, name: str) -> int:
        """Return the port of a Redis that has just been emptied."""
        if name not in self._redises:
            options = () if name == "durable redis" else ("--appendonly", "no")
            self._redises[name] = self._stack.enter_context(RedisServer(*options))
        self._redises[name].ask(b"FLUSHALL")
        return self._redises[name].port

    def pid(self, name: str) -> int:
        """Return the first process of a running service."""
        if name in self._databases:
            return self._databases[name].pids[0]
        told = self._redises[name].ask(b"INFO server").decode().split()
        return next(int(word.partition(":")[2]) for word in told if word.startswith("process_id:"))
