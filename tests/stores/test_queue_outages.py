"""gearmand's tables in databases that are locked, hang, are killed or restarted; and who may have a table."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager

import pytest

from gearjobs.errors import StoreError, StoreFenced
from tests.support.eventually import eventually
from tests.support.queue_houses import SQL_QUEUES, queue_options, queue_store
from tests.support.store_houses import accepted, new_handle, started

#: Seconds within which a submitter is to be answered, and some of the busy machine's.
ANSWER_S = 2.0 + 1.0
#: Seconds within which the store must work again.
RETURN_S = 15.0

SERVERS = {"Postgres": "postgres_server", "MySQL": "mariadb_server"}


@pytest.fixture(params=SQL_QUEUES)
def kind(request):
    return request.param


@pytest.fixture(params=SQL_QUEUES[1:])
def served(request):
    """A table in a database server: its kind, its options and the server, which the test may maltreat."""
    server = request.getfixturevalue(SERVERS[request.param])
    server.make_ready()
    yield request.param, queue_options(request.param, request), server
    server.make_ready()


@pytest.fixture
def store(served):
    kind, options, _ = served
    opened = queue_store(kind, options)
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
    except StoreFenced:
        raise
    except StoreError:
        return False
    return True


def test_table_has_one_job_server(kind, request):
    options = queue_options(kind, request)
    first, second = queue_store(kind, options), queue_store(kind, options)
    first.load()

    with pytest.raises(StoreError, match="has a job server already"):
        second.load()
    first.close()

    assert second.load() == []
    second.close()


def test_job_server_that_lost_its_session_and_its_table_is_fenced(served, store):
    kind, options, server = served
    end_sessions(kind, server)
    successor = queue_store(kind, options)
    successor.load()

    # The first call finds the session broken, if it can be written to still; the next one that another has the table.
    with pytest.raises(StoreFenced, match="has another job server now"):
        eventually(lambda: works_again(store), RETURN_S, "the store to notice")
    with pytest.raises(StoreFenced):
        store.adopt(1)
    successor.close()


def end_sessions(kind, server):
    if kind == "Postgres":
        server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'gearjobs%'")
        return
    for (number,) in server.query("SELECT id FROM information_schema.processlist WHERE db = 'queues'"):
        server.query(f"KILL {number}")


@pytest.mark.parametrize("call", ["commit", "adopt"])
def test_database_that_hangs_fails_each_call_in_time(served, store, call):
    calls = {"commit": lambda: store.commit([accepted(new_handle())]), "adopt": lambda: store.adopt(5)}
    served[2].pause()
    try:
        with refused_in_time():
            calls[call]()
        # And once more, when a new connection must be made.
        with refused_in_time():
            calls[call]()
    finally:
        served[2].resume()

    # What is left of the first session has the lock still, and is ended.
    eventually(lambda: works_again(store), RETURN_S, "the store to work again")


def test_database_that_is_killed_fails_at_once_and_is_used_again_when_it_is_back(served, store):
    kept, refused = new_handle(), new_handle()
    store.commit([accepted(kept)])
    served[2].kill()

    for _ in range(2):
        with refused_in_time():
            store.commit([accepted(refused)])
    served[2].start()

    eventually(lambda: works_again(store), RETURN_S, "the store to work again")
    store.commit([started(kept)])


def test_sqlite_file_that_another_writes_fails_the_batch_in_time(request):
    options = queue_options("libsqlite3", request)
    store = queue_store("libsqlite3", options)
    store.load()
    with closing(sqlite3.connect(options.libsqlite3_db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with refused_in_time():
            store.commit([accepted(new_handle())])
        other.execute("ROLLBACK")

    assert works_again(store)
    store.close()
