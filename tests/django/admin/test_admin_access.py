"""Who is let in where in the admin: every screen and every verb, over all addresses that the admins have."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.test import Client

from gearjobs.actions.bulk_operation import start_bulk
from gearjobs.models import (
    BulkOperation,
    BulkVerb,
    FailureGroup,
    Job,
    JobGroup,
    JobServer,
    OperatorAction,
    QueueControl,
    Schedule,
    ScheduleSource,
)
from gearjobs.records.job_filter import JobFilter
from gearjobs.tasks.schedules.saved_schedules import create_schedule, spec_columns
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.admin_rows import ROWS, screen_names
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_job
from tests.support.sample_tasks import add

pytestmark = pytest.mark.django_db

OPEN = [row for row in ROWS if not row.is_closed]
CHANGING = [row for row in ROWS if row.body is not None]
#: Permissions that let people see what another one is for.
IMPLYING = {
    # Django's rule.
    "view_schedule": {"change_schedule"},
    # One's own operations.
    "view_bulkoperation": {"retry_job", "cancel_job", "delete_job"},
}


@pytest.fixture(autouse=True)
def job_server(settings, dead_address):
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def places():
    """One of each, as arguments of addresses."""
    job = make_job("failed", fingerprint="f" * 64)
    group = JobGroup.objects.create(id="H:group:1", root="H:group:1", kind="group", total=1)
    schedule = create_schedule(
        "sums", spec_columns(add, ScheduleSpec("0 3 * * *", key="sums", args=[1, 2])), source=ScheduleSource.ADMIN
    )
    JobServer.objects.create(incarnation="server-1")
    FailureGroup.objects.create(fingerprint="f" * 64, function="resize")
    operation = start_bulk(BulkVerb.CANCEL, JobFilter(functions=("none",)), user=None)
    BulkOperation.objects.update(asked_by="somebody")
    return {
        "job": quote(job.handle),
        "handle": job.handle,
        "jobgroup": quote(group.pk),
        "group": group.pk,
        "jobserver": "server-1",
        "schedule": schedule.pk,
        "failuregroup": "f" * 64,
        "bulkoperation": operation.pk,
        "pause": "pause",
        "resume": "resume",
        "run": "run",
    }


def rows_there() -> list[int]:
    tables = (Job, BulkOperation, OperatorAction, QueueControl, Schedule, LogEntry)
    return [table.objects.count() for table in tables]


def all_but(missing: str) -> list[str]:
    codenames = Permission.objects.filter(content_type__app_label="gearjobs").values_list("codename", flat=True)
    return sorted(set(codenames) - {missing} - IMPLYING.get(missing, set()))


def test_every_screen_has_its_rows():
    assert screen_names() == {row.name for row in ROWS}


def test_rows_name_permissions_that_there_are():
    there = set(Permission.objects.filter(content_type__app_label="gearjobs").values_list("codename", flat=True))

    assert {codename for row in ROWS for codename in row.needs} <= there
    assert all(row.needs for row in OPEN)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_nobody_is_let_in_for_being_staff_or_for_permissions_alone(places, make_user, login, row):
    clients = (Client(), login(make_user("reader", *all_but(""))), login(make_user("staff", is_staff=True)))

    answers = [row.ask(client, places) for client in clients]

    assert [answer.status_code for answer in answers] == [302, 302, 403]
    assert all("/admin/login/" in answer.headers["Location"] for answer in answers[:2])


@pytest.mark.parametrize("row", OPEN, ids=lambda row: row.label)
def test_each_permission_is_needed_whatever_else_one_has(places, make_user, login, row):
    for number, missing in enumerate(row.needs):
        client = login(make_user(f"user{number}", *all_but(missing), is_staff=True))

        assert row.ask(client, places).status_code == 403, f"without {missing}"


@pytest.mark.parametrize("row", OPEN, ids=lambda row: row.label)
def test_permissions_are_enough(places, make_user, login, row):
    client = login(make_user("operator", *row.needs, is_staff=True))

    answer = row.ask(client, places)

    assert answer.status_code in {200, 302}
    assert answer.status_code == 200 or "/login/" not in answer.headers["Location"]


@pytest.mark.parametrize("row", [row for row in ROWS if row.is_closed], ids=lambda row: row.label)
def test_what_only_the_program_writes_nobody_changes_by_a_form(places, make_user, login, row):
    client = login(make_user("root", is_staff=True, is_superuser=True))

    assert row.ask(client, places).status_code == 403


@pytest.mark.parametrize("row", CHANGING, ids=lambda row: row.label)
def test_form_without_the_token_changes_nothing(places, make_user, row):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    before = rows_there()

    assert row.ask(client, places).status_code == 403
    assert rows_there() == before


@pytest.mark.parametrize("row", [row for row in ROWS if row.body is None], ids=lambda row: row.label)
def test_looking_changes_nothing(places, make_user, login, row):
    client = login(make_user("root", is_staff=True, is_superuser=True))
    before = rows_there()

    row.ask(client, places)

    assert rows_there() == before


@pytest.mark.parametrize(
    "row",
    [row for row in CHANGING if row.name not in {other.name for other in ROWS if other.body is None}],
    ids=lambda row: row.label,
)
def test_verb_is_not_done_by_a_link(places, make_user, login, row):
    client = login(make_user("root", is_staff=True, is_superuser=True))
    before = rows_there()

    assert client.get(row.url(places), dict(row.body)).status_code == 405
    assert rows_there() == before
