"""Tasks with options at a stock gearmand: what is obeyed there, and what is said about the rest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings

from gearjobs import ServerError
from gearjobs.client.admin_client import AdminClient
from gearjobs.servers import ServerAddress
from gearjobs.worker.worker import Worker
from tests.support.running_worker import running
from tests.support.sample_tasks import add, careful

# Outside of a transaction, in which nothing would go over the wire.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def stock(gearmand: ServerAddress):
    tasks = {
        "default": {
            "BACKEND": "gearjobs.tasks.backend.GearmanBackend",
            "QUEUES": [],
            "OPTIONS": {"SERVERS": [str(gearmand)]},
        }
    }
    with override_settings(TASKS=tasks):
        yield gearmand
        add.get_backend().close()  # type: ignore[attr-defined]  # ours has it


def waiting(server: ServerAddress) -> dict[bytes, int]:
    with AdminClient(server) as admin:
        return {line.function: line.total for line in admin.status()}


def test_calls_of_one_unique_are_one_job(stock):
    first, second, other = careful.enqueue(7), careful.enqueue(7), careful.enqueue(8)

    assert first.id == second.id != other.id
    assert waiting(stock) == {careful.function_name.encode(): 2}


def test_delayed_job_waits(stock):
    add.using(run_after=timedelta(hours=1)).enqueue(1)

    assert waiting(stock) == {add.function_name.encode(): 1}


def test_foreground_call_with_options_has_its_value(stock):
    worker = Worker([stock], client_id="w1", regrab_s=0.1)
    worker.register(careful.function_name, lambda job: b'"' + job.payload[:7] + b'"')

    with running(worker):
        assert careful.do(7) == '"{"args""'


def test_what_is_passed_over_is_said(stock, caplog):
    careful.enqueue(7)

    assert "passed over by a stock gearmand: " in caplog.text


def test_job_cannot_be_cancelled_and_the_reason_is_said(stock):
    with pytest.raises(ServerError, match="CANCEL_JOB"):
        careful.enqueue(7).cancel()
