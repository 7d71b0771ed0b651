"""Where gearmand's queue stores live in tests: each in a place of its own, without anything of earlier tests."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace
from typing import Any

import pytest

from gearjobs.core.handles import HandleMaker
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_only import QueueOnlyStore
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_types import make_queue_store
from tests.support.store_houses import StoreHouse

#: The queue types of SQL databases, as parameters of a fixture.
SQL_QUEUES = [
    pytest.param("libsqlite3", id="libsqlite3"),
    pytest.param("Postgres", id="queue-postgres", marks=pytest.mark.postgres),
    pytest.param("MySQL", id="queue-mysql", marks=pytest.mark.mysql),
]
#: Those whose jobs survive the end of their server.
KEEPING_QUEUES = [*SQL_QUEUES, pytest.param("redis", id="redis")]
#: All, which keep the contract of stores.
QUEUE_HOUSES = [*KEEPING_QUEUES, pytest.param("libmemcached", id="libmemcached")]

_numbers = itertools.count(1)


def queue_options(name: str, request: pytest.FixtureRequest) -> QueueOptions:
    """Return options for a place of its own on the medium of a queue type."""
    table = f"queue_{next(_numbers)}"
    options = QueueOptions()
    if name == "libsqlite3":
        file = request.getfixturevalue("tmp_path") / "queue.sqlite3"
        return replace(options, libsqlite3_db=str(file), libsqlite3_table=table)
    if name == "Postgres":
        server = request.getfixturevalue("postgres_server")
        conninfo = f"host=127.0.0.1 port={server.port} user={server.user} dbname=postgres"
        return replace(options, libpq_conninfo=conninfo, libpq_table=table)
    if name == "redis":
        port = request.getfixturevalue("redis_server").port
        return replace(options, redis_port=port, redis_prefix=f"_{table}_")
    if name == "libmemcached":
        port = request.getfixturevalue("memcached_server").port
        return replace(options, libmemcached_servers=f"127.0.0.1:{port}", libmemcached_prefix=f"{table}_")
    server = request.getfixturevalue("mariadb_server")
    server.query("CREATE DATABASE IF NOT EXISTS queues CHARACTER SET utf8mb4")
    place = {"mysql_host": "127.0.0.1", "mysql_port": server.port, "mysql_db": "queues", "mysql_table": table}
    return replace(options, mysql_user=server.user, **place)


def queue_words(name: str, options: QueueOptions) -> list[str]:
    """Return the options as words of a command line, gearmand's or ours."""
    given = [
        (one.name, getattr(options, one.name))
        for one in fields(options)
        if getattr(options, one.name) not in {one.default, False, ""}
    ]
    return [f"--queue-type={name}", *(f"--{field.replace('_', '-')}={value}" for field, value in given)]


def queue_store(name: str, options: QueueOptions, **others: Any) -> QueueOnlyStore:
    """Make the store, unopened."""
    # memcached promises nothing.
    highest = DurabilityLevel.MEMORY if name == "libmemcached" else DurabilityLevel.FULL
    durability = others.pop("durability", highest)
    handles = HandleMaker("H:taken", f"{next(_numbers):014}")
    return make_queue_store(name, options, durability=durability, make_handle=handles.next_handle)


def queue_house(name: str, options: QueueOptions) -> StoreHouse:
    """Return the house of a queue type's store."""
    return StoreHouse(lambda: queue_store(name, options), None)
