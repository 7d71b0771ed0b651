"""Peers that flood, dribble and babble at the real server: they cost the others nothing, and the server no memory."""

from __future__ import annotations

import threading
from contextlib import suppress

from gearjobs.protocol.packets import PacketType
from tests.support.eventually import eventually
from tests.support.job_server import JobServerProcess
from tests.support.wire_peer import WirePeer, frame

T = PacketType

#: Seconds within which a peer must be answered while another one does its worst; most of it is the busy machine's.
FAIR_S = 2.0
#: Seconds a nuisance may take to end.
END_TIMEOUT_S = 20.0
#: What a flood may add to the server's memory.
FLOOD_LIMIT_BYTES = 32 * 1024 * 1024
#: What a flood sends at most; a server that takes all of it does not hold it back.
FLOOD_BYTES = 256 * 1024 * 1024


def test_client_that_never_reads_does_not_fill_the_servers_memory(job_server):
    echo = frame(T.ECHO_REQ, bytes(60_000))
    with job_server.peer(receive_buffer_bytes=4096) as flood, job_server.peer() as other:
        other.say(T.ECHO_REQ, b"before")
        other.expect(T.ECHO_RES)
        before_bytes = job_server.resident_bytes()

        sent_bytes = send_until_it_blocks(flood, echo, limit_bytes=FLOOD_BYTES)

        assert sent_bytes < FLOOD_BYTES, "the server went on reading"
        assert job_server.resident_bytes() - before_bytes < FLOOD_LIMIT_BYTES
        other.say(T.ECHO_REQ, b"after")
        assert other.expect(T.ECHO_RES, timeout_s=FAIR_S) == [b"after"]


def test_flood_behind_a_submit_does_not_fill_the_servers_memory(job_server):
    # The answers to what came behind a submit were kept without limit while the database was busy.
    echo = frame(T.ECHO_REQ, bytes(60_000))
    with job_server.peer() as flood, job_server.peer() as other:
        before_bytes = job_server.resident_bytes()
        with job_server.write_locked():
            flood.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
            sent_bytes = send_until_it_blocks(flood, echo, limit_bytes=FLOOD_BYTES)

            assert sent_bytes < FLOOD_BYTES, "the server went on reading"
            assert job_server.resident_bytes() - before_bytes < FLOOD_LIMIT_BYTES
            other.say(T.ECHO_REQ, b"meanwhile")
            assert other.expect(T.ECHO_RES, timeout_s=FAIR_S) == [b"meanwhile"]
        flood.expect(T.JOB_CREATED)


def test_stream_to_a_client_that_does_not_read_waits_in_the_worker(job_server):
    # All of it was kept for the client, up to 128 MiB, and a client that came back to it was cut off.
    with job_server.peer(receive_buffer_bytes=4096) as client, job_server.peer() as worker, job_server.peer() as other:
        worker.can_do(b"resize")
        handle = client.submit(b"resize")
        worker.grab()
        piece = frame(T.WORK_DATA, handle, bytes(60_000))
        before_bytes = job_server.resident_bytes()

        sent_bytes = send_until_it_blocks(worker, piece, limit_bytes=FLOOD_BYTES)

        assert sent_bytes < FLOOD_BYTES, "the server went on reading"
        assert job_server.resident_bytes() - before_bytes < FLOOD_LIMIT_BYTES
        other.say(T.ECHO_REQ, b"meanwhile")
        assert other.expect(T.ECHO_RES, timeout_s=FAIR_S) == [b"meanwhile"]
        # Nothing is lost to a client that reads again.
        for _ in range(sent_bytes // len(piece)):
            assert client.expect_body(T.WORK_DATA) == handle + b"\0" + bytes(60_000)


def test_background_job_waits_for_no_client_that_joined_it(job_server):
    with job_server.peer(receive_buffer_bytes=4096) as client, job_server.peer() as worker:
        worker.can_do(b"resize")
        handle = client.submit_background(b"resize", unique=b"u")
        assert client.submit(b"resize", unique=b"u") == handle
        worker.grab()
        before_bytes = job_server.resident_bytes()

        piece = frame(T.WORK_DATA, handle, bytes(60_000))
        for _ in range(FLOOD_BYTES // len(piece)):
            worker.say_raw(piece)
        worker.say(T.WORK_COMPLETE, handle, b"done")
        worker.expect_quiet()

        assert job_server.resident_bytes() - before_bytes < FLOOD_LIMIT_BYTES
        assert "it does not read its answers" in job_server.said()
    eventually(lambda: job_server.job(handle)["result"] == b"done", END_TIMEOUT_S, "the result")


def test_stream_of_a_background_job_does_not_fill_the_servers_memory(job_server):
    # What is beyond the limit of a job's output waited for its commit before it was thrown away.
    with job_server.peer() as client, job_server.peer() as worker:
        worker.can_do(b"resize")
        handle = client.submit_background(b"resize")
        worker.grab()
        before_bytes = job_server.resident_bytes()

        with job_server.write_locked():
            piece = frame(T.WORK_DATA, handle, bytes(60_000))
            for _ in range(FLOOD_BYTES // len(piece)):
                worker.say_raw(piece)
            worker.expect_quiet()

            assert job_server.resident_bytes() - before_bytes < FLOOD_LIMIT_BYTES


def send_until_it_blocks(peer: WirePeer, packet: bytes, *, limit_bytes: int) -> int:
    """Send the packet again and again until the server takes nothing for a moment; return how much it took."""
    sent_bytes = 0
    peer.socket.settimeout(1.0)
    with suppress(TimeoutError):
        while sent_bytes < limit_bytes:
            sent_bytes += peer.socket.send(packet[sent_bytes % len(packet) :])
    peer.socket.settimeout(END_TIMEOUT_S)
    return sent_bytes


def test_peers_are_served_while_others_send_bytes_of_every_shape(job_server):
    stop = threading.Event()
    shapes = (send_bytewise, send_merged, send_garbage, send_errors)
    nuisances = [threading.Thread(target=nuisance, args=(job_server, stop)) for nuisance in shapes]
    for nuisance in nuisances:
        nuisance.start()
    try:
        with job_server.peer() as client, job_server.peer() as worker:
            worker.can_do(b"resize")
            for number in range(50):
                handle = client.submit(b"resize", b"photo %d" % number, timeout_s=FAIR_S)
                assert worker.grab() == (handle, b"photo %d" % number)
                worker.say(T.WORK_COMPLETE, handle, b"done")
                assert client.expect(T.WORK_COMPLETE, timeout_s=FAIR_S) == [handle, b"done"]
    finally:
        stop.set()
        for nuisance in nuisances:
            nuisance.join(END_TIMEOUT_S)
    assert not any(nuisance.is_alive() for nuisance in nuisances)


def send_bytewise(server: JobServerProcess, stop: threading.Event) -> None:
    """Say packets a byte at a time."""
    with server.peer() as peer:
        while not stop.is_set():
            for byte in frame(T.ECHO_REQ, b"slow"):
                peer.say_raw(bytes([byte]))
            assert peer.expect_body(T.ECHO_RES) == b"slow"


def send_merged(server: JobServerProcess, stop: threading.Event) -> None:
    """Say thousands of packets and lines in one breath."""
    breath = (frame(T.ECHO_REQ, b"abc") + b"version\n" + frame(T.GET_STATUS, b"nobody")) * 1000
    with server.peer() as peer:
        while not stop.is_set():
            peer.say_raw(breath)
            for _ in range(1000):
                peer.expect(T.ECHO_RES)
                peer.expect_line()
                peer.expect(T.STATUS_RES)


def send_garbage(server: JobServerProcess, stop: threading.Event) -> None:
    """Say what is no packet, and come back when thrown out."""
    garbage = [
        b"\0XYZ" + bytes(100),
        b"\xff" * 9000,
        frame(43, b"abc"),
        b"a b c d e f g\n",
        b"\0REQ\0\0\0\x10\xff\xff\xff\xff",
    ]
    while not stop.is_set():
        for piece in garbage:
            with suppress(OSError), server.peer() as peer:
                peer.say_raw(piece)
                while peer.socket.recv(4096):
                    pass


def send_errors(server: JobServerProcess, stop: threading.Event) -> None:
    """Say what is refused, packet for packet."""
    with server.peer() as peer:
        while not stop.is_set():
            peer.say_raw(frame(T.WORK_COMPLETE, b"H:nobody", b"") * 100)
            for _ in range(100):
                peer.expect(T.ERROR)
