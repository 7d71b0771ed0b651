"""Every store: in memory, and on every database, each private to the tests and migrated once."""

from __future__ import annotations

import pytest

from gearjobs.stores.queue_types import QUEUE_TYPES
from tests.support.databases import known_to_django
from tests.support.queue_houses import QUEUE_HOUSES, queue_house, queue_options
from tests.support.store_houses import StoreHouse, memory_house, record_house

DATABASES = [
    pytest.param("sqlite", id="sqlite"),
    pytest.param("postgresql", id="postgresql", marks=pytest.mark.postgres),
    pytest.param("mariadb", id="mariadb", marks=pytest.mark.mysql),
]


@pytest.fixture(scope="session")
def sqlite_settings(sqlite_file):
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(sqlite_file)}


@pytest.fixture(scope="session")
def postgresql_settings(postgres_server):
    return postgres_server.create_database().settings


@pytest.fixture(scope="session")
def mariadb_settings(mariadb_server):
    return mariadb_server.create_database().settings


@pytest.fixture(params=DATABASES)
def record(request, django_db_blocker):
    """A store on the Job table, on each database."""
    settings = request.getfixturevalue(f"{request.param}_settings")
    with django_db_blocker.unblock(), known_to_django(settings) as alias:
        yield record_house(alias, settings)


@pytest.fixture(params=["memory", *DATABASES, *QUEUE_HOUSES])
def house(request, django_db_blocker):
    """Any store."""
    if request.param == "memory":
        yield memory_house()
        return
    if request.param in QUEUE_TYPES:
        yield queue_house(request.param, queue_options(request.param, request))
        return
    settings = request.getfixturevalue(f"{request.param}_settings")
    with django_db_blocker.unblock(), known_to_django(settings) as alias:
        yield record_house(alias, settings)


@pytest.fixture
def insert(house: StoreHouse):
    """Puts a job into the store as a client without a server does."""
    if house.insert is None:
        pytest.skip("nobody but its server puts jobs into this store")
    return house.insert


@pytest.fixture
def store(house: StoreHouse):
    opened = house.open()
    opened.load()
    yield opened
    opened.close()


@pytest.fixture
def reload(house, store):
    """Close the store and return what a restarted server finds."""

    def close_and_load():
        store.close()
        restarted = house.open()
        try:
            return restarted.load()
        finally:
            restarted.close()

    return close_and_load
