"""GearmanAdminClient's answers have python-gearman's shapes, from both servers."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from gearjobs.compat import gearman
from gearjobs.compat.gearman.admin_client_handler import (
    EXPECTED_GEARMAN_SERVER_COMMANDS,
    GearmanAdminClientCommandHandler,
)
from gearjobs.compat.gearman.errors import GearmanError, InvalidAdminClientState, ProtocolError, ServerUnavailable
from gearjobs.servers import ServerAddress
from tests.compat.conftest import running_server
from tests.support.eventually import eventually
from tests.support.gearmand import free_port
from tests.support.job_server import running_memory_server
from tests.support.scripted_server import Peer, ScriptedServer

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


def test_all_commands_go_over_one_connection(admin: gearman.GearmanAdminClient):
    admin.ping_server()
    admin.get_status()

    assert sum(1 for line in admin.get_workers() if line["ip"] == "127.0.0.1" and not line["tasks"]) <= 2


def test_client_finds_its_server_again_after_a_restart(server_kind: str, tmp_path: Path):
    port = free_port()
    admin = gearman.GearmanAdminClient([f"127.0.0.1:{port}"])
    for life in range(2):
        with running_server(server_kind, tmp_path / f"life-{life}.log", port=port):
            assert admin.get_version().startswith("OK")


def test_answer_that_comes_too_late_is_not_taken_for_the_next():
    may_answer = threading.Event()

    def late(peer: Peer) -> None:
        assert peer.socket.recv(100) == b"getpid\n"
        may_answer.wait(SOON_S)
        peer.expect_end()

    def in_time(peer: Peer) -> None:
        assert peer.socket.recv(100) == b"version\n"
        peer.socket.sendall(b"OK 9\n")
        peer.expect_end()

    with ScriptedServer(late, in_time) as server:
        admin = gearman.GearmanAdminClient([str(server.address)], poll_timeout=0.1)
        with pytest.raises(InvalidAdminClientState, match="timed out"):
            admin.get_pid()
        may_answer.set()
        admin.poll_timeout = SOON_S
        assert admin.get_version() == "OK 9"
        admin.shutdown()


@pytest.mark.parametrize("answer", [b"ERR AUTH_REQUIRED secret\r\n", b"no tabs\n.\n"])
def test_list_that_is_refused_or_none_is_an_error(answer: bytes):
    def script(peer: Peer) -> None:
        assert peer.socket.recv(100) == b"status\n"
        peer.socket.sendall(answer)
        peer.expect_end()

    with ScriptedServer(script) as server:
        admin = gearman.GearmanAdminClient([str(server.address)], poll_timeout=SOON_S)
        with pytest.raises(ProtocolError):
            admin.get_status()


def test_list_that_comes_in_pieces_is_put_together():
    def script(peer: Peer) -> None:
        assert peer.socket.recv(100) == b"workers\n"
        for piece in (b"33 127.0.0.1 na", b"med : a b\r", b"\n34 ::1 - :\n.", b"\n"):
            peer.socket.sendall(piece)
            threading.Event().wait(0.02)
        peer.expect_end()

    with ScriptedServer(script) as server:
        admin = gearman.GearmanAdminClient([str(server.address)], poll_timeout=SOON_S)
        lines = admin.get_workers()
        admin.shutdown()

    assert [line["tasks"] for line in lines] == [("a", "b"), ()]


def test_command_of_ones_own_is_sent_and_read_by_a_subclass(server: str):
    class Handler(GearmanAdminClientCommandHandler):
        def recv_server_verbose(self, raw_text: str) -> bool:
            self._recv_responses.append(raw_text.split())
            return False

    class Admin(gearman.GearmanAdminClient):
        command_handler_class = Handler

        def get_verbosity(self) -> Any:
            self.establish_admin_connection()
            assert self.current_handler is not None
            self.current_handler.send_text_command("verbose")
            return self.wait_until_server_responds("verbose")

    EXPECTED_GEARMAN_SERVER_COMMANDS.add("verbose")
    try:
        assert Admin([server]).get_verbosity()[0] == "OK"
    finally:
        EXPECTED_GEARMAN_SERVER_COMMANDS.discard("verbose")


def test_line_that_is_no_command_is_not_sent(admin: gearman.GearmanAdminClient):
    admin.establish_admin_connection()
    assert admin.current_handler is not None

    with pytest.raises(ProtocolError, match="expected one of"):
        admin.current_handler.send_text_command("halt")
