"""GearmanAdminClient's answers have python-gearman's shapes, from both servers."""

from __future__ import annotations

import re

import pytest

from gearjobs.compat import gearman
from gearjobs.compat.gearman.errors import GearmanError, InvalidAdminClientState, ProtocolError, ServerUnavailable
from gearjobs.servers import ServerAddress
from tests.support.eventually import eventually
from tests.support.gearmand import free_port
from tests.support.job_server import running_memory_server

SOON_S = 10.0


@pytest.fixture
def admin(server: str) -> gearman.GearmanAdminClient:
    """A client of a server that holds one job."""
    gearman.GearmanClient([server]).submit_job("wait", b"", unique="u-1", background=True, poll_timeout=SOON_S)
    return gearman.GearmanAdminClient([server])


def test_ping_takes_some_seconds(admin: gearman.GearmanAdminClient):
    assert 0.0 < admin.ping_server() < SOON_S
    assert 0.0 < admin.ping_server() < SOON_S


def test_status_is_a_tuple_of_dictionaries(admin: gearman.GearmanAdminClient):
    assert admin.get_status() == ({"task": "wait", "queued": 1, "running": 0, "workers": 0},)


def test_version_and_pid_are_the_servers_lines(admin: gearman.GearmanAdminClient):
    assert re.fullmatch(r"OK \S+", admin.get_version())
    assert re.fullmatch(r"OK [0-9]+", admin.get_pid())


def test_workers_are_listed_with_text_alone(admin: gearman.GearmanAdminClient):
    (line, *_) = admin.get_workers()

    assert set(line) == {"file_descriptor", "ip", "client_id", "tasks"}
    assert line["file_descriptor"].isdigit()
    assert (line["ip"], line["client_id"], line["tasks"]) == ("127.0.0.1", "-", ())


def test_jobs_are_listed_with_handle_and_unique(admin: gearman.GearmanAdminClient):
    (job,) = admin.get_jobs()

    assert set(job) == {"handle", "queued", "canceled", "enabled"}
    assert job["handle"].startswith("H:")
    assert admin.get_unique_jobs() == ({"unique": ["u-1"]},)


def test_job_can_be_cancelled_by_its_handle(admin: gearman.GearmanAdminClient):
    (job,) = admin.get_jobs()

    assert admin.cancel_job(job["handle"]) == "OK"


def test_maxqueue_is_answered_with_ok(admin: gearman.GearmanAdminClient):
    # gearmand ends this line in CR LF, which python-gearman took for an error.
    assert admin.send_maxqueue("wait", 5) == "OK"


def test_argument_that_is_two_words_is_refused(admin: gearman.GearmanAdminClient):
    with pytest.raises(InvalidAdminClientState):
        admin.send_maxqueue("wait\nshutdown", 5)


@pytest.mark.parametrize("graceful", [True, False])
def test_shutdown_stops_the_server(graceful: bool):
    with running_memory_server() as server:
        gearman.GearmanAdminClient([str(server.address)]).send_shutdown(graceful=graceful)
        eventually(lambda: not server.is_serving, SOON_S, "the server to end")


def test_server_that_does_not_know_shutdown_is_not_taken_to_be_down(gearmand: ServerAddress):
    # python-gearman took any answer for the end; gearmand 1.1.20 has no such command and runs on.
    with pytest.raises(ProtocolError, match="UNKNOWN_COMMAND"):
        gearman.GearmanAdminClient([str(gearmand)]).send_shutdown()


def test_admin_client_takes_exactly_one_server():
    for hosts in ([], ["127.0.0.1:4730", "127.0.0.1:4731"]):
        with pytest.raises(GearmanError):
            gearman.GearmanAdminClient(hosts)


def test_server_that_is_not_there_is_unavailable():
    admin = gearman.GearmanAdminClient([f"127.0.0.1:{free_port()}"])

    with pytest.raises(ServerUnavailable):
        admin.get_status()
    with pytest.raises(ServerUnavailable):
        admin.ping_server()
