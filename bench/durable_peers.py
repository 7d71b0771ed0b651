"""Job servers that keep what they acknowledge: gearmand's modules; gearjobs on the same queues, and on its job table.

Every reading has a fresh database. Its processes count with the server's processor time: a store that lets the database
do the work is not cheaper for it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.gearjobs_peers import Gearjobs
from bench.peers import TUNED, Gearmand, Peer
from bench.services import Services

#: The stores and the service each needs.
STORES: Final = {"SQLite": "", "PostgreSQL": "postgres", "MariaDB": "mariadb", "Redis": "durable redis"}
#: gearmand's options for its queue; the braces are this reading's place.
_QUEUE_OPTIONS: Final = {
    "SQLite": ("--queue-type=libsqlite3", "--libsqlite3-db={directory}/queue.sqlite3"),
    "PostgreSQL": (
        "--queue-type=Postgres",
        "--libpq-conninfo=host=127.0.0.1 port={port} dbname={database} user={user}",
    ),
    "MariaDB": (
        "--queue-type=MySQL",
        "--mysql-host=127.0.0.1",
        "--mysql-port={port}",
        "--mysql-user={user}",
        "--mysql-db={database}",
    ),
    "Redis": ("--queue-type=redis", "--redis-server=127.0.0.1", "--redis-port={port}"),
}
#: The columns, the same for every store.
GEARMAND_QUEUE: Final = "gearmand"
OUR_QUEUE: Final = "gearjobs, gearmand's queue"
OUR_TABLE: Final = "gearjobs, job table"


class _StorePlace:
    """Where one reading keeps its jobs.

    Args:
        store: one of STORES.
        services: has the databases.
    """

    def __init__(self, store: str, services: Services) -> None:
        self._service = STORES[store]
        self._services = services
        #: The entry of DATABASES, where it is a database.
        self.database: dict[str, Any] = {}
        self._words: dict[str, object] = {}

    def why_absent(self) -> str:
        return self._services.why_absent(self._service) if self._service else ""

    def refresh(self, directory: Path) -> None:
        """Make an empty one."""
        self._words = {"directory": directory}
        if self._service == "durable redis":
            self._words["port"] = self._services.fresh_redis(self._service)
        elif self._service:
            name = self._services.fresh_database(self._service)
            server = self._services.database(self._service)
            self._words |= {"port": server.port, "database": name, "user": server.user}
            self.database = server.settings(name)

    def forget(self) -> None:
        """Remove it."""
        if self._service in {"postgres", "mariadb"}:
            self._services.drop_database(self._service, str(self._words["database"]))

    def filled(self, words: Sequence[str]) -> list[str]:
        """Put this reading's place into a command."""
        return [word.format(**self._words) if "{" in word else word for word in words]

    def pids(self) -> Sequence[int]:
        return [self._services.pid(self._service)] if self._service else ()


class StoringGearmand(Gearmand):
    """gearmand with one of its queue modules, and a hash table that is large enough."""

    def __init__(self, store: str, services: Services) -> None:
        super().__init__(GEARMAND_QUEUE, *TUNED, *_QUEUE_OPTIONS[store])
        self._place = _StorePlace(store, services)

    def why_absent(self) -> str:
        return super().why_absent() or self._place.why_absent() or self._why_without_module()

    def _why_without_module(self) -> str:
        told = subprocess.run([self._program or "", "--help"], capture_output=True, text=True, check=False)
        option = self._options[len(TUNED) + 1].partition("=")[0]
        return "" if option in told.stdout else f"this gearmand was built without the module of {option}"

    def prepare(self, directory: Path) -> None:
        self._place.refresh(directory)

    def tidy(self) -> None:
        self._place.forget()

    def companions(self) -> Sequence[int]:
        return self._place.pids()

    def filled(self, words: Sequence[str], directory: Path) -> Sequence[str]:
        return self._place.filled(words)


class StoringGearjobs(Gearjobs):
    """gearjobs on gearmand's queue, or on its own job table.

    Args:
        name: OUR_QUEUE or OUR_TABLE.
        store: one of STORES.
        services: has the databases.
        python: the interpreter.
    """

    def __init__(self, name: str, store: str, services: Services, *, python: str) -> None:
        super().__init__(name, *(() if name == OUR_TABLE else _QUEUE_OPTIONS[store]), python=python)
        self._place = _StorePlace(store, services)

    def why_absent(self) -> str:
        return super().why_absent() or self._place.why_absent()

    def database(self, directory: Path) -> dict[str, Any]:
        return self._place.database or super().database(directory)

    def prepare(self, directory: Path) -> None:
        self._place.refresh(directory)
        if self.name == OUR_TABLE:
            self.migrate(directory)

    def tidy(self) -> None:
        self._place.forget()

    def companions(self) -> Sequence[int]:
        return self._place.pids()

    def filled(self, words: Sequence[str], directory: Path) -> Sequence[str]:
        return self._place.filled(words)


def durable_peers(store: str, services: Services, *, python: str) -> list[Peer]:
    """Return the job servers that can keep jobs in a store."""
    peers: list[Peer] = [
        StoringGearmand(store, services),
        StoringGearjobs(OUR_QUEUE, store, services, python=python),
    ]
    if store != "Redis":
        peers.append(StoringGearjobs(OUR_TABLE, store, services, python=python))
    return peers
