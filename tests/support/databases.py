"""Databases as fixtures: a private server of each kind for the session, a fresh database in it for each test that asks.

`shared_database` runs a test on PostgreSQL and on MariaDB; `django_alias` makes a database one of Django's for a test.
A test may do to a server what it likes (`database_servers`): the next one finds it answering. Where the programs are
missing, the tests are skipped and say so; with CI set to "true" they fail.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.support.database_servers import (
    Database,
    DatabaseServer,
    MariadbServer,
    PostgresServer,
    ServerMissing,
    migrate,
)

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[DatabaseServer]:
    """PostgreSQL, running."""
    yield from _serve(PostgresServer)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[DatabaseServer]:
    """MariaDB, running."""
    yield from _serve(MariadbServer)


@pytest.fixture(scope="session")
def sqlite_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file."""
    file = tmp_path_factory.mktemp("sqlite") / "jobs.sqlite3"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def postgres_database(postgres_server: DatabaseServer) -> Iterator[Database]:
    """A fresh database of PostgreSQL."""
    yield from _fresh(postgres_server)


@pytest.fixture
def mariadb_database(mariadb_server: DatabaseServer) -> Iterator[Database]:
    """A fresh database of MariaDB."""
    yield from _fresh(mariadb_server)


@pytest.fixture(
    params=[
        pytest.param("postgres_database", marks=pytest.mark.postgres, id="postgresql"),
        pytest.param("mariadb_database", marks=pytest.mark.mysql, id="mariadb"),
    ]
)
def shared_database(request: pytest.FixtureRequest) -> Database:
    """A fresh database that several job servers may share, of each kind."""
    database = request.getfixturevalue(request.param)
    assert isinstance(database, Database)
    return database


@pytest.fixture
def django_alias(django_db_blocker: Any) -> Iterator[Callable[[dict[str, Any]], str]]:
    """Make DATABASES entries known to Django, each under a new alias; commits there are real."""
    with ExitStack() as stack:
        stack.enter_context(django_db_blocker.unblock())
        yield lambda settings: stack.enter_context(known_to_django(settings))


@contextmanager
def known_to_django(settings: dict[str, Any]) -> Iterator[str]:
    """Give a DATABASES entry an alias of its own for a while; other threads must close what they opened there."""
    alias = f"database_{next(_numbers)}"
    connections.databases[alias] = connections.configure_settings({"default": {}, alias: dict(settings)})[alias]
    try:
        yield alias
    finally:
        connections[alias].close()
        del connections[alias]
        del connections.databases[alias]


def _serve(make: Callable[[], DatabaseServer]) -> Iterator[DatabaseServer]:
    try:
        server = make()
    except ServerMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing}; CI must test on every database")
        pytest.skip(f"{missing}, so nothing was tested on it")
    with server:
        yield server


def _fresh(server: DatabaseServer) -> Iterator[Database]:
    server.make_ready()
    database = server.create_database()
    yield database
    server.make_ready()
    server.drop_database(database)
