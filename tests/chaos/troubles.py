"""The kinds of trouble: each does its worst to a house for a while, and leaves everything running."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.chaos.house import House
from tests.support.database_servers import DatabaseServer
from tests.support.journal import FENCED, ServerLost

#: Seconds for which a paused server hangs: longer than its lease.
_HANG_S: Final = 14.0


@dataclass
class Setting:
    """Where the trouble takes place."""

    house: House
    #: The database's own server; None for SQLite.
    database: DatabaseServer | None
    #: Where an SQLite file lies that is on a disk of its own, which can be filled.
    small_disk: Path | None
    chance: random.Random
    #: Seconds the trouble lasts, about.
    lasts_s: float


def kill_servers(setting: Setting) -> None:
    """Kill -9 one server after the other; each is started again a little later."""
    house, chance = setting.house, setting.chance
    for _ in _while(setting):
        house.pause(1 + 3 * chance.random())
        server = chance.choice(house.servers)
        server.kill()
        house.pause(2 * chance.random())
        server.start()


def kill_for_good(setting: Setting) -> None:
    """Kill -9 one of two servers; the other must go on with its jobs. It comes back at the end."""
    house = setting.house
    house.pause(2)
    server = setting.chance.choice(house.servers)
    server.kill()
    house.pause(max(setting.lasts_s, 16.0))
    server.start()


def restart_servers(setting: Setting) -> None:
    """SIGTERM one server after the other, as a deployment does."""
    house = setting.house
    for number in _while(setting):
        server = house.servers[number % len(house.servers)]
        house.pause(1 + setting.chance.random())
        server.terminate()
        server.start()


def kill_workers(setting: Setting) -> None:
    """Kill -9 workers; each is replaced."""
    house, chance = setting.house, setting.chance
    for _ in _while(setting):
        house.pause(0.5 * chance.random())
        worker = chance.choice(house.workers)
        worker.kill()
        worker.start()


def pause_servers(setting: Setting) -> None:
    """SIGSTOP a server for longer than its lease, and let it go on: a zombie."""
    house, chance = setting.house, setting.chance
    for _ in _while(setting):
        house.pause(1)
        server = chance.choice(house.servers)
        with house.disturbed(server.name):
            server.pause()
            house.journal.note(ServerLost(time.monotonic(), server.name, FENCED))
            house.pause(_HANG_S)
            server.resume()
        server.begin_anew()
        house.pause(4)


def trouble_database(setting: Setting) -> None:
    """Stop, kill or pause the database under load, and let it come back."""
    house, chance, database = setting.house, setting.chance, setting.database
    assert database is not None, "SQLite has no server"
    for _ in _while(setting):
        house.pause(2 + 2 * chance.random())
        end, begin = chance.choice(
            [(database.stop, database.start), (database.kill, database.start), (database.pause, database.resume)]
        )
        with house.disturbed():
            end()
            house.pause(1 + 3 * chance.random())
            begin()


def fill_disk(setting: Setting) -> None:
    """Fill the disk to its last byte, and make room again."""
    disk = setting.small_disk
    assert disk is not None, "the database is on no disk of its own"
    for _ in _while(setting):
        setting.house.pause(2)
        with setting.house.disturbed(), _filled(disk):
            setting.house.pause(3)


def everything(setting: Setting) -> None:
    """A bit of all of it at once."""
    house, chance = setting.house, setting.chance
    for _ in _while(setting):
        house.pause(chance.random())
        server, worker = chance.choice(house.servers), chance.choice(house.workers)
        worker.kill()
        server.kill() if chance.random() < 0.7 else server.terminate()
        worker.start()
        if setting.database is not None and chance.random() < 0.2:
            with house.disturbed():
                setting.database.restart()
        house.pause(chance.random())
        server.start()


@dataclass(frozen=True)
class Scenario:
    """One line of the table."""

    name: str
    trouble: Callable[[Setting], None]
    #: Job servers that share the database.
    servers: int = 1
    #: Kinds of databases it makes sense on.
    databases: tuple[str, ...] = ("sqlite", "postgresql", "mysql")
    #: Whether the database is to lie on a small disk.
    needs_small_disk: bool = False


_SHARED: Final = ("postgresql", "mysql")

SCENARIOS: Final = (
    Scenario("kill -9 the server", kill_servers),
    Scenario("kill -9 workers", kill_workers),
    Scenario("SIGTERM the server", restart_servers),
    Scenario("database away", trouble_database, databases=_SHARED),
    Scenario("disk full", fill_disk, databases=("sqlite",), needs_small_disk=True),
    Scenario("kill -9 either server", kill_servers, servers=2, databases=_SHARED),
    Scenario("one server gone", kill_for_good, servers=2, databases=_SHARED),
    Scenario("SIGTERM in turn", restart_servers, servers=2, databases=_SHARED),
    Scenario("SIGSTOP a server", pause_servers, servers=2, databases=_SHARED),
    Scenario("everything", everything, servers=2, databases=_SHARED),
    Scenario("everything", everything, databases=("sqlite",)),
)


def _while(setting: Setting) -> Iterator[int]:
    number, until = 0, time.monotonic() + setting.lasts_s
    while time.monotonic() < until:
        yield number
        number += 1


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    ballast = disk / "ballast"
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(65_536))
        yield
    finally:
        ballast.unlink()
