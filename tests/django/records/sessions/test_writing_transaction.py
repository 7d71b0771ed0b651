"""A transaction that reads before it writes, on a SQLite file that others write, too."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from django.db import connections

from gearjobs import chain
from gearjobs.models import Job
from gearjobs.records.groups.group_rows import end_blocked
from gearjobs.records.sessions.writing_transaction import in_writing_transaction
from gearjobs.records.unowned_jobs import cancel_unowned
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.few_tasks import add


@pytest.fixture
def file(sqlite_file, tmp_path) -> str:
    """A SQLite file of the test's own."""
    return str(shutil.copy(sqlite_file, tmp_path))


@pytest.fixture
def alias(file, django_alias, settings):
    alias = django_alias({"ENGINE": "django.db.backends.sqlite3", "NAME": file})
    settings.GEARJOBS = {"DATABASE": alias}
    return alias


def may_others_write(path: str) -> bool:
    with closing(sqlite3.connect(path, timeout=0)) as other:
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
    return True


def test_nobody_else_writes_from_its_first_look_on(alias, file):
    assert may_others_write(file)

    def look() -> bool:
        Job.objects.using(alias).count()
        return may_others_write(file)

    assert not in_writing_transaction(alias, look)
    assert may_others_write(file)


@pytest.mark.parametrize(
    "cancel",
    [
        lambda result, alias: end_blocked(result.id, "cancelled", using=alias),
        lambda result, alias: cancel_unowned([result.results[0].id], using=alias),
    ],
    ids=["end_blocked", "cancel_unowned"],
)
def test_cancel_of_groups_is_one(alias, file, cancel):
    """It read first, and failed with "database is locked" when a job server had committed in between."""
    looks: list[bool] = []

    def look(execute, sql, params, many, context):
        answer = execute(sql, params, many, context)
        if context["connection"].in_atomic_block and sql.startswith("SELECT"):
            looks.append(may_others_write(file))
        return answer

    with client_in_place(FakeClient()):
        result = chain(add.s(1), add.s(2)).enqueue()
    with connections[alias].execute_wrapper(look):
        count = cancel(result, alias)

    assert count == 1
    assert looks
    assert not any(looks)
