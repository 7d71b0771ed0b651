"""Clearing functions: at servers that take the line, in the table, and one by one where a server refuses."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import PermissionDenied
from django.utils import timezone

from gearjobs.actions import clear_queues as clearing
from gearjobs.actions.clear_queues import ClearReport, clear_queues
from gearjobs.core.submission import CancelVerdict
from gearjobs.models import Job, OperatorAction
from gearjobs.protocol.packets import PacketType
from gearjobs.server.config import AdminPolicy, ServerConfig
from tests.support.job_rows import make_job
from tests.support.job_server import running_memory_server

pytestmark = pytest.mark.django_db(transaction=True)

T = PacketType


@pytest.fixture
def servers(monkeypatch):
    """The addresses of the project's servers; none as long as a test names none."""
    addresses: list[str] = []
    monkeypatch.setattr(clearing, "project_servers", lambda: tuple(addresses))
    return addresses


def test_waiting_jobs_of_a_server_are_cleared(job_server, servers):
    with running_memory_server() as server, server.peer() as client:
        servers.append(str(server.address))
        for function in (b"resize", b"resize", b"mail"):
            client.say(T.SUBMIT_JOB_BG, function, b"", b"photo")
            client.expect(T.JOB_CREATED)

        assert clear_queues(["resize"]) == ClearReport(2, 0, ())


def test_waiting_rows_that_no_server_has_are_cleared(job_server, servers):
    waiting = make_job("waiting", owner="", function="resize")
    due = make_job("scheduled", owner="", function="resize", run_at=timezone.now() - timedelta(minutes=1))
    make_job("scheduled", owner="", function="resize", run_at=timezone.now() + timedelta(hours=1))
    make_job("waiting", owner="", function="mail")

    assert clear_queues(["resize"]) == ClearReport(2, 0, ())

    cancelled = Job.objects.filter(status_detail="cancelled", cancel_reason=clearing.REASON)
    assert set(cancelled) == {waiting, due}


def test_job_that_came_after_the_wish_is_not_cleared(job_server, servers):
    make_job("waiting", owner="", function="resize", enqueued_at=timezone.now() + timedelta(seconds=30))

    assert clear_queues(["resize"]).cleared == 0


def test_jobs_of_a_server_that_takes_no_such_line_are_cancelled_one_by_one(job_server, servers):
    mine, gone = make_job("waiting", function="resize"), make_job("waiting", function="resize")
    make_job("running", function="resize")
    job_server.verdicts[mine.handle] = CancelVerdict.CANCELLED
    with running_memory_server(ServerConfig(listen=("127.0.0.1",), port=0, admin=AdminPolicy.OFF)) as server:
        servers.append(str(server.address))

        report = clear_queues(["resize"])

    assert (report.cleared, report.left) == (1, 1)
    assert "NOT_ALLOWED" in report.problems[0]
    assert {handle for handle, _ in job_server.cancelled} == {mine.handle, gone.handle}
    assert set(job_server.reasons) == {clearing.REASON}


def test_server_that_does_not_answer_is_named(job_server, servers):
    servers.append("127.0.0.1:1")

    report = clear_queues(["resize"])

    assert (report.cleared, report.left) == (0, 0)
    assert report.problems[0].startswith("127.0.0.1:1: ")


def test_who_cleared_what_is_written_down(job_server, servers):
    make_job("waiting", owner="", function="resize")

    clear_queues(["resize"])

    action = OperatorAction.objects.get()
    assert (action.verb, action.target_kind, action.target, action.count) == ("clear_queue", "queue", "resize", 1)


@pytest.mark.parametrize("codename", ["control_queue", "cancel_job"])
def test_one_of_the_two_permissions_is_not_enough(job_server, servers, codename):
    user = User.objects.create_user("ops")
    user.user_permissions.add(Permission.objects.get(codename=codename))

    with pytest.raises(PermissionDenied):
        clear_queues(["resize"], user=user)
