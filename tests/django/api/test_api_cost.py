"""What reading costs: so many queries whatever there is, and none that counts the job table."""

from __future__ import annotations

import json

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from gearjobs.models import BulkOperation, FailureGroup, Job, JobGroup, OperatorAction
from gearjobs.tasks.schedules.saved_schedules import save_schedule
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.api_rows import ROWS, EndpointRow, url_of
from tests.support.api_tasks import ship
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db

READING = [row for row in ROWS if row.method == "GET" and row.name != "signed-status"]
CHANGING = [row for row in ROWS if row.method != "GET"]
#: Session, user and the work itself; `problems/` looks at ten things.
MOST_QUERIES = 20
#: And a lock, the changes, and their place in the book of operators.
MOST_CHANGING_QUERIES = 40


def fill(numbers: range) -> dict[str, object]:
    """Make some of everything, and return the arguments of URLs."""
    for number in numbers:
        job = make_job("failed", attempt=3)
        for attempt in (1, 2):
            make_attempt(job, attempt)
        job.outputs.create(sequence=1, body=b"x", streamed_at=job.enqueued_at)
        group = JobGroup.objects.create(id=f"H:g:{number}", root=f"H:g:{number}", kind="group")
        schedule = save_schedule(ship, ScheduleSpec("0 3 * * *", key=f"k{number}", args=[1]))
        failure = FailureGroup.objects.create(fingerprint=f"f{number}", function="resize")
        operation = BulkOperation.objects.create(id=f"H:o:{number}", verb="retry")
        OperatorAction.objects.create(verb="retry")
    return {
        "handle": job.pk, "group_id": group.pk, "pk": schedule.pk, "fingerprint": failure.pk,
        "operation_id": operation.pk, "name": ship.module_path, "worker_id": "worker-1", "verb": "quiet",
    }  # fmt: skip


@pytest.fixture
def as_root(make_user, login):
    with client_in_place(FakeClient()):
        yield login(make_user("root", is_superuser=True))


def queries_of(client, row: EndpointRow, arguments) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        response = client.get(url_of(row, arguments))
    assert response.status_code in {200, 409}, response.content
    return [query["sql"] for query in captured]


@pytest.mark.parametrize("row", READING, ids=lambda row: row.label)
def test_reading_costs_the_same_however_much_there_is(as_root, row):
    few = queries_of(as_root, row, fill(range(1)))

    many = queries_of(as_root, row, fill(range(1, 16)))

    assert len(many) <= len(few) <= MOST_QUERIES
    table = connection.ops.quote_name(Job._meta.db_table)
    assert not [sql for sql in many if "COUNT(" in sql and f"FROM {table}" in sql and "LIMIT" not in sql]


@pytest.mark.parametrize("row", CHANGING, ids=lambda row: row.label)
def test_changing_costs_the_same_however_much_there_is(as_root, row):
    places = fill(range(1))
    # Content types and the like are read once.
    changes_of(as_root, row, places)
    few = changes_of(as_root, row, places)

    fill(range(1, 16))

    many = changes_of(as_root, row, places)
    assert len(many) <= len(few) <= MOST_CHANGING_QUERIES
    table = connection.ops.quote_name(Job._meta.db_table)
    assert not [sql for sql in many if "COUNT(" in sql and f"FROM {table}" in sql and "LIMIT" not in sql]


def changes_of(client, row: EndpointRow, arguments) -> list[str]:
    """Return the queries of a request, and undo what it did."""
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        response = client.generic(row.method, url_of(row, arguments), json.dumps(row.body), "application/json")
        transaction.set_rollback(True)
    assert response.status_code < 500, response.content
    return [query["sql"] for query in captured]
