"""What goes between operators and workers by way of the server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.errors import ServerError
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.worker_report import WorkerReport, encode_report
from gearjobs.server.config import AdminPolicy, ServerConfig
from tests.support.eventually import eventually
from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.wire_peer import WirePeer

T = PacketType
REPORT = WorkerReport(pid=4711, host="box", group="mail", queues=("mail",))


@pytest.fixture
def server() -> Iterator[MemoryServer]:
    with running_memory_server() as server:
        yield server


@pytest.fixture
def client(server) -> Iterator[Client]:
    with Client([server.address]) as client:
        yield client


def worker(server: MemoryServer, name: bytes, *, has_extensions: bool = True) -> WirePeer:
    peer = server.peer()
    if has_extensions:
        peer.use_extensions()
    peer.say(T.SET_CLIENT_ID, name)
    peer.can_do(b"resize")
    # Answered, so that the server has read the rest.
    peer.say(T.ECHO_REQ, b"x")
    peer.expect(T.ECHO_RES)
    return peer


def test_workers_of_a_name_are_told(server, client):
    with worker(server, b"box-0") as one, worker(server, b"box-1") as two, worker(server, b"other") as other:
        assert client.control_workers("box-*", "quiet") == 2
        assert client.control_workers("other", "stop") == 1
        assert client.control_workers("box", "stop") == 0

        assert one.expect(T.WORKER_CONTROL) == two.expect(T.WORKER_CONTROL) == [b"quiet"]
        assert other.expect(T.WORKER_CONTROL) == [b"stop"]


def test_stock_worker_is_not_told(server, client):
    with worker(server, b"box-0", has_extensions=False):
        assert client.control_workers("*", "quiet") == 0


def test_unknown_verb_is_refused(client):
    with pytest.raises(ServerError, match="CONTROL_WORKERS wants one of quiet, resume, stop, got b'sing'"):
        client.control_workers("*", "sing")


def test_policy_for_admin_lines_holds_for_workers_too():
    with (
        running_memory_server(ServerConfig(listen=("127.0.0.1",), port=0, admin=AdminPolicy.OFF)) as server,
        Client([server.address]) as client,
        pytest.raises(ServerError, match="ACCESS_DENIED: This server takes this command from nobody"),
    ):
        client.control_workers("*", "quiet")


def test_last_report_of_a_worker_is_shown(server):
    with worker(server, b"box-0") as peer, AdminClient(server.address) as admin:
        peer.say(T.WORKER_REPORT, encode_report(WorkerReport(pid=1)))
        peer.say(T.WORKER_REPORT, encode_report(REPORT))

        lines = eventually(
            lambda: [line for line in admin.worker_reports() if line.report == REPORT], 5, "the report to be shown"
        )

    assert [line.client_id for line in lines] == [b"box-0"]


def test_quiet_worker_without_abilities_is_told_to_resume(server, client):
    with worker(server, b"box-0") as peer:
        peer.say(T.WORKER_REPORT, encode_report(REPORT))
        peer.say(T.RESET_ABILITIES)
        peer.say(T.ECHO_REQ, b"x")
        peer.expect(T.ECHO_RES)

        assert client.control_workers("box-0", "resume") == 1


def test_report_that_cannot_be_read_is_refused(server):
    with worker(server, b"box-0") as peer:
        peer.say(T.WORKER_REPORT, b"[]")

        assert peer.expect(T.ERROR)[0] == b"INVALID_PACKET"


@pytest.mark.parametrize("packet", [(T.WORKER_REPORT, b"{}"), (T.CONTROL_WORKERS, b"*", b"quiet")])
def test_peer_without_the_extensions_is_refused(server, packet):
    with worker(server, b"box-0", has_extensions=False) as peer:
        peer.say(*packet)

        assert peer.expect(T.ERROR)[0] == b"INVALID_COMMAND"
