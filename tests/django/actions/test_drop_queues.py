"""Forgetting functions: at servers that know them, unless somebody uses them, with what operators said of them."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from gearjobs.actions import drop_queues as dropping
from gearjobs.actions.drop_queues import drop_queues
from gearjobs.actions.pause_queues import pause_queues
from gearjobs.errors import UsageError
from gearjobs.models import OperatorAction
from gearjobs.protocol.packets import PacketType
from gearjobs.records.queue_controls import control_of
from tests.support.job_server import running_memory_server

pytestmark = pytest.mark.django_db(transaction=True)

T = PacketType


@pytest.fixture
def servers(monkeypatch):
    """The addresses of the project's servers; none as long as a test names none."""
    addresses: list[str] = []
    monkeypatch.setattr(dropping, "project_servers", lambda: tuple(addresses))
    return addresses


def test_function_without_jobs_and_workers_is_forgotten(job_server, servers):
    with running_memory_server() as server, server.peer() as operator:
        servers.append(str(server.address))
        operator.say_raw(b"create function resize\n")
        assert operator.expect_line() == b"OK\r\n"
        pause_queues(["resize"])

        report = drop_queues(["resize", "never heard of"])

    assert (report.dropped, report.refusals) == (["resize", "never heard of"], {})
    assert control_of("resize") is None
    assert set(OperatorAction.objects.filter(verb="drop_queue").values_list("target", flat=True)) == {*report.dropped}


def test_function_that_somebody_uses_stays_as_it_is(job_server, servers):
    with running_memory_server() as server, server.peer() as worker:
        servers.append(str(server.address))
        worker.say(T.CAN_DO, b"resize")
        worker.say(T.ECHO_REQ, b"heard")
        worker.expect(T.ECHO_RES)
        pause_queues(["resize"])

        report = drop_queues(["resize"])

    assert report.dropped == []
    assert "there are still connected workers" in report.refusals["resize"]
    assert control_of("resize") is not None
    assert not OperatorAction.objects.filter(verb="drop_queue").exists()


def test_server_that_does_not_answer_keeps_the_function(job_server, servers):
    # The port of TCP that is kept for nothing.
    servers.append("127.0.0.1:1")

    assert "127.0.0.1:1" in drop_queues(["resize"]).refusals["resize"]


def test_forgetting_takes_the_permission_and_a_name(job_server, servers):
    with pytest.raises(PermissionDenied):
        drop_queues(["resize"], user=User.objects.create_user("clerk"))
    with pytest.raises(UsageError):
        drop_queues([""])
