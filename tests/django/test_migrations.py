"""Tables of an older version are brought up to date with what is in them."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db import connections

from gearjobs.models import Job
from gearjobs.records.record_store import RecordStore

OLD_ROWS = (
    "INSERT INTO gearjobs_job (handle, function, {q}unique{q}, task, queue, backend, priority, status, status_detail,"
    " enqueued_at, attempt, crashes, worker_ids, progress_numerator, progress_denominator, progress_message,"
    " error_class, owner, enqueued_by, metadata, reducer, version, error_message, error_traceback, payload) VALUES"
    " (%s, 'f', 'u', '', '', '', 0, 'READY', 'waiting', '2026-01-01 00:00:00', 0, 0, '[]', 0, 0, '', '',"
    " 'an-old-server:7', '', '{{}}', '', 1, '', '', %s)"
)


@pytest.fixture
def sqlite_alias(django_alias, tmp_path):
    return django_alias({"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "old.sqlite3")})


def migrate_with_rows(alias: str) -> None:
    call_command("migrate", "gearjobs", "0001", database=alias, verbosity=0)
    quote = "`" if connections[alias].vendor == "mysql" else '"'
    with connections[alias].cursor() as cursor:
        for handle in ("H:old:1", "H:old:2"):
            cursor.execute(OLD_ROWS.format(q=quote), [handle, b"\0payload\xff"])
    call_command("migrate", "gearjobs", database=alias, verbosity=0)


def load_old_rows(alias: str) -> None:
    store = RecordStore(alias, "new-server")
    jobs = store.load()
    store.close()

    assert [(job.handle, job.unique, job.payload) for job in jobs] == [(b"H:old:1", b"u", b"\0payload\xff")]
    assert Job.objects.using(alias).get(pk="H:old:2").status_detail == "cancelled"


def test_rows_of_an_old_table_are_taken_on(sqlite_alias):
    migrate_with_rows(sqlite_alias)

    load_old_rows(sqlite_alias)


def test_rows_of_an_old_table_that_is_shared_are_taken_on(shared_database, django_alias):
    alias = django_alias(shared_database.settings)
    migrate_with_rows(alias)

    load_old_rows(alias)


def test_server_of_the_old_version_goes_on_inserting_during_an_upgrade(shared_database, django_alias):
    alias = django_alias(shared_database.settings)
    quote = "`" if connections[alias].vendor == "mysql" else '"'

    with connections[alias].cursor() as cursor:
        cursor.execute(OLD_ROWS.format(q=quote), ["H:old:1", b"p"])

    assert Job.objects.using(alias).get().is_resumable is False
