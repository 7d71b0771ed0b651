"""The admin client: where answers end, and what becomes of those that do not come."""

from __future__ import annotations

import socket

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.protocol.admin_text import FunctionLine, JobLine, PriorityLine, WorkerLine
from gearjobs.servers import ServerAddress
from tests.support.gearmand import free_port
from tests.support.scripted_server import Peer, Script, ScriptedServer


def answering(*dialogue: tuple[bytes, bytes]) -> Script:
    """A server that expects these lines and gives these answers, each byte for itself."""

    def script(peer: Peer) -> None:
        for line, answer in dialogue:
            assert peer.socket.recv(100) == line.replace(b"\n", b"\r\n")
            for index in range(len(answer)):
                peer.socket.sendall(answer[index : index + 1])
        assert peer.socket.recv(100) == b""

    return script


def test_lists_are_read_to_their_dot():
    script = answering(
        (b"status\n", b"resize\t3\t1\t2\ncrop\t0\t0\t0\n.\n"),
        (b"prioritystatus\n", b"resize\t1\t2\t3\t4\n.\n"),
        (b"workers\n", b"31 127.0.0.1 w one : resize crop\n32 ::1 - :\n.\n"),
        (b"show jobs\n", b"H:a:1\t2\t0\t1\n.\n"),
    )
    with ScriptedServer(script) as server, AdminClient(server.address) as admin:
        assert admin.status() == [FunctionLine(b"resize", 3, 1, 2), FunctionLine(b"crop", 0, 0, 0)]
        assert admin.priority_status() == [PriorityLine(b"resize", 1, 2, 3, 4)]
        assert admin.workers() == [
            WorkerLine(31, "127.0.0.1", b"w one", (b"resize", b"crop")),
            WorkerLine(32, "::1", b"-", ()),
        ]
        assert admin.jobs() == [JobLine(b"H:a:1", 2, is_ignored=False, is_persisted=True)]


def test_empty_list_is_one_dot():
    with ScriptedServer(answering((b"status\n", b".\n"))) as server, AdminClient(server.address) as admin:
        assert admin.status() == []


def test_function_whose_name_looks_like_an_error_is_none():
    script = answering((b"status\n", b"ERR x\t0\t0\t1\n.\n"))
    with ScriptedServer(script) as server, AdminClient(server.address) as admin:
        assert admin.status() == [FunctionLine(b"ERR x", 0, 0, 1)]


def test_version_is_the_word_after_ok():
    with ScriptedServer(answering((b"version\n", b"OK 1.1.20+ds\n"))) as server, AdminClient(server.address) as admin:
        assert admin.version() == "1.1.20+ds"


def test_refused_list_raises_what_the_server_said():
    script = answering((b"status\n", b"ERR NO_ACCESS not from here\r\n"))
    with (
        ScriptedServer(script) as server,
        AdminClient(server.address) as admin,
        pytest.raises(ServerError, match="NO_ACCESS: not from here"),
    ):
        admin.status()


def test_any_command_is_answered_as_it_came():
    script = answering((b"cancel job H:a:1\n", b"ERR UNKNOWN_JOB\r\n"), (b"STATUS\n", b".\n"))
    with ScriptedServer(script) as server, AdminClient(server.address) as admin:
        assert admin.command("cancel job H:a:1") == b"ERR UNKNOWN_JOB\r\n"
        assert admin.command(b"STATUS") == b".\n"


@pytest.mark.parametrize("line", ["", "a\nb", b"\0REQ"])
def test_command_that_is_not_one_line_is_refused(line):
    with AdminClient("127.0.0.1:1") as admin, pytest.raises(UsageError, match="one line"):
        admin.command(line)


def test_connection_the_server_closed_is_replaced():
    def close_at_once(peer: Peer) -> None:
        assert peer.socket.recv(100) == b"version\r\n"
        peer.socket.sendall(b"OK 1\n")

    script = answering((b"version\n", b"OK 2\n"))
    with ScriptedServer(close_at_once, script) as server, AdminClient(server.address) as admin:
        assert admin.version() == "1"
        # The end of the first connection travels behind its answer: it may have to be waited for.
        assert admin._socket is not None
        assert admin._socket.receive(deadline=float("inf")) == b""
        assert admin.version() == "2"


def test_connection_that_breaks_under_a_command_is_an_unavailable_server():
    def vanish(peer: Peer) -> None:
        assert peer.socket.recv(100) == b"status\r\n"
        peer.socket.sendall(b"half\t0\t0\t0\n")

    with (
        ScriptedServer(vanish) as server,
        AdminClient(server.address) as admin,
        pytest.raises(ServerUnavailable, match="closed the connection"),
    ):
        admin.status()


def test_server_that_does_not_answer_is_given_up_in_time():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = ServerAddress("127.0.0.1", listener.getsockname()[1])
        with AdminClient(address, timeout_s=0.1) as admin, pytest.raises(ServerUnavailable, match="timed out"):
            admin.status()


def test_server_that_is_down_is_named():
    address = f"127.0.0.1:{free_port()}"

    with AdminClient(address) as admin, pytest.raises(ServerUnavailable, match=f"{address} gave no answer"):
        admin.status()


def test_endless_answer_is_cut_off():
    def ramble(peer: Peer) -> None:
        assert peer.socket.recv(100) == b"status\r\n"
        peer.socket.sendall(b"x" * 11)
        peer.socket.recv(1)

    with (
        ScriptedServer(ramble) as server,
        AdminClient(server.address, max_answer_bytes=10) as admin,
        pytest.raises(ServerUnavailable, match="at most 10 bytes"),
    ):
        admin.status()
