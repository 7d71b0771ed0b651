"""What a store says of a database that is locked, hangs, is killed or restarted: in time, and it recovers by itself."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest
from django.db import connections

from gearjobs.errors import StoreError
from tests.support.databases import known_to_django
from tests.support.eventually import eventually
from tests.support.store_houses import accepted, new_handle, record_house, started

#: Seconds within which a submitter is to be answered, and some of the busy machine's.
ANSWER_S = 2.0 + 1.0
#: Seconds within which the store must work again.
RETURN_S = 15.0


@pytest.fixture
def shared(shared_database, django_db_blocker):
    """A house in a database of its own, whose server the test may maltreat."""
    with django_db_blocker.unblock(), known_to_django(shared_database.settings) as alias:
        yield record_house(alias, shared_database.settings)


@pytest.fixture
def store(shared):
    opened = shared.open()
    opened.load()
    yield opened
    opened.close()


@contextmanager
def refused_in_time():
    """Expect an outage, in time."""
    began = time.monotonic()
    with pytest.raises(StoreError) as refusal:
        yield
    assert refusal.value.is_outage
    assert time.monotonic() - began < ANSWER_S


def works_again(store):
    """Return whether a job can be committed."""
    try:
        store.commit([accepted(new_handle())])
    except StoreError:
        return False
    return True


@pytest.mark.parametrize("call", ["commit", "adopt", "renew"])
def test_database_that_hangs_fails_each_call_in_time(store, shared_database, call):
    calls = {
        "commit": lambda: store.commit([accepted(new_handle())]),
        "adopt": lambda: store.adopt(5),
        "renew": store.renew,
    }
    shared_database.server.pause()
    try:
        with refused_in_time():
            calls[call]()
        # And once more, when a new connection must be made.
        with refused_in_time():
            calls[call]()
    finally:
        shared_database.server.resume()

    eventually(lambda: works_again(store), RETURN_S, "the store to work again")


def test_hang_within_the_load_ends(shared, shared_database):
    opened = shared.open()
    shared_database.server.pause()
    try:
        with refused_in_time():
            opened.load()
    finally:
        shared_database.server.resume()

    eventually(lambda: opens(opened), RETURN_S, "the store to open")
    opened.close()


def opens(store):
    """Return whether the store can be loaded."""
    try:
        return store.load() == []
    except StoreError:
        return False


@pytest.mark.parametrize("how", ["kill", "stop"])
def test_database_that_ends_fails_at_once_and_is_used_again_when_it_is_back(store, shared_database, how):
    kept, refused = new_handle(), new_handle()
    store.commit([accepted(kept)])
    getattr(shared_database.server, how)()

    with refused_in_time():
        store.commit([accepted(refused)])
    with refused_in_time():
        store.commit([accepted(refused)])
    shared_database.server.start()

    eventually(lambda: works_again(store), RETURN_S, "the store to work again")
    store.commit([started(kept)])


def test_row_that_somebody_has_locked_fails_the_batch_in_time(store, shared, shared_database):
    handle = new_handle()
    store.commit([accepted(handle)])
    with known_to_django(shared_database.settings) as other, row_locked(other, handle), refused_in_time():
        store.commit([started(handle)])

    store.commit([started(handle)])


@contextmanager
def row_locked(alias, handle):
    connection = connections[alias]
    connection.set_autocommit(False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM gearjobs_job WHERE handle = %s FOR UPDATE", [handle.decode()])
        yield
    connection.rollback()


def test_sqlite_file_that_another_writes_fails_the_batch_in_time(sqlite_settings, django_db_blocker):
    with django_db_blocker.unblock(), known_to_django(sqlite_settings) as alias:
        store = record_house(alias, sqlite_settings).open()
        store.load()
        with closing(sqlite3.connect(sqlite_settings["NAME"], isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with refused_in_time():
                store.commit([accepted(new_handle())])
            other.execute("ROLLBACK")

        assert works_again(store)
        store.close()


def test_batch_of_many_megabytes_is_kept(store, shared):
    store.commit([accepted(new_handle(), payload=b"\0" * 9_000_000) for _ in range(6)])

    store.close()
    successor = shared.open()
    loaded = successor.load()
    successor.close()
    assert sum(len(job.payload) for job in loaded) == 6 * 9_000_000


def test_sessions_of_web_processes_keep_their_own_limits(store, shared, shared_database):
    asked = {"postgresql": "SHOW statement_timeout", "mysql": "SELECT @@max_statement_time"}
    store.commit([accepted(new_handle())])

    with known_to_django(shared_database.settings) as web, connections[web].cursor() as cursor:
        cursor.execute(asked[connections[web].vendor])
        (limit,) = cursor.fetchone()

    assert float(limit) == 0


def test_closed_store_leaves_djangos_connection_as_it_was(shared):
    before = connections[shared.alias].settings_dict
    store = shared.open()
    store.load()

    store.close()

    assert connections[shared.alias].settings_dict is before
    assert connections[shared.alias].execute_wrappers == []
