"""What screens cost: so many queries however much there is, each of them bounded."""

from __future__ import annotations

import pytest
from django.contrib.admin.utils import quote
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from gearjobs.models import (
    BulkOperation,
    FailureGroup,
    Job,
    JobGroup,
    JobMember,
    JobServer,
    OperatorAction,
    QueueControl,
    ScheduleRun,
)
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.rows.function_keys import function_key
from gearjobs.tasks.schedules.saved_schedules import save_schedule
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.admin_rows import ROWS, ScreenRow
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_attempt, make_job
from tests.support.sample_tasks import add

pytestmark = pytest.mark.django_db

OPEN = [row for row in ROWS if not row.is_closed]
#: Session, user, permissions, and what each screen shows: a list of failures draws a picture of each of its 25 groups.
MOST_QUERIES = 45
FINGERPRINT = "f" * 64


def fill(numbers: range) -> None:
    """Make some of everything."""
    for number in numbers:
        failed = make_job("failed", fingerprint=FINGERPRINT, error_traceback="Traceback", attempt=3)
        for attempt in (1, 2):
            make_attempt(failed, attempt)
        failed.outputs.create(sequence=1, body=b"x", streamed_at=failed.enqueued_at)
        waiting = make_job("waiting", owner="server-1", function="crop")
        make_job("running", owner="server-1", function="crop")
        OperatorAction.objects.create(verb="retry", target_kind="job", target=failed.pk, actor=str(number))
        BulkOperation.objects.create(id=f"H:o:{number}", verb="retry", asked_by=str(number))
        name = f"function {number}"
        QueueControl.objects.create(key=function_key(to_bytes(name)), function=name)
        JobServer.objects.create(incarnation=f"server-{number}", fenced_at_us=1)
        whole = JobGroup.objects.create(id=f"H:g:{number}", root=f"H:g:{number}", kind="group", total=1)
        JobMember.objects.create(job=waiting, stage=whole)
        save_schedule(add, ScheduleSpec("0 3 * * *", key=f"k{number}", args=[1, 2]))


@pytest.fixture
def places(settings, dead_address):
    """One of each, as arguments of addresses; the one that is looked at has a few of everything."""
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    job = make_job("failed", fingerprint=FINGERPRINT)
    FailureGroup.objects.create(fingerprint=FINGERPRINT, function="resize")
    schedule = save_schedule(add, ScheduleSpec("0 3 * * *", key="sums", args=[1, 2]))
    ScheduleRun.objects.create(schedule=schedule, due_at=job.enqueued_at, decided_at=job.enqueued_at, handle=job.pk)
    fill(range(1, 3))
    return {
        "job": quote(job.handle),
        "handle": job.handle,
        "jobgroup": quote("H:g:1"),
        "group": "H:g:1",
        "jobserver": "server-1",
        "schedule": schedule.pk,
        "failuregroup": FINGERPRINT,
        "bulkoperation": "H:o:1",
        "pause": "pause",
        "resume": "resume",
        "run": "run",
    }


@pytest.fixture
def as_root(make_user, login):
    with client_in_place(FakeClient()):
        yield login(make_user("root", is_staff=True, is_superuser=True))


def queries_of(ask) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        answer = ask()
        if getattr(answer, "streaming", False):
            b"".join(answer.streaming_content)
    assert answer.status_code in {200, 302}
    return [query["sql"] for query in captured]


def unbounded_counts(statements: list[str]) -> list[str]:
    table = connection.ops.quote_name(Job._meta.db_table)
    return [sql for sql in statements if "COUNT(" in sql and f"FROM {table}" in sql and "LIMIT" not in sql]


@pytest.mark.parametrize("row", [row for row in OPEN if row.body is None], ids=lambda row: row.label)
def test_screen_costs_the_same_however_much_there_is(as_root, places, row: ScreenRow):
    # Content types and the like are read once.
    queries_of(lambda: row.ask(as_root, places))
    few = queries_of(lambda: row.ask(as_root, places))

    fill(range(3, 13))

    many = queries_of(lambda: row.ask(as_root, places))
    assert len(many) <= len(few) <= MOST_QUERIES
    assert not unbounded_counts(many)


def test_overview_costs_the_same_however_much_there_is(as_root, places):
    url = reverse("admin:app_list", args=["gearjobs"])
    queries_of(lambda: as_root.get(url))
    few = queries_of(lambda: as_root.get(url))

    fill(range(3, 13))

    many = queries_of(lambda: as_root.get(url))
    assert len(many) <= len(few) <= 2 * MOST_QUERIES
    assert not unbounded_counts(many)


def test_list_of_failures_costs_one_query_more_for_each_group_of_a_page(as_root, places):
    url = reverse("admin:gearjobs_failuregroup_changelist")
    for number in range(60):
        FailureGroup.objects.create(fingerprint=f"f{number}", function="resize")

    assert len(queries_of(lambda: as_root.get(url))) <= MOST_QUERIES
