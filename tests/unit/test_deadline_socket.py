"""The socket that never waits longer than told, over a pair of connected sockets."""

from __future__ import annotations

import math
import socket
import threading
import time

import pytest

from gearjobs.deadline_socket import DeadlineSocket
from tests.support.eventually import eventually
from tests.support.gearmand import free_port

SOON_S = 5.0


@pytest.fixture
def pair():
    """One end under test, the other plain and blocking."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(SOON_S)
    ours_with_deadlines = DeadlineSocket(ours)
    yield ours_with_deadlines, theirs
    ours_with_deadlines.close()
    theirs.close()


def test_kernel_tells_how_long_the_peers_host_was_silent():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = DeadlineSocket.connect(*listener.getsockname(), timeout_s=SOON_S)
        accepted, _ = listener.accept()
        eventually(lambda: connected.silence_s() > 0.3, SOON_S, "a silence")
        # Nobody reads it: the peer's kernel acknowledges.
        connected.send(b"x", deadline=math.inf)
        eventually(lambda: connected.silence_s() < 0.3, SOON_S, "the acknowledgement")

        accepted.close()
        eventually(lambda: connected.silence_s() == math.inf, SOON_S, "the end of the connection")
        connected.close()
        assert connected.silence_s() == math.inf


def test_kernel_asks_a_silent_peer_for_signs_of_life_as_often_as_told():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connected = DeadlineSocket.connect(*listener.getsockname(), timeout_s=SOON_S)
        accepted, _ = listener.accept()
        connected.probe_every(1)
        eventually(lambda: connected.silence_s() > 0.9, SOON_S, "a silence")
        eventually(lambda: connected.silence_s() < 0.5, SOON_S, "the answer to a probe")
        for one in (connected, accepted):
            one.close()


def test_peer_on_a_unix_socket_is_never_silent(tmp_path):
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        connected = DeadlineSocket.connect_unix(path, timeout_s=SOON_S)
        connected.probe_every(1)
        assert connected.silence_s() == 0.0
        connected.close()


def soon() -> float:
    return time.monotonic() + SOON_S


def test_bytes_are_sent_and_received(pair):
    ours, theirs = pair

    ours.send(b"ping", deadline=soon())
    theirs.sendall(b"pong")

    assert theirs.recv(10) == b"ping"
    assert ours.receive(deadline=soon()) == b"pong"
    assert ours.sent_bytes == 4


def test_receiving_without_a_deadline_waits_for_bytes(pair):
    ours, theirs = pair
    theirs.sendall(b"pong")

    assert ours.receive(deadline=math.inf) == b"pong"


def test_receiving_ends_at_the_deadline(pair):
    ours, _ = pair
    started_at = time.monotonic()

    with pytest.raises(TimeoutError):
        ours.receive(deadline=started_at + 0.05)

    assert 0.05 <= time.monotonic() - started_at < SOON_S


def test_receiving_says_when_the_peer_closed(pair):
    ours, theirs = pair
    theirs.close()

    assert ours.receive(deadline=soon()) == b""


def test_sending_more_than_the_kernel_takes_goes_on_while_the_peer_reads(pair):
    ours, theirs = pair
    chunk = bytes(range(256)) * 16384
    received = bytearray()

    def read() -> None:
        while len(received) < len(chunk):
            received.extend(theirs.recv(65536))

    reader = threading.Thread(target=read)
    reader.start()
    ours.send(chunk, deadline=soon())
    reader.join(SOON_S)

    assert bytes(received) == chunk


def test_sending_ends_at_the_deadline_and_tells_that_bytes_have_left(pair):
    ours, _ = pair
    chunk = bytes(16 * 1024 * 1024)

    with pytest.raises(TimeoutError):
        ours.send(chunk, deadline=time.monotonic() + 0.05)

    assert 0 < ours.sent_bytes < len(chunk)


def test_reading_what_is_there_does_not_wait(pair):
    ours, theirs = pair
    assert ours.receive_ready() is None

    theirs.sendall(b"pong")
    assert ours.receive_ready() == b"pong"

    theirs.close()
    assert ours.receive_ready() == b""


class FalselyReady(DeadlineSocket):
    """Its kernel once promises bytes that are not there."""

    promises = 1

    def receive_ready(self) -> bytes | None:
        if self.promises:
            self.promises -= 1
            return None
        return super().receive_ready()


def test_kernel_that_promises_too_much_is_asked_again():
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(b"pong")
        falsely_ready = FalselyReady(ours)

        assert falsely_ready.receive(deadline=soon()) == b"pong"

        falsely_ready.close()


def test_connection_is_quiet_until_bytes_come(pair):
    ours, theirs = pair
    assert ours.is_quiet()

    theirs.sendall(b"x")

    assert not ours.is_quiet()


def test_connection_whose_peer_is_gone_is_not_quiet(pair):
    ours, theirs = pair
    theirs.close()

    assert not ours.is_quiet()


def test_gentle_close_reads_what_comes_until_the_peer_closes(pair):
    ours, theirs = pair
    theirs.sendall(b"unread")
    theirs.shutdown(socket.SHUT_WR)

    ours.close_gently(deadline=soon())

    assert theirs.recv(10) == b""
    assert ours.fileno() == -1


def test_gentle_close_does_not_wait_for_ever(pair):
    ours, _ = pair

    ours.close_gently(deadline=time.monotonic() + 0.05)

    assert ours.fileno() == -1


def test_connecting_where_nobody_listens_raises():
    with pytest.raises(ConnectionRefusedError):
        DeadlineSocket.connect("127.0.0.1", free_port(), timeout_s=SOON_S)


def test_name_that_cannot_be_asked_for_is_a_server_that_is_not_there():
    with pytest.raises(OSError, match="cannot be looked up"):
        DeadlineSocket.connect("x" * 64, 4730, timeout_s=1.0)


def test_connecting_opens_a_connection_that_sends_at_once():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = DeadlineSocket.connect("127.0.0.1", listener.getsockname()[1], timeout_s=SOON_S)
        theirs, _ = listener.accept()
        with theirs:
            ours.send(b"ping", deadline=soon())
            assert theirs.recv(10) == b"ping"
            assert ours._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        ours.close()


def test_unix_socket_without_a_listener_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        DeadlineSocket.connect_unix(str(tmp_path / "nobody"), timeout_s=SOON_S)


def test_shutting_down_wakes_a_thread_that_waits_to_send(pair):
    ours, _ = pair
    errors: list[OSError] = []

    def send() -> None:
        try:
            ours.send(bytes(16 * 1024 * 1024), deadline=math.inf)
        except OSError as error:
            errors.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    eventually(lambda: ours.sent_bytes, SOON_S, "the buffers to fill")

    ours.shut_down()
    ours.shut_down()

    sender.join(SOON_S)
    assert not sender.is_alive()
    assert isinstance(errors[0], BrokenPipeError)


def test_kernel_tells_whether_the_peer_has_everything(pair):
    ours, theirs = pair
    assert ours.is_all_acknowledged()

    ours.send(b"x", deadline=math.inf)
    assert not ours.is_all_acknowledged()

    theirs.recv(1)
    assert ours.is_all_acknowledged()


def test_connection_that_is_no_more_has_nothing_to_wait_for(pair):
    ours, _ = pair
    ours.close()

    assert ours.is_all_acknowledged()


def test_full_connection_takes_nothing_at_once(pair):
    ours, _ = pair
    assert ours.may_send()

    with pytest.raises(TimeoutError):
        ours.send(bytes(16 * 1024 * 1024), deadline=time.monotonic())

    assert not ours.may_send()
