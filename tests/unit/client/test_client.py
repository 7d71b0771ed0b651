"""The client and its connections, against servers that behave and servers that do not."""

from __future__ import annotations

import multiprocessing
import socket
import threading
import time

import pytest

from gearjobs.client.client import Client
from gearjobs.client.in_flight import JobCreated, JobEvent, JobProgress
from gearjobs.errors import DeadlineExceeded, JobFailed, ServerError, ServerUnavailable, UsageError
from gearjobs.protocol.attributes import SubmitAttributes, decode_submit
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from tests.support.gearmand import free_port
from tests.support.scripted_server import Peer, ScriptedServer

T = PacketType
HANDLE = "H:a:1"
RAW_HANDLE = HANDLE.encode()


@pytest.fixture
def dead() -> ServerAddress:
    """Where nobody listens."""
    return ServerAddress("127.0.0.1", free_port())


@pytest.fixture
def silent():
    """Accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield ServerAddress("127.0.0.1", listener.getsockname()[1])


def client_of(*servers: ServerAddress, answer_timeout_s: float = 5.0) -> Client:
    return Client(servers, connect_timeout_s=1.0, answer_timeout_s=answer_timeout_s)


def accept_one(peer: Peer) -> None:
    """A stock server that accepts one background job."""
    peer.negotiate_client()
    peer.expect(T.SUBMIT_JOB_BG)
    peer.say(T.JOB_CREATED, RAW_HANDLE)
    peer.expect_end()


def test_handle_of_the_server_is_returned():
    with ScriptedServer(accept_one) as server, client_of(server.address) as client:
        assert client.submit_background("f", b"p") == HANDLE


def test_connection_is_kept_for_the_next_request():
    def script(peer):
        peer.negotiate_client()
        for _ in range(3):
            peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert [client.echo(payload) for payload in (b"1", b"", b"a\0b")] == [b"1", b"", b"a\0b"]


def test_own_handle_and_attributes_go_to_a_server_with_extensions():
    def script(peer):
        peer.negotiate_client(has_extensions=True)
        handle, _, _, attributes, _ = peer.expect(T.SUBMIT_JOB_EXT)
        assert decode_submit(attributes) == SubmitAttributes(priority=7, task="album.resize")
        peer.say(T.JOB_CREATED, handle)
        peer.expect_end()

    attributes = SubmitAttributes(task="album.resize")
    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert client.has_extensions
        assert client.submit_background("f", b"p", priority=7, handle=HANDLE, attributes=attributes) == HANDLE


def test_refused_submission_raises_what_the_server_said_and_keeps_the_connection():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB_BG)
        peer.say(T.ERROR, b"QUEUE_ERROR", b"Job queue is full")
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        with pytest.raises(ServerError, match="Job queue is full"):
            client.submit_background("f", b"p")
        assert client.echo(b"x") == b"x"


def test_next_server_is_asked_when_the_first_is_down(dead):
    with ScriptedServer(accept_one) as server, client_of(dead, server.address) as client:
        assert client.submit_background("f", b"p") == HANDLE


def test_next_server_is_asked_when_the_first_is_no_gearman_server():
    def speak_http(peer):
        peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.socket.recv(65536)

    with (
        ScriptedServer(speak_http) as wrong,
        ScriptedServer(accept_one) as right,
        client_of(wrong.address, right.address) as client,
    ):
        assert client.submit_background("f", b"p") == HANDLE


def test_next_server_is_asked_when_the_first_does_not_answer(silent):
    with ScriptedServer(accept_one) as server, client_of(silent, server.address, answer_timeout_s=0.2) as client:
        assert client.submit_background("f", b"p") == HANDLE


def test_silent_server_is_not_waited_for_twice(silent):
    with client_of(silent, answer_timeout_s=0.2) as client:
        with pytest.raises(ServerUnavailable, match="no answer in time"):
            client.echo(b"")
        started_at = time.monotonic()
        with pytest.raises(ServerUnavailable, match="none answered in time before"):
            client.echo(b"")

    assert time.monotonic() - started_at < 0.2


def test_all_servers_are_named_when_none_can_be_reached(dead):
    other = ServerAddress("localhost", dead.port)

    with client_of(dead, other) as client, pytest.raises(ServerUnavailable) as failure:
        client.submit_background("f", b"p")

    assert f"{dead} (Connection refused)" in str(failure.value)
    assert str(other) in str(failure.value)


def test_refusing_server_is_asked_again_at_once_when_there_is_no_other(dead):
    with client_of(dead) as client:
        for _ in range(3):
            with pytest.raises(ServerUnavailable, match="Connection refused"):
                client.echo(b"")


def test_plain_submission_is_not_repeated_once_its_bytes_have_left():
    def vanish(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB_BG)

    # The second server has no script: any connection to it fails the test.
    with (
        ScriptedServer(vanish) as first,
        ScriptedServer() as second,
        client_of(first.address, second.address) as client,
        pytest.raises(ServerUnavailable, match="may or may not have been taken"),
    ):
        client.submit_background("f", b"p")


def test_submission_of_which_a_part_has_left_is_not_repeated():
    given_up = threading.Event()

    def read_no_further(peer):
        peer.negotiate_client()
        assert given_up.wait(5)

    with (
        ScriptedServer(read_no_further) as first,
        ScriptedServer() as second,
        client_of(first.address, second.address, answer_timeout_s=0.3) as client,
    ):
        with pytest.raises(ServerUnavailable, match="may or may not"):
            client.submit_background("f", bytes(32 * 1024 * 1024))
        given_up.set()


def echo_then_vanish(peer: Peer) -> None:
    """Have a connection kept, and break it under the next request."""
    peer.negotiate_client(has_extensions=True)
    peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
    assert peer.next() is not None


def test_submission_under_a_handle_of_our_own_is_repeated_on_a_new_connection():
    def accept(peer):
        peer.negotiate_client(has_extensions=True)
        peer.say(T.JOB_CREATED, peer.expect(T.SUBMIT_JOB_EXT)[0])
        peer.expect_end()

    with ScriptedServer(echo_then_vanish, accept) as server, client_of(server.address) as client:
        client.echo(b"")
        assert client.submit_background("f", b"p", handle=HANDLE) == HANDLE


def test_plain_submission_on_a_kept_connection_that_breaks_is_not_repeated():
    with (
        ScriptedServer(echo_then_vanish) as server,
        client_of(server.address) as client,
    ):
        client.echo(b"")
        with pytest.raises(ServerUnavailable, match="may or may not"):
            client.submit_background("f", b"p")


def test_submission_under_a_handle_of_our_own_is_not_repeated_at_another_server():
    def refuse(peer):
        """Nothing is said: the connection is closed at once."""

    with (
        ScriptedServer(echo_then_vanish, refuse) as first,
        ScriptedServer() as second,
        client_of(first.address, second.address) as client,
    ):
        client.echo(b"")
        with pytest.raises(ServerUnavailable, match="may or may not"):
            client.submit_background("f", b"p", handle=HANDLE)


def test_kept_connection_that_died_unnoticed_costs_the_caller_nothing():
    gone = threading.Event()

    def die(peer):
        peer.negotiate_client()
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.socket.shutdown(socket.SHUT_RDWR)
        gone.set()

    with ScriptedServer(die, accept_one) as server, client_of(server.address) as client:
        client.echo(b"")
        assert gone.wait(5)
        assert client.submit_background("f", b"p") == HANDLE


def test_foreground_job_reports_and_returns_its_result():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, RAW_HANDLE)
        peer.say(T.WORK_STATUS, RAW_HANDLE, b"1", b"2")
        peer.say(T.WORK_COMPLETE, RAW_HANDLE, b"result")
        peer.expect_end()

    heard: list[JobEvent] = []
    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert client.do("f", b"p", on_event=heard.append) == b"result"

    assert heard == [JobCreated(HANDLE), JobProgress(HANDLE, 1, 2)]


def run_and_fail(peer: Peer) -> None:
    """Accept a foreground job and report its failure, then answer an echo."""
    peer.negotiate_client()
    peer.expect(T.SUBMIT_JOB)
    peer.say(T.JOB_CREATED, RAW_HANDLE)
    peer.say(T.WORK_EXCEPTION, RAW_HANDLE, b'{"class_path": "a.B", "message": "bad"}')
    peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
    peer.expect_end()


def test_failed_foreground_job_raises_and_keeps_the_connection():
    with ScriptedServer(run_and_fail) as server, client_of(server.address) as client:
        with pytest.raises(JobFailed, match="B: bad") as failure:
            client.do("f", b"p")
        assert client.echo(b"x") == b"x"

    assert failure.value.class_path == "a.B"


def accept_and_wait(peer: Peer) -> None:
    """Accept a foreground job that never ends."""
    peer.negotiate_client()
    peer.expect(T.SUBMIT_JOB)
    peer.say(T.JOB_CREATED, RAW_HANDLE)
    peer.expect_end()


def test_foreground_job_that_takes_too_long_is_given_up_and_its_connection_closed():
    with (
        ScriptedServer(accept_and_wait) as server,
        client_of(server.address) as client,
        pytest.raises(DeadlineExceeded, match=r"job of f did not end within 0\.1 s"),
    ):
        client.do("f", b"p", timeout_s=0.1)


def test_listener_that_raises_ends_the_waiting_with_its_own_exception():
    def listen(_event):
        raise ConnectionError("mine")

    with (
        ScriptedServer(accept_and_wait) as server,
        client_of(server.address) as client,
        pytest.raises(ConnectionError, match="mine"),
    ):
        client.do("f", b"p", on_event=listen)


def test_foreground_job_whose_server_vanishes_is_not_repeated():
    def vanish(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.JOB_CREATED, RAW_HANDLE)

    with (
        ScriptedServer(vanish) as server,
        client_of(server.address) as client,
        pytest.raises(ServerUnavailable, match="closed the connection"),
    ):
        client.do("f", b"p")


def test_deadline_that_passes_before_a_server_is_reached_is_the_callers(silent):
    with client_of(silent) as client, pytest.raises(DeadlineExceeded, match="could not be reached in the time given"):
        client.do("f", b"p", timeout_s=0.1)


def status_answer(*numbers: bytes):
    def script(peer):
        peer.negotiate_client()
        peer.say(T.STATUS_RES, *peer.expect(T.GET_STATUS), *numbers)
        peer.expect_end()

    return script


def test_status_comes_from_the_server_that_knows_the_job(dead):
    with (
        ScriptedServer(status_answer(b"0", b"0", b"0", b"0")) as stranger,
        ScriptedServer(status_answer(b"1", b"1", b"3", b"10")) as owner,
        client_of(stranger.address, dead, owner.address) as client,
    ):
        status = client.get_status(HANDLE)

    assert (status.known, status.running, status.numerator, status.denominator) == (True, True, 3, 10)


def test_job_that_no_server_knows_is_unknown(dead):
    with ScriptedServer(status_answer(b"0", b"0", b"0", b"0")) as server, client_of(server.address, dead) as client:
        assert not client.get_status(HANDLE).known


def test_status_by_unique_tells_how_many_wait():
    def script(peer):
        peer.negotiate_client()
        peer.say(T.STATUS_RES_UNIQUE, *peer.expect(T.GET_STATUS_UNIQUE), b"1", b"0", b"0", b"0", b"2")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert client.get_status_unique("u").waiting_clients == 2


def test_nudge_is_sent_to_a_server_with_extensions():
    def script(peer):
        peer.negotiate_client(has_extensions=True)
        peer.expect(T.ADOPT_JOBS)
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert client.adopt_jobs()


def test_nudge_is_not_sent_to_a_stock_server():
    def script(peer):
        peer.negotiate_client()
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert not client.adopt_jobs()


def test_nudge_without_a_server_raises_nothing(dead):
    with client_of(dead) as client:
        assert not client.adopt_jobs()


def test_threads_do_not_wait_for_each_other():
    release = threading.Event()

    def slow(peer):
        peer.negotiate_client()
        payload = peer.expect(T.ECHO_REQ)
        assert release.wait(5)
        peer.say(T.ECHO_RES, *payload)
        peer.expect_end()

    def fast(peer):
        peer.negotiate_client()
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        release.set()
        peer.expect_end()

    with ScriptedServer(slow, fast) as server, client_of(server.address) as client:
        waiting = threading.Thread(target=client.echo, args=(b"slow",))
        waiting.start()
        client.echo(b"fast")
        waiting.join(5)
        assert not waiting.is_alive()


def test_burst_of_threads_leaves_no_more_connections_than_are_worth_keeping():
    from_all = threading.Barrier(10, timeout=5)

    def script(peer):
        peer.negotiate_client()
        payload = peer.expect(T.ECHO_REQ)
        from_all.wait()
        peer.say(T.ECHO_RES, *payload)
        peer.expect_end()

    with ScriptedServer(*[script] * 10) as server, client_of(server.address) as client:
        threads = [threading.Thread(target=client.echo, args=(b"",)) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        assert len(client._pool._kept[server.address]) == 8


# The threads are the test's own server; the child uses none of them.
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_forked_process_opens_a_connection_of_its_own():
    def script(peer):
        peer.negotiate_client()
        while (packet := peer.next()) is not None:
            peer.say(T.ECHO_RES, *packet.arguments)

    with ScriptedServer(script, script) as server, client_of(server.address) as client:
        client.echo(b"parent")
        child = multiprocessing.get_context("fork").Process(target=client.echo, args=(b"child",))
        child.start()
        child.join(10)
        assert child.exitcode == 0
        assert client.echo(b"parent again") == b"parent again"


def test_closed_client_connects_again_when_it_is_used():
    def script(peer):
        peer.negotiate_client()
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect_end()

    with ScriptedServer(script, script) as server, client_of(server.address) as client:
        client.echo(b"")
        client.close()
        assert client.echo(b"x") == b"x"


def test_client_without_servers_is_refused():
    with pytest.raises(UsageError, match="empty"):
        Client([])
