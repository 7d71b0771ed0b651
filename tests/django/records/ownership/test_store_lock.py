"""The lock that makes a store the only one of its database, and what a session must be, on scripted connections."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db import connection, connections

from gearjobs.errors import StoreError
from gearjobs.records.ownership.store_lock import NoLock, is_shared, make_store_lock
from gearjobs.records.sessions.store_session import StoreSession, statement_limit_bytes
from gearjobs.stores.durability_level import DurabilityLevel


class ScriptedConnection:
    """Answers each statement with the row of the first pattern that it contains."""

    def __init__(self, vendor: str, *, name: str = "site", **answers: Any) -> None:
        self.vendor = vendor
        self.alias = "default"
        self.display_name = vendor
        self.connection = object()
        self.in_atomic_block = False
        self.settings_dict = {"NAME": name}
        self.answers = answers
        self.executed: list[str] = []
        self._row: Any = None

    def cursor(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str, parameters: Any = ()) -> None:
        self.executed.append(sql)
        self._row = next((row for part, row in self.answers.items() if part.lower() in sql.lower()), ("x",))

    def fetchone(self) -> Any:
        return self._row

    @property
    def introspection(self):
        return self

    def table_names(self) -> list[str]:
        return [model._meta.db_table for model in apps.get_app_config("gearjobs").get_models()]


@pytest.fixture
def lock_file(tmp_path):
    return tmp_path / "site.sqlite3.gearjobs.lock"


def scripted(vendor: str, **options: Any) -> Any:
    return ScriptedConnection(vendor, **options)


def test_database_file_reached_by_two_names_has_one_lock(tmp_path, lock_file):
    database = tmp_path / "site.sqlite3"
    database.touch()
    link = tmp_path / "link.sqlite3"
    link.symlink_to(database)
    first = make_store_lock(scripted("sqlite", name=str(link)))
    first.acquire(connection)

    with pytest.raises(StoreError, match="has a job server already"):
        make_store_lock(scripted("sqlite", name=f"file:{database}?mode=rwc")).acquire(connection)
    first.release(connection)

    assert lock_file.exists()


@pytest.mark.parametrize("name", [":memory:", "file:memorydb_default?mode=memory&cache=shared"])
def test_database_in_memory_needs_no_lock(name):
    lock = make_store_lock(scripted("sqlite", name=name))
    lock.acquire(connection)
    lock.release(connection)

    assert isinstance(lock, NoLock)


def test_unknown_kind_of_database_is_refused():
    with pytest.raises(StoreError, match="runs on SQLite, PostgreSQL, MySQL and MariaDB, got oracle"):
        make_store_lock(scripted("oracle"))


@pytest.mark.parametrize("vendor", ["postgresql", "mysql"])
def test_database_that_servers_share_needs_no_lock(vendor):
    assert isinstance(make_store_lock(scripted(vendor)), NoLock)
    assert is_shared(scripted(vendor))
    assert not is_shared(scripted("sqlite"))


def test_job_table_that_cannot_hold_every_name_is_said_with_the_remedy():
    settings = {"@@sync_binlog": (1, 1, 1, "ROW"), "engine": ("InnoDB",), "character_set_name": ("latin1",)}
    session = scripted("mysql", **settings)

    with pytest.raises(StoreError, match="utf8mb4 to hold every name, got latin1: ALTER TABLE gearjobs_job CONVERT"):
        StoreSession("default", DurabilityLevel.FULL).prepare(session)


@pytest.mark.mysql
def test_table_of_attempts_that_cannot_hold_every_message_is_said_with_the_remedy(mariadb_database, django_alias):
    alias = django_alias(mariadb_database.settings)
    with connections[alias].cursor() as cursor:
        cursor.execute("ALTER TABLE gearjobs_jobattempt CONVERT TO CHARACTER SET latin1")

    with pytest.raises(StoreError, match="got latin1: ALTER TABLE gearjobs_jobattempt CONVERT"):
        StoreSession(alias, DurabilityLevel.PROCESS).prepare(connections[alias])


def test_only_mysql_limits_statements():
    assert statement_limit_bytes(scripted("mysql", max_allowed_packet=(16_777_216,))) == 16_777_216
    assert statement_limit_bytes(scripted("postgresql")) is None
