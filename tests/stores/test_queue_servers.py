"""What gearmand's tables need of PostgreSQL and MariaDB, and what is said where they have it not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gearjobs.errors import StoreError
from gearjobs.stores.durability_level import DurabilityLevel
from tests.support.queue_houses import queue_options, queue_store
from tests.support.store_houses import accepted, new_handle

SHORT_PACKET = 1024 * 1024


@pytest.fixture
def mysql(request, mariadb_server):
    mariadb_server.make_ready()
    return queue_options("MySQL", request)


@pytest.fixture
def postgres(request, postgres_server):
    postgres_server.make_ready()
    return queue_options("Postgres", request)


def loaded(kind, options, **others):
    store = queue_store(kind, options, **others)
    try:
        return store.load()
    finally:
        store.close()


@pytest.mark.mysql
def test_mysql_table_that_may_have_a_name_twice_is_refused_with_the_remedy(mysql, mariadb_server):
    mariadb_server.query(
        f"CREATE TABLE {mysql.mysql_table} (unique_key VARCHAR(64), function_name VARCHAR(255), priority INT, "
        "data LONGBLOB, when_to_run INT, KEY (unique_key, function_name))",
        database="queues",
    )

    with pytest.raises(StoreError, match="ADD UNIQUE KEY"):
        loaded("MySQL", mysql)


@pytest.mark.mysql
def test_mysql_table_without_transactions_is_refused(mysql, mariadb_server):
    mariadb_server.query(
        f"CREATE TABLE {mysql.mysql_table} (unique_key VARCHAR(64), function_name VARCHAR(255), priority INT, "
        "data LONGBLOB, when_to_run INT, UNIQUE KEY (unique_key, function_name)) ENGINE=MyISAM",
        database="queues",
    )

    with pytest.raises(StoreError, match="must be InnoDB's"):
        loaded("MySQL", mysql, durability=DurabilityLevel.MEMORY)


@pytest.mark.mysql
def test_mysql_without_a_database_is_refused(mysql):
    with pytest.raises(StoreError, match="must be named with --mysql-db"):
        loaded("MySQL", replace(mysql, mysql_db=""))


@pytest.mark.mysql
def test_mysql_that_does_not_flush_is_refused_under_full_only(mysql, mariadb_server):
    mariadb_server.query("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        with pytest.raises(StoreError, match=r"innodb_flush_log_at_trx_commit=2.*--durability process"):
            loaded("MySQL", mysql)
        assert loaded("MySQL", mysql, durability=DurabilityLevel.PROCESS) == []
    finally:
        mariadb_server.query("SET GLOBAL innodb_flush_log_at_trx_commit = 1")


@pytest.mark.mysql
def test_payload_longer_than_a_packet_is_refused_by_itself(mysql, mariadb_server):
    mariadb_server.query(f"SET GLOBAL max_allowed_packet = {SHORT_PACKET}")
    store = queue_store("MySQL", mysql)
    try:
        store.load()
        with pytest.raises(StoreError, match="more than half of max_allowed_packet") as refused:
            store.commit([accepted(new_handle(), payload=b"p" * SHORT_PACKET), accepted(new_handle())])
        store.commit([accepted(new_handle(), payload=b"p" * (SHORT_PACKET // 2 - 8192))])
    finally:
        mariadb_server.query("SET GLOBAL max_allowed_packet = 67108864")
        store.close()

    assert not refused.value.is_outage


@pytest.mark.mysql
def test_mysql_is_reached_by_the_path_of_its_socket(mysql, mariadb_server):
    ((socket,),) = mariadb_server.query("SELECT @@socket")

    assert loaded("MySQL", replace(mysql, mysql_host=socket, mysql_port=1)) == []


@pytest.mark.postgres
def test_postgres_table_that_may_have_a_name_twice_is_refused(postgres, postgres_server):
    postgres_server.query(
        f"CREATE TABLE {postgres.libpq_table} (unique_key VARCHAR(64), function_name VARCHAR(255), priority INTEGER, "
        "data BYTEA, when_to_run INTEGER)"
    )

    with pytest.raises(StoreError, match="no unique or exclusion constraint"):
        loaded("Postgres", postgres)


@pytest.mark.postgres
def test_postgres_table_in_a_schema_is_found(postgres, postgres_server):
    postgres_server.query("CREATE SCHEMA IF NOT EXISTS queues")
    options = replace(postgres, libpq_table=f"queues.{postgres.libpq_table}")

    assert [loaded("Postgres", options) for _ in range(2)] == [[], []]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("level", "setting"),
    [(DurabilityLevel.FULL, "synchronous_commit=on"), (DurabilityLevel.PROCESS, "synchronous_commit=off")],
)
def test_promise_is_said_at_the_start(postgres, caplog, level, setting):
    with caplog.at_level("INFO", logger="gearjobs.stores"):
        loaded("Postgres", postgres, durability=level)

    assert f"fsync=on, {setting}" in caplog.text


@pytest.mark.postgres
def test_postgres_that_cannot_be_reached_is_an_outage(postgres):
    with pytest.raises(StoreError, match="could not open the queue") as refused:
        loaded("Postgres", replace(postgres, libpq_conninfo="host=127.0.0.1 port=1 dbname=none"))

    assert refused.value.is_outage
