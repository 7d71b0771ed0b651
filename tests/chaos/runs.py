"""One scenario after the other on one kind of database, each on a fresh one, with a line of the table for each."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gearjobs.models import Job
from tests.chaos.accounts import Account, settle
from tests.chaos.house import House
from tests.chaos.troubles import SCENARIOS, Scenario, Setting
from tests.support.database_servers import Database, DatabaseServer, MariadbServer, PostgresServer
from tests.support.databases import known_to_django
from tests.support.eventually import eventually
from tests.support.job_server import ROOT
from tests.support.journal import Promises, QuietBegan, RunOver

#: Seconds until the table must have come to rest: a job whose worker and server died together waits 40 of them.
REST_TIMEOUT_S: Final = 120.0
#: A disk that a run fills in no time, and that its jobs do not.
_SMALL_DISK: Final = "size=24m"
_SERVERS: Final[dict[str, type[DatabaseServer]]] = {"postgresql": PostgresServer, "mysql": MariadbServer}


@dataclass(frozen=True)
class Place:
    """A fresh database for one run."""

    alias: str
    url: str
    server: DatabaseServer | None
    small_disk: Path | None


def run_scenarios(kind: str, *, only: str, seed: int, lasts_s: float) -> Iterator[tuple[Scenario, Account]]:
    """Run every scenario that makes sense on this kind of database and has `only` in its name."""
    with ExitStack() as stack:
        server = stack.enter_context(_SERVERS[kind]()) if kind in _SERVERS else None
        for scenario in SCENARIOS:
            if kind in scenario.databases and only in scenario.name:
                yield scenario, run_scenario(scenario, server, seed=seed, lasts_s=lasts_s)


def run_scenario(
    scenario: Scenario,
    server: DatabaseServer | None,
    *,
    seed: int,
    lasts_s: float,
    options: Sequence[str] = (),
    promises: Promises | None = None,
) -> Account:
    """Run one scenario and return its account.

    Args:
        scenario: what is to go wrong.
        server: where its database is made; None for an SQLite file.
        seed: draws what is left to chance on our side; the machine has a will of its own.
        lasts_s: seconds the trouble lasts, about.
        options: further options of the job servers.
        promises: what these options promise.
    """
    with tempfile.TemporaryDirectory(prefix="gearjobs-chaos-") as name, ExitStack() as stack:
        folder = Path(name)
        place = stack.enter_context(_place(scenario, server, folder))
        house = House(folder, place.alias, place.url, scenario.servers, options, seed)
        setting = Setting(house, place.server, place.small_disk, random.Random(seed), lasts_s)
        with house.running():
            with house.submitting():
                scenario.trouble(setting)
            house.journal.note(QuietBegan(time.monotonic()))
            _come_to_rest(house)
            house.journal.note(RunOver(time.monotonic()))
        return settle(house, promises=promises or Promises())


def _come_to_rest(house: House) -> None:
    def is_at_rest() -> bool:
        house.pause(0.3)
        return not Job.objects.using(house.alias).filter(finished_at=None).exists()

    try:
        eventually(is_at_rest, REST_TIMEOUT_S, "the table to come to rest")
    except AssertionError:
        # What is missing is told by the account.
        return


@contextmanager
def _place(scenario: Scenario, server: DatabaseServer | None, folder: Path) -> Iterator[Place]:
    with ExitStack() as stack:
        if server is not None:
            database = server.create_database()
            stack.callback(_drop, server, database)
            alias = stack.enter_context(known_to_django(database.settings))
            yield Place(alias, database.url, server, None)
            return
        disk = stack.enter_context(_small_disk(folder)) if scenario.needs_small_disk else folder
        path = disk / "jobs.sqlite3"
        url = f"sqlite:///{path}"
        _migrate(url)
        alias = stack.enter_context(known_to_django({"ENGINE": "django.db.backends.sqlite3", "NAME": str(path)}))
        yield Place(alias, url, None, disk if scenario.needs_small_disk else None)


def _drop(server: DatabaseServer, database: Database) -> None:
    server.make_ready()
    server.drop_database(database)


def _migrate(url: str) -> None:
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.support.settings", "GEARJOBS_TEST_DATABASE_URL": url},
        check=True,
        timeout=REST_TIMEOUT_S,
    )


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path]:
    """Mount a disk that is soon full; root's only."""
    disk = folder / "small-disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", _SMALL_DISK, "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
