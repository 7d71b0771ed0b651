"""System checks beside those of the settings: names of queues and functions, the job table; and docs/checks.md."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections
from django.db.migrations.recorder import MigrationRecorder

from gearjobs.checks import TAG, check_cookies, check_migrations, check_shared_table
from gearjobs.tasks import discovery, registry
from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.name_checks import check_names
from tests.architecture.source_tree import ROOT, python_files, source_of
from tests.support.sample_tasks import add
from tests.support.task_settings import GEARMAN

OPEN = {"default": {**GEARMAN["default"], "QUEUES": []}}
CHECK_ID = re.compile(r"gearjobs\.[EWI]\d{3}")


@pytest.fixture
def use_database(settings, django_alias):
    """Have the job table in a database that Django knows, and nobody connects to."""

    def use(engine, *, servers=("127.0.0.1",), name=":memory:"):
        alias = django_alias({"ENGINE": f"django.db.backends.{engine}", "NAME": name})
        settings.GEARJOBS = {"DATABASE": alias, "SERVERS": servers}
        return alias

    return use


@pytest.fixture
def declared(monkeypatch):
    """The tasks that are declared: none, until the test says which."""
    tasks: dict[str, Task[..., Any]] = {}
    monkeypatch.setattr(registry, "_tasks", tasks)
    return tasks


def ids(messages):
    return [message.id for message in messages]


def plain_task(function, **values: Any) -> Task[..., Any]:
    return Task(func=function, backend="default", priority=0, **{"queue_name": "default", "run_after": None, **values})


def long_name() -> None:
    """Be renamed by a test."""


def test_good_names_have_no_report(settings, declared):
    settings.TASKS = OPEN
    declared["add"] = add

    assert check_names() == []


def test_task_on_a_queue_that_is_not_listed_is_reported(settings, declared):
    settings.TASKS = OPEN
    declared["add"] = add.using(queue_name="films")
    settings.TASKS = GEARMAN

    (report,) = check_names()

    assert report.id == "gearjobs.E131"
    assert "sample_tasks.add is refused by its backend 'default'" in report.msg
    assert "TASKS['default'][\"QUEUES\"]" in str(report.hint)


def test_task_of_a_backend_that_is_not_there_is_reported(settings, declared):
    settings.TASKS = {**OPEN, "other": OPEN["default"]}
    declared["add"] = add.using(backend="other")
    settings.TASKS = OPEN

    (report,) = check_names()

    assert (report.id, "'other'" in report.msg) == ("gearjobs.E131", True)


def test_two_tasks_of_one_function_are_reported(settings, declared):
    settings.TASKS = OPEN
    first, second = plain_task(long_name), plain_task(test_good_names_have_no_report)
    second.func.__module__, second.func.__qualname__ = first.func.__module__, first.func.__qualname__
    declared.update(first=first, second=second)

    (report,) = check_names()

    assert report.id == "gearjobs.E132"
    assert "both claim the function" in report.msg


def test_function_that_is_too_long_for_the_wire_is_reported(settings, declared, monkeypatch):
    settings.TASKS = OPEN
    declared["add"] = add
    monkeypatch.setattr(add.func, "__module__", "m" * 600)
    declared["long"] = plain_task(add.func)

    reports = [report for report in check_names() if report.id == "gearjobs.E133"]

    assert "a function name must have 1 to 512 bytes" in reports[0].msg


def test_queue_whose_name_cannot_be_one_is_reported(settings, declared):
    settings.TASKS = {"default": {**GEARMAN["default"], "QUEUES": ["default", "two words"]}}

    assert "gearjobs.E134" in ids(check_names())


# Django 6.1 hands databases to all checks.
@pytest.mark.django_db
def test_tasks_that_cannot_be_declared_are_reported_once(settings, monkeypatch):
    settings.TASKS = GEARMAN

    def discover(*_names):
        add.using(queue_name="films")

    monkeypatch.setattr(discovery, "autodiscover_modules", discover)
    discovery.discover_tasks.cache_clear()
    try:
        found = run_checks(tags=[TAG])
    finally:
        discovery.discover_tasks.cache_clear()

    assert ids(found) == ["gearjobs.E111"]
    assert "films" in found[0].msg


@pytest.mark.parametrize(
    ("servers", "words"),
    [
        (["10.0.0.7"], "10.0.0.7 cannot read it"),
        (["127.0.0.1", "jobs.example:4731"], "jobs.example:4731 cannot read it"),
        (["127.0.0.1:4730", "127.0.0.1:4731"], "2 servers cannot share it"),
    ],
)
def test_sqlite_that_several_machines_need_is_reported(use_database, servers, words):
    use_database("sqlite3", servers=servers)

    (report,) = check_shared_table()

    assert report.id == "gearjobs.W003"
    assert words in report.msg


@pytest.mark.parametrize(
    ("engine", "servers"),
    [
        ("sqlite3", ["localhost"]),
        ("sqlite3", ["unix:/run/jobs.sock"]),
        ("sqlite3", [socket.gethostname()]),
        ("sqlite3", ["host:port"]),
        ("postgresql", ["10.0.0.7", "10.0.0.8"]),
    ],
)
def test_job_table_that_all_servers_see_has_no_report(use_database, engine, servers):
    use_database(engine, servers=servers)

    assert check_shared_table() == []


def test_missing_migrations_are_reported(use_database, tmp_path):
    alias = use_database("sqlite3", name=str(tmp_path / "empty.sqlite3"))

    (report,) = check_migrations(databases=[alias])

    assert report.id == "gearjobs.W004"
    assert "0001_initial" in report.msg
    assert check_migrations(databases=["default"]) == []
    assert check_migrations() == []


@pytest.mark.django_db
def test_migrated_database_has_no_report():
    recorder = MigrationRecorder(connections["default"])

    assert check_migrations(databases=["default"]) == []
    for app, migration in recorder.applied_migrations():
        if app == "gearjobs":
            recorder.record_unapplied(app, migration)
    assert ids(check_migrations(databases=["default"])) == ["gearjobs.W004"]


def test_checks_of_production_run_with_deploy_only(use_database):
    use_database("sqlite3", servers=["10.0.0.7"])

    # By our tag: Django 6.1 connects to every database for its own checks of models.
    assert "gearjobs.W003" not in ids(run_checks(tags=[TAG]))
    assert "gearjobs.W003" in ids(run_checks(tags=[TAG], include_deployment_checks=True))


def test_backends_are_checked_although_no_task_was_imported():
    script = (
        "import django; from django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes', 'gearjobs'],"
        " SECRET_KEY='x', TASKS={'default': {'BACKEND': 'gearjobs.tasks.backend.GearmanBackend',"
        " 'OPTIONS': {'colour': 1}}})\n"
        "django.setup()\n"
        "from django.core.management import call_command; call_command('check')"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60)

    assert "gearjobs.E102" in done.stderr


def test_every_module_is_imported_without_a_warning():
    names = [".".join(path.with_suffix("").parts) for path in python_files("gearjobs") if path.stem != "__init__"]
    imports = "\n".join(f"import_module({name!r})" for name in names if ".compat." not in name)
    script = f"import django; django.setup(); from importlib import import_module\n{imports}"

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"DJANGO_SETTINGS_MODULE": "tests.support.settings", "PATH": ""},
        timeout=60,
    )

    assert done.returncode == 0, done.stderr


# Django 6.1 connects to every database for its own checks of models.
@pytest.mark.django_db(databases="__all__")
def test_project_passes_the_checks_of_the_command():
    call_command("check", fail_level="WARNING")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, []),
        ({"SESSION_COOKIE_SAMESITE": "Strict"}, []),
        ({"SESSION_COOKIE_SAMESITE": "None"}, ["SESSION_COOKIE_SAMESITE let"]),
        ({"CSRF_COOKIE_SAMESITE": False}, ["CSRF_COOKIE_SAMESITE let"]),
        ({"SESSION_COOKIE_SAMESITE": None, "CSRF_COOKIE_SAMESITE": "none"}, ["SESSION_COOKIE_SAMESITE and CSRF_"]),
    ],
)
def test_cookies_that_go_along_with_other_sites_requests_are_told(settings, values, said):
    for name, value in values.items():
        setattr(settings, name, value)

    messages = check_cookies()

    assert [message.id for message in messages] == ["gearjobs.W005"] * len(said)
    assert all(message.msg.startswith(words) for message, words in zip(messages, said, strict=True))


def test_docs_tell_of_every_check_and_of_no_other():
    known = {
        found for path in python_files("gearjobs") for found in CHECK_ID.findall(source_of(path).partition('"""\n')[2])
    }
    rows = re.findall(r"^\| `(gearjobs\.[EWI]\d{3})` \|", Path(ROOT / "docs/checks.md").read_text(), re.MULTILINE)

    assert rows == sorted(rows, key=lambda one: (one[-3:], one))
    assert set(rows) == known
    assert len(rows) == len(set(rows))
