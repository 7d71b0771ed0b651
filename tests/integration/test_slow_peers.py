"""Peers that begin packets and never end them, at a server whose others go on as if nothing were."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from gearjobs.protocol.packets import PacketType, Refusal
from gearjobs.server.config import ServerConfig
from gearjobs.server.unfinished_packets import HEADER_LIMIT_S
from tests.support.eventually import eventually
from tests.support.job_server import JobServerProcess, MemoryServer, running_memory_server
from tests.support.wire_peer import PATIENCE_S, WirePeer, frame

T = PacketType

SLOW_PEERS = 500
#: Seconds in which 99 of 100 answers must come meanwhile.
ANSWER_LIMIT_S = 0.02
#: Seconds after which nobody is in the middle of the same packet any more: a window for the header, one for the body.
CUT_OFF_TIMEOUT_S = 3 * HEADER_LIMIT_S

OUT_OF_MEMORY = Refusal.OUT_OF_MEMORY.value[1].encode()
UPLOAD = frame(T.ECHO_REQ, bytes(1_000_000))


@contextmanager
def dribbling(server: MemoryServer | JobServerProcess, count: int) -> Iterator[list[WirePeer]]:
    """Let so many peers send the bytes of a packet one by one, a second apart, until they are cut off."""
    stop = threading.Event()
    with ExitStack() as stack:
        peers = [stack.enter_context(server.peer()) for _ in range(count)]

        def dribble() -> None:
            for byte in UPLOAD:
                for peer in peers:
                    with suppress(OSError):
                        peer.socket.send(bytes([byte]))
                if stop.wait(1.0):
                    return

        thread = threading.Thread(target=dribble)
        thread.start()
        try:
            yield peers
        finally:
            stop.set()
            thread.join(CUT_OFF_TIMEOUT_S)


@pytest.mark.slow
def test_answers_come_as_quickly_as_ever_while_hundreds_dribble(job_server):
    with dribbling(job_server, SLOW_PEERS), job_server.peer() as peer:
        took_s: list[float] = []
        # Long enough for three bytes of each of the others.
        while sum(took_s) < 3.0:
            began_at = time.monotonic()
            peer.expect_quiet()
            took_s.append(time.monotonic() - began_at)

    assert sorted(took_s)[int(len(took_s) * 0.99)] < ANSWER_LIMIT_S


@pytest.mark.slow
def test_peers_that_dribble_are_cut_off_and_sleeping_workers_are_not():
    with running_memory_server() as server, server.peer() as worker:
        worker.can_do(b"resize")
        worker.say(T.PRE_SLEEP)
        with dribbling(server, 20) as peers:
            for peer in peers:
                expect_cut_off(peer)

        with server.peer() as client:
            client.submit(b"resize")
        worker.expect(T.NOOP)


def expect_cut_off(peer: WirePeer) -> None:
    """Wait until the server has ended the connection, in whatever way."""
    peer.socket.settimeout(CUT_OFF_TIMEOUT_S)
    with suppress(ConnectionError):
        assert peer.socket.recv(1) == b""


def test_unfinished_uploads_hold_no_more_memory_together_than_they_may():
    config = ServerConfig(listen=("127.0.0.1",), port=0, buffer_budget_bytes=3_000_000)
    with running_memory_server(config) as server, ExitStack() as stack:
        peers = [stack.enter_context(server.peer()) for _ in range(10)]
        for peer in peers:
            # All but the end.
            with suppress(ConnectionError):
                peer.say_raw(UPLOAD[:-1])
        finished, most_bytes = 0, 0
        for peer in peers:
            finished += finish(peer)
            most_bytes = max(most_bytes, held_bytes(server))

    # Cut off is who holds most when nothing else helps; the others wait for their turn.
    assert finished > 3
    assert most_bytes < 3_000_000


def held_bytes(server: MemoryServer) -> int:
    """Return what the server's connections hold."""
    return sum(connection.buffered_bytes for connection in list(server.server._connections.values()))


def test_submits_are_refused_while_unfinished_uploads_hold_most_of_the_memory():
    config = ServerConfig(listen=("127.0.0.1",), port=0, buffer_budget_bytes=1_200_000)
    with running_memory_server(config) as server, server.peer() as client:
        with server.peer() as upload:
            upload.say_raw(UPLOAD[:-1])
            eventually(lambda: submit_error(client) == [b"QUEUE_ERROR", OUT_OF_MEMORY], PATIENCE_S, "a refusal")
            client.expect_quiet()

        eventually(lambda: not submit_error(client), PATIENCE_S, "a submit that is taken")


def submit_error(client: WirePeer) -> list[bytes]:
    """Submit a job; return the refusal, or nothing where it was taken."""
    client.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
    came, arguments = client.next("JOB_CREATED or ERROR")
    return arguments if came == T.ERROR else []


def finish(peer: WirePeer) -> bool:
    """Send the packet's last byte; return whether it was answered."""
    try:
        peer.say_raw(UPLOAD[-1:])
        return len(peer.expect_body(T.ECHO_RES)) == len(UPLOAD) - 12
    except ConnectionError:
        return False
