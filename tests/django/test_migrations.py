"""Tables of an older version are brought up to date with what is in them."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import connections
from django.test.utils import CaptureQueriesContext

from gearjobs.models import Job
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import job_page
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


FAILED_ROW = (
    "INSERT INTO gearjobs_job (handle, function, {q}unique{q}, task, queue, backend, priority, status, status_detail,"
    " enqueued_at, attempt, crashes, worker_ids, progress_numerator, progress_denominator, progress_message,"
    " error_class, owner, enqueued_by, metadata, reducer, version, error_message, error_traceback, payload,"
    " finished_at) VALUES (%s, 'f', '', '', '', '', 0, %s, %s, '2026-01-01 00:00:00', 1, 0, '[]', 0, 0, '', '',"
    " '', '', '{{}}', '', 1, '', '', %s, '2026-01-01 00:01:00')"
)


def check_that_old_failures_are_listed(alias: str) -> None:
    call_command("migrate", "gearjobs", "0005", database=alias, verbosity=0)
    quote = "`" if connections[alias].vendor == "mysql" else '"'
    states = [("FAILED", "failed"), ("FAILED", "dead"), ("FAILED", "cancelled"), ("SUCCESSFUL", "succeeded")]
    with connections[alias].cursor() as cursor:
        for status, detail in states:
            cursor.execute(FAILED_ROW.format(q=quote), [f"H:{detail}", status, detail, b"p"])

    call_command("migrate", "gearjobs", database=alias, verbosity=0)

    page = job_page(Job.objects.using(alias), JobFilter(statuses=("failed", "dead")))
    assert {job.handle for job in page.jobs} == {"H:failed", "H:dead"}
    assert Job.objects.using(alias).filter(fingerprint=None).count() == 2


def test_failures_of_before_are_listed_as_well(sqlite_alias):
    check_that_old_failures_are_listed(sqlite_alias)


def test_failures_of_before_are_listed_in_a_database_that_is_shared(shared_database, django_alias):
    alias = django_alias(shared_database.settings)
    try:
        check_that_old_failures_are_listed(alias)
    finally:
        Job.objects.using(alias).all().delete()


def test_jobs_that_succeed_are_in_no_index_of_failures(sqlite_alias):
    call_command("migrate", "gearjobs", database=sqlite_alias, verbosity=0)
    with connections[sqlite_alias].cursor() as cursor:
        cursor.execute("SELECT name, sql FROM sqlite_master WHERE sql LIKE '%WHERE%fingerprint%IS NOT NULL%'")
        found = {name for name, _ in cursor.fetchall()}

    assert found == {"gearjobs_job_fingerprint", "gearjobs_job_failed"}


def index_names(alias: str) -> set[str]:
    connection = connections[alias]
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, Job._meta.db_table)
    return {name for name, facts in found.items() if facts["index"]}


def check_that_a_broken_off_migration_goes_on(alias: str) -> None:
    call_command("migrate", "gearjobs", "0006", database=alias, verbosity=0)
    jobs = Job.objects.using(alias)
    ended = {"status": "FAILED", "status_detail": "failed", "function": "f"}
    jobs.bulk_create(Job(handle=f"H:{number:04d}", **ended) for number in range(30))
    jobs.filter(pk__lt="H:0010").update(fingerprint="earlier")
    jobs.filter(pk="H:0029").update(fingerprint="known")
    call_command("migrate", "gearjobs", "0007", database=alias, verbosity=0)
    connection = connections[alias]
    with connection.schema_editor(atomic=False) as editor:
        # The first index was made, and the process killed before that was written down.
        editor.add_index(Job, next(one for one in Job._meta.indexes if one.name == "gearjobs_job_fingerprint"))

    call_command("migrate", "gearjobs", database=alias, verbosity=0)

    assert jobs.filter(fingerprint="earlier").count() == 29
    assert jobs.get(pk="H:0029").fingerprint == "known"
    expected = {"gearjobs_job_fingerprint"} | ({"gearjobs_job_failed"} if connection.vendor != "mysql" else set())
    assert expected <= index_names(alias)


def test_migration_that_broke_off_goes_on(sqlite_alias, monkeypatch):
    monkeypatch.setattr(import_module("gearjobs.migrations.0007_earlier_failures"), "_AT_ONCE", 7)

    check_that_a_broken_off_migration_goes_on(sqlite_alias)


def test_migration_that_broke_off_goes_on_in_a_database_that_is_shared(shared_database, django_alias):
    alias = django_alias(shared_database.settings)
    call_command("migrate", "gearjobs", "0005", database=alias, verbosity=0)
    try:
        check_that_a_broken_off_migration_goes_on(alias)
    finally:
        Job.objects.using(alias).all().delete()


def test_indexes_of_failures_go_back(shared_database, django_alias):
    alias = django_alias(shared_database.settings)

    call_command("migrate", "gearjobs", "0007", database=alias, verbosity=0)

    assert not {"gearjobs_job_fingerprint", "gearjobs_job_failed"} & index_names(alias)


def test_new_columns_do_not_make_the_job_table_anew(sqlite_alias):
    # With a million jobs every writer waited for most of a minute.
    call_command("migrate", "gearjobs", "0005", database=sqlite_alias, verbosity=0)

    with CaptureQueriesContext(connections[sqlite_alias]) as captured:
        call_command("migrate", "gearjobs", database=sqlite_alias, verbosity=0)

    made_anew = [query["sql"] for query in captured if "new__gearjobs_job" in query["sql"]]
    assert made_anew == []


@pytest.mark.postgres
def test_indexes_are_made_beside_the_work_of_others(postgres_database, django_alias):
    alias = django_alias(postgres_database.settings)
    call_command("migrate", "gearjobs", "0007", database=alias, verbosity=0)

    with CaptureQueriesContext(connections[alias]) as captured:
        call_command("migrate", "gearjobs", database=alias, verbosity=0)

    made = [query["sql"] for query in captured if query["sql"].startswith("CREATE INDEX")]
    assert len(made) == 2
    assert all("CONCURRENTLY" in sql for sql in made)


def test_statements_of_the_migrations_can_be_shown(sqlite_alias, capsys):
    for name in ("0006", "0008"):
        call_command("sqlmigrate", "gearjobs", name, database=sqlite_alias)

    told = capsys.readouterr().out
    assert 'ADD COLUMN "cancel_reason"' in told
    assert 'CREATE INDEX "gearjobs_job_failed"' in told


def test_tables_of_operators_go_back(sqlite_alias):
    call_command("migrate", "gearjobs", database=sqlite_alias, verbosity=0)

    call_command("migrate", "gearjobs", "0005", database=sqlite_alias, verbosity=0)

    assert "gearjobs_failuregroup" not in connections[sqlite_alias].introspection.table_names()
