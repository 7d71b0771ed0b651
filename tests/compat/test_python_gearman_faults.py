"""What python-gearman's interface does when a server, a peer or a program breaks the rules."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest

from gearjobs.compat import gearman
from gearjobs.compat.gearman.admin_client_handler import GearmanAdminClientCommandHandler
from gearjobs.compat.gearman.errors import (
    InvalidAdminClientState,
    InvalidClientState,
    InvalidWorkerState,
    ProtocolError,
    ServerUnavailable,
    UnknownCommandError,
)
from gearjobs.protocol.packets import PacketType
from tests.compat.working import working
from tests.support.scripted_server import Peer, ScriptedServer

SOON_S = 10.0


class JsonEncoder(gearman.DataEncoder):
    @classmethod
    def encode(cls, encodable_object: Any) -> str:
        return json.dumps(encodable_object)

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        return json.loads(decodable_string)


def submitted(client: gearman.GearmanClient, **arguments: Any) -> gearman.GearmanJobRequest:
    return client.submit_job("a", b"", poll_timeout=SOON_S, **arguments)


def client_begins(peer: Peer) -> None:
    peer.expect(PacketType.OPTION_REQ)
    peer.say(PacketType.OPTION_RES, b"exceptions")
    peer.expect(PacketType.SUBMIT_JOB)


def hang_up(_peer: Peer) -> None:
    """A server that takes connections and closes them."""


@pytest.mark.parametrize(
    "words",
    [
        (PacketType.STATUS_RES, b"H:x:1", b"1", b"0", b"0", b"0"),
        (PacketType.NO_JOB,),
    ],
    ids=["an answer to another question", "what only workers hear"],
)
def test_server_that_tells_a_client_nonsense_is_given_up(words: tuple[Any, ...]):
    def script(peer: Peer) -> None:
        client_begins(peer)
        peer.say(*words)
        peer.expect_end()

    with ScriptedServer(script) as server:
        client = gearman.GearmanClient([str(server.address)])
        with pytest.raises(gearman.errors.ExceededConnectionAttempts):
            submitted(client)


def test_server_that_does_not_speak_gearman_is_given_up():
    def script(peer: Peer) -> None:
        peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        while peer.next() is not None:
            pass

    with ScriptedServer(script) as server:
        client = gearman.GearmanClient([str(server.address)])
        with pytest.raises(gearman.errors.ExceededConnectionAttempts):
            submitted(client)


def test_news_of_jobs_that_nobody_waits_for_and_numbers_that_are_none_do_no_harm():
    def script(peer: Peer) -> None:
        client_begins(peer)
        peer.say(PacketType.WORK_FAIL, b"H:x:9")
        peer.say(PacketType.JOB_CREATED, b"H:x:1")
        peer.say(PacketType.WORK_STATUS, b"H:x:1", b"", b"7")
        peer.say(PacketType.WORK_EXCEPTION, b"H:x:1", b"not JSON")
        peer.expect_end()

    with ScriptedServer(script) as server:
        client = type("Client", (gearman.GearmanClient,), {"data_encoder": JsonEncoder})([str(server.address)])
        request = client.submit_job("a", None, poll_timeout=SOON_S)
        client.shutdown()

    assert (request.state, request.exception) == (gearman.JOB_FAILED, b"not JSON")
    assert (request.status["numerator"], request.status["denominator"]) == (0, 7)


def test_status_of_a_request_that_no_server_knows_is_refused():
    client = gearman.GearmanClient(["127.0.0.1:1"])
    job = gearman.GearmanJob(None, None, "a", None, b"")

    with pytest.raises(ServerUnavailable, match="not submitted"):
        client.get_job_status(gearman.GearmanJobRequest(job))
    job.connection = client.connection_list[0]
    with pytest.raises(ServerUnavailable):
        client.get_job_status(gearman.GearmanJobRequest(job))
    with pytest.raises(ServerUnavailable):
        client.get_job_status_by_handle("H:x:1")


def test_large_payload_leaves_in_pieces_and_comes_back(server: str):
    worker = gearman.GearmanWorker([server])
    worker.register_task("echo", lambda _worker, job: job.data)
    payload = bytes(range(256)) * 40_000

    with working(worker):
        request = gearman.GearmanClient([server]).submit_job("echo", payload, poll_timeout=SOON_S)

    assert request.result == payload


def test_payload_that_a_worker_cannot_decode_fails_its_job_alone(server: str):
    worker = type("Worker", (gearman.GearmanWorker,), {"data_encoder": JsonEncoder})([server])
    worker.register_task("echo", lambda _worker, job: job.data)
    client = gearman.GearmanClient([server])

    with working(worker):
        states = [client.submit_job("echo", data, poll_timeout=SOON_S).state for data in (b"{", b"{}")]

    assert states == [gearman.JOB_FAILED, gearman.JOB_COMPLETE]


def test_worker_that_is_given_a_job_unasked_leaves_that_connection():
    def script(peer: Peer) -> None:
        peer.expect(PacketType.CAN_DO)
        peer.expect(PacketType.GRAB_JOB_UNIQ)
        peer.say(PacketType.NO_JOB)
        peer.expect(PacketType.PRE_SLEEP)
        peer.say(PacketType.JOB_ASSIGN, b"H:x:1", b"a", b"")
        peer.expect_end()

    with ScriptedServer(script, then=hang_up) as server:
        worker = gearman.GearmanWorker([str(server.address)])
        worker.register_task("a", lambda _worker, job: job.data)
        with pytest.raises(ServerUnavailable):
            worker.work(SOON_S)


def test_errors_of_a_server_are_logged_under_python_gearmans_names(caplog: pytest.LogCaptureFixture):
    def script(peer: Peer) -> None:
        peer.expect(PacketType.CAN_DO)
        peer.expect(PacketType.GRAB_JOB_UNIQ)
        peer.say(PacketType.ERROR, b"JOB_NOT_FOUND", b"a report of an ended job")
        peer.say(PacketType.ERROR, b"QUEUE_ERROR", b"the disk is full")
        peer.say(PacketType.NO_JOB)
        peer.expect(PacketType.PRE_SLEEP)

    with ScriptedServer(script, then=hang_up) as server, caplog.at_level(logging.ERROR, logger="gearman"):
        worker = gearman.GearmanWorker([str(server.address)])
        worker.register_task("a", lambda _worker, job: job.data)
        with pytest.raises(ServerUnavailable):
            worker.work(SOON_S)

    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.name == "gearman.connection_manager"
    assert "the disk is full" in record.getMessage()


def test_report_about_a_job_whose_server_is_gone_is_dropped():
    def script(peer: Peer) -> None:
        peer.expect(PacketType.CAN_DO)
        peer.expect(PacketType.GRAB_JOB_UNIQ)
        peer.say(PacketType.JOB_ASSIGN_UNIQ, b"H:x:1", b"a", b"u", b"")

    ran: list[bytes] = []

    def leave(worker: gearman.GearmanWorker, job: gearman.GearmanJob) -> bytes:
        assert job.connection is not None
        worker.handle_error(job.connection)
        worker.send_job_data(job, b"for nobody")
        ran.append(job.data)
        return b""

    with ScriptedServer(script, then=hang_up) as server:
        worker = gearman.GearmanWorker([str(server.address)])
        worker.register_task("a", leave)
        with pytest.raises(ServerUnavailable):
            worker.work(SOON_S)

    assert ran == [b""]


@pytest.mark.parametrize(
    "answer", [b"maybe\n", b"OK", b"1 ? - : a\n.\n", b"not a line of workers\n.\n"], ids=["word", "cut", "name", "list"]
)
def test_answer_to_an_administrative_command_that_cannot_be_read_is_an_error(answer: bytes):
    def script(peer: Peer) -> None:
        peer.socket.recv(100)
        peer.socket.sendall(answer)

    with ScriptedServer(script) as server:
        admin = gearman.GearmanAdminClient([str(server.address)], poll_timeout=SOON_S)
        ask = admin.get_workers if b"." in answer else lambda: admin.send_maxqueue("a", 1)
        with pytest.raises((ProtocolError, ServerUnavailable)):
            ask()


def test_handler_of_an_admin_client_says_what_is_missing():
    handler = GearmanAdminClientCommandHandler()

    with pytest.raises(InvalidAdminClientState, match="none yet"):
        handler.pop_response()
    with pytest.raises(InvalidAdminClientState, match="no line"):
        handler.recv_text_command("OK")
    with pytest.raises(ReferenceError):
        handler.send_text_command("status")
    with pytest.raises(ReferenceError):
        handler.recv_error("QUEUE_ERROR", "text")
    with pytest.raises(UnknownCommandError):
        handler.recv_command(gearman.protocol.GEARMAN_COMMAND_NOOP)
    with pytest.raises(InvalidAdminClientState, match="establish_admin_connection"):
        gearman.GearmanAdminClient(["127.0.0.1:1"]).wait_until_server_responds("status")


def test_text_lines_are_packed_and_read_like_packets():
    protocol = gearman.protocol
    number = protocol.GEARMAN_COMMAND_TEXT_COMMAND

    assert protocol.pack_text_command(number, {"raw_text": "status\n"}) == b"status\n"
    assert protocol.parse_text_command(b"OK\r\nmore") == (number, {"raw_text": "OK"}, 4)
    assert protocol.parse_text_command(b"OK") == (None, None, 0)
    with pytest.raises(ProtocolError, match="NUL"):
        protocol.parse_text_command(b"a\0b\n")
    for wrong in ((number, {}), (1, {"raw_text": "a\n"})):
        with pytest.raises(ProtocolError, match="raw_text"):
            protocol.pack_text_command(*wrong)


def test_connection_that_is_not_open_says_so():
    connection = gearman.connection.GearmanConnection("127.0.0.1", 1)

    for use in (connection.fileno, connection.read_data_from_socket, lambda: connection.send_command(4, {})):
        with pytest.raises(gearman.errors.ConnectionError, match="not connected"):
            use()
    connection.send_data_to_socket()
    with pytest.raises(ServerUnavailable, match="needs a host"):
        gearman.connection.GearmanConnection()


def test_states_that_fit_nothing_have_errors_of_their_own():
    client_handler = gearman.client_handler.GearmanClientCommandHandler()

    with pytest.raises(InvalidClientState, match="expected nothing"):
        client_handler.recv_job_created("H:x:1")
    worker = gearman.GearmanWorker(["127.0.0.1:1"])
    with pytest.raises(InvalidWorkerState, match="weren't expecting"):
        gearman.worker_handler.GearmanWorkerCommandHandler(worker).recv_job_assign("H:x:1", "a", b"")


def test_server_that_only_closes_connections_is_tried_with_pauses():
    tries: list[float] = []

    def note(_peer: Peer) -> None:
        tries.append(time.monotonic())

    class Worker(gearman.GearmanWorker):
        def after_poll(self, any_activity: bool) -> bool:
            return time.monotonic() < stops_at

    with ScriptedServer(then=note) as server:
        worker = Worker([str(server.address)])
        worker.register_task("a", lambda _worker, job: job.data)
        stops_at = time.monotonic() + 0.5
        worker.work(0.05, reconnect=True)

    assert 1 <= len(tries) < 20
