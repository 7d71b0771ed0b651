"""What the levels of durability make of a session, what is said of them, and what is refused."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.db import connections, transaction

from gearjobs.errors import StoreError
from gearjobs.records.record_store import RecordStore
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.network_file_systems import file_system_of

FULL, PROCESS, MEMORY = DurabilityLevel.FULL, DurabilityLevel.PROCESS, DurabilityLevel.MEMORY
#: How a database shows what a commit waits for; MariaDB's sessions cannot choose.
SHOWN = {"sqlite": "PRAGMA synchronous", "postgresql": "SHOW synchronous_commit"}
EXPECTED: dict[str, dict[DurabilityLevel, object]] = {
    "sqlite": {FULL: 2, PROCESS: 1, MEMORY: 0},
    "postgresql": {FULL: "on", PROCESS: "off", MEMORY: "off"},
}


@contextmanager
def opened(record, level):
    store = RecordStore(record.alias, "durable", durability=level)
    try:
        yield store.load()
    finally:
        store.close()


@pytest.mark.parametrize("level", DurabilityLevel)
def test_session_is_set_to_the_level(record, level):
    connection = connections[record.alias]

    with opened(record, level), connection.cursor() as cursor:
        if (sql := SHOWN.get(connection.vendor)) is not None:
            cursor.execute(sql)
            assert cursor.fetchone()[0] == EXPECTED[connection.vendor][level]


def test_promise_is_said_once_at_the_start(record, caplog):
    with caplog.at_level(logging.INFO, logger="gearjobs.records"), opened(record, FULL):
        pass

    (line,) = [one.getMessage() for one in caplog.records if "durability=" in one.getMessage()]
    assert f"database={record.alias} durability=full: an acknowledged job survives power loss" in line


@pytest.mark.postgres
def test_postgres_that_does_not_flush_is_refused_under_full_only(postgres_database, django_alias):
    server, alias = postgres_database.server, django_alias(postgres_database.settings)
    server.query("ALTER SYSTEM SET fsync = off")
    server.restart()
    try:
        with pytest.raises(StoreError, match=r"fsync=off.*set fsync = on.*--durability process"):
            RecordStore(alias, "durable").load()
        store = RecordStore(alias, "durable", durability=PROCESS)
        assert store.load() == []
        store.close()
    finally:
        server.query("ALTER SYSTEM RESET fsync")
        server.restart()


@pytest.mark.mysql
@pytest.mark.parametrize(("flush", "cause"), [(0, "a crash of the database"), (2, "power loss")])
def test_mariadb_that_does_not_flush_is_refused_under_full_only(mariadb_database, django_alias, caplog, flush, cause):
    alias = django_alias(mariadb_database.settings)
    mariadb_database.server.query(f"SET GLOBAL innodb_flush_log_at_trx_commit = {flush}")
    try:
        with pytest.raises(StoreError, match=f"innodb_flush_log_at_trx_commit={flush}.*--durability process"):
            RecordStore(alias, "durable").load()
        with caplog.at_level(logging.INFO, logger="gearjobs.records"):
            store = RecordStore(alias, "durable", durability=PROCESS)
            store.load()
            store.close()
    finally:
        mariadb_database.server.query("SET GLOBAL innodb_flush_log_at_trx_commit = 1")
    assert f"but {cause} may take back the last second" in caplog.text


@pytest.mark.mysql
def test_table_without_transactions_is_refused(mariadb_database, django_alias):
    mariadb_database.server.query("ALTER TABLE gearjobs_job ENGINE = Aria", database=mariadb_database.name)

    with pytest.raises(StoreError, match="must be InnoDB's"):
        RecordStore(django_alias(mariadb_database.settings), "durable", durability=MEMORY).load()


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "ext4"), ("/mnt/share/site/db", "nfs4"), ("/mnt/shared/db", "ext4"), ("/mnt/with space/db", "cifs")],
)
def test_file_system_is_that_of_the_innermost_mount(tmp_path, path, kind):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
        "30 22 0:44 / /mnt/share rw - nfs4 server:/export rw\n"
        "31 22 0:45 / /mnt/with\\040space rw - cifs //server/share rw\n"
    )

    assert file_system_of(Path(path), mounts) == kind


@pytest.mark.parametrize("record", ["sqlite"], indirect=True)
def test_sqlite_on_a_network_file_system_is_refused_unless_nothing_is_promised(record, monkeypatch):
    monkeypatch.setattr("gearjobs.stores.network_file_systems.file_system_of", lambda path: "nfs4")

    with pytest.raises(StoreError, match="is on nfs4: move the database to a disk of this machine"):
        RecordStore(record.alias, "durable").load()
    with opened(record, MEMORY) as jobs:
        assert jobs == []


def test_session_sees_what_others_commit_whatever_the_project_set(shared_database, django_alias):
    strict, shown = {
        # psycopg.IsolationLevel.REPEATABLE_READ; the driver may be missing.
        "postgresql": (3, "SHOW transaction_isolation"),
        "mysql": ("repeatable read", "SELECT @@tx_isolation"),
    }[shared_database.server.vendor]
    alias = django_alias({**shared_database.settings, "OPTIONS": {"isolation_level": strict}})
    store = RecordStore(alias, "durable")
    store.load()

    with transaction.atomic(using=alias), connections[alias].cursor() as cursor:
        cursor.execute(shown)
        (level,) = cursor.fetchone()
    store.close()

    assert level.lower().replace("-", " ") == "read committed"
