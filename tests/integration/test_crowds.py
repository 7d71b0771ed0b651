"""More connections than usual, and more than there is room for, at the real server."""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from gearjobs.protocol.packets import PacketType
from gearjobs.server.entrance.admission import UNPROVEN_LIMIT
from gearjobs.server.entrance.identify import PROOF_LIMIT_S
from tests.support.eventually import eventually
from tests.support.foreign_peers import missing
from tests.support.guarded_peers import WEB, prove
from tests.support.job_server import JobServerProcess
from tests.support.wire_peer import PATIENCE_S, WirePeer, frame

pytestmark = pytest.mark.slow

T = PacketType

CROWD = 10_000
#: Seconds in which the crowd must be served; gearmand takes a minute.
CROWD_TIMEOUT_S = 5.0
#: What one of the crowd may cost.
CROWD_MEMBER_BYTES = 20 * 1024
#: A sleeping worker's first words, and one answer to know that they were heard.
SLEEPER = frame(T.CAN_DO, b"resize") + frame(T.PRE_SLEEP) + frame(T.ECHO_REQ, b"x")
ECHO = b"\0RES\0\0\0\x11\0\0\0\x01x"


@contextmanager
def open_files(wanted: int) -> Iterator[None]:
    """Let this process open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        missing(f"a process may open {hard} files at most here, {wanted} are needed, so no crowd was tried")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def crowd_of_sleepers(server: JobServerProcess) -> Iterator[None]:
    """Connect ten thousand sleeping workers; all of them are heard when the block begins."""
    with ExitStack() as stack:
        stack.enter_context(open_files(CROWD + 500))
        peers = [stack.enter_context(socket.socket()) for _ in range(CROWD)]
        for peer in peers:
            peer.connect((server.address.host, server.address.port))
            peer.sendall(SLEEPER)
        for peer in peers:
            peer.settimeout(PATIENCE_S)
            assert peer.recv(100) == ECHO
        yield


def cpu_s(server: JobServerProcess) -> float:
    """Return the seconds of processor time that the server took."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_answered(server: JobServerProcess) -> bool:
    """Whether somebody who comes now is served."""
    try:
        with server.peer() as peer:
            peer.expect_quiet()
    except OSError:
        return False
    return True


def count_answered(peers: list[WirePeer]) -> int:
    """Return how many of the peers are served; the others must have been turned away."""
    answered = 0
    for peer in peers:
        try:
            peer.expect_quiet()
        except OSError:
            continue
        answered += 1
    return answered


def test_ten_thousand_workers_are_let_in_within_seconds_and_cost_little(job_server):
    assert is_answered(job_server)
    before_bytes = job_server.resident_bytes()
    began_at = time.monotonic()

    with crowd_of_sleepers(job_server):
        took_s = time.monotonic() - began_at
        each_bytes = (job_server.resident_bytes() - before_bytes) / CROWD

        assert took_s < CROWD_TIMEOUT_S
        assert each_bytes < CROWD_MEMBER_BYTES


def test_crowd_of_sleepers_does_not_slow_a_submit(job_server):
    with crowd_of_sleepers(job_server), job_server.peer() as client:
        began_at = time.monotonic()
        for _ in range(10):
            client.submit_background(b"resize")

        assert time.monotonic() - began_at < 1.0


@pytest.fixture
def short_of_files(new_job_server: Callable[..., JobServerProcess]) -> JobServerProcess:
    """A server with fewer file descriptors than it has places for."""
    server = new_job_server("--file-descriptors", "40", "--max-connections", "1000")
    server.start()
    return server


def test_server_without_file_descriptors_turns_peers_away_and_serves_the_others(short_of_files):
    with ExitStack() as stack:
        peers = [stack.enter_context(short_of_files.peer()) for _ in range(100)]

        answered = count_answered(peers)

        assert 0 < answered < 40
        # Those who are in are served as ever, the database included.
        assert count_answered(peers[:answered]) == answered
        assert peers[0].submit_background(b"resize")


def test_server_without_file_descriptors_neither_spins_nor_floods_its_log(short_of_files):
    with ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(short_of_files.peer())
        began_s, began_at = cpu_s(short_of_files), time.monotonic()
        while time.monotonic() - began_at < 2.0:
            # Comes back as soon as it is turned away, as clients do.
            with suppress(ConnectionError), short_of_files.peer() as peer:
                peer.socket.recv(1)

        share = (cpu_s(short_of_files) - began_s) / (time.monotonic() - began_at)
        assert share < 0.2
        assert short_of_files.said().count("turn away") == 1


def test_server_takes_peers_again_once_there_are_file_descriptors(short_of_files):
    with ExitStack() as stack:
        peers = [stack.enter_context(short_of_files.peer()) for _ in range(100)]
        assert count_answered(peers) < 100

    eventually(lambda: is_answered(short_of_files), PATIENCE_S, "a place")


def test_peers_beyond_the_chosen_limit_are_turned_away(new_job_server):
    server = new_job_server("--max-connections", "5")
    server.start()
    with ExitStack() as stack:
        peers = [stack.enter_context(server.peer()) for _ in range(8)]

        assert count_answered(peers) == 5
    assert "5 connections are open" in server.said()


def test_strangers_take_a_few_places_only_and_leave_them_in_time(new_job_server, tmp_path):
    (tmp_path / "secrets").write_text(WEB)
    (tmp_path / "secrets").chmod(0o600)
    server = new_job_server("--secret-file", str(tmp_path / "secrets"))
    server.start()
    with ExitStack() as stack, server.peer() as known:
        prove(known, WEB)
        peers = [stack.enter_context(server.peer()) for _ in range(UNPROVEN_LIMIT + 40)]

        assert count_answered(peers) == UNPROVEN_LIMIT
        assert "connections are open that have not shown who they are" in server.said()
        assert server.said().count("turn away") == 1
        known.submit_background(b"resize")
        peers[0].expect_end(timeout_s=3 * PROOF_LIMIT_S)

    with server.peer() as late:
        prove(late, WEB)
        late.submit_background(b"resize")
