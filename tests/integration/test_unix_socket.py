"""Clients, workers and admin lines over a Unix socket, whose peers the kernel knows."""

from __future__ import annotations

import os
import pwd
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.errors import UsageError
from gearjobs.server.config import AdminPolicy, ServerConfig
from gearjobs.servers import ServerAddress
from gearjobs.worker.worker import Worker
from tests.support.guarded_peers import WEB, refusal_of
from tests.support.job_server import LOOPS, JobServerProcess, MemoryServer, running_memory_server
from tests.support.wire_peer import T, WirePeer

SOON_S = 20.0
OWN_NAME = pwd.getpwuid(os.getuid()).pw_name


def config_of(path: Path, **options: object) -> ServerConfig:
    given = {"listen": (f"unix:{path}",), "port": 0, **options}
    return ServerConfig(**given)  # type: ignore[arg-type]  # each is of its field's type


@pytest.fixture(params=list(LOOPS))
def server(request: pytest.FixtureRequest, socket_path: Path) -> Iterator[MemoryServer]:
    """A server that listens on a Unix socket alone."""
    with running_memory_server(config_of(socket_path), loop=request.param) as server:
        yield server


def test_job_goes_there_and_back(server):
    worker = Worker([server.address], client_id="w")
    worker.register("reverse", lambda job: job.payload[::-1])
    thread = threading.Thread(target=worker.work)
    thread.start()
    payload = bytes(range(256)) * 8192

    try:
        with Client([str(server.address)]) as client:
            assert client.do("reverse", payload, timeout_s=SOON_S) == payload[::-1]
    finally:
        worker.stop()
        thread.join(SOON_S)


def test_peer_is_on_this_machine_for_admin_lines(server):
    with AdminClient(server.address) as admin:
        assert admin.command("create function resize") == b"OK\r\n"
        (line,) = admin.workers()

    assert (line.address, line.client_id) == ("unix", b"-")


def test_peer_whose_own_end_has_a_path_is_on_this_machine_too(server, socket_path):
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(SOON_S)
        peer.bind(str(socket_path.with_name("peer.sock")))
        peer.connect(str(socket_path))
        peer.sendall(b"create function resize\n")

        assert peer.recv(100) == b"OK\r\n"


def test_socket_is_gone_when_the_server_is(socket_path):
    with running_memory_server(config_of(socket_path)):
        assert stat.S_IMODE(socket_path.stat().st_mode) == 0o660

    assert not socket_path.exists()


def test_rules_know_users(socket_path, tmp_path):
    (tmp_path / "rules").write_text(f"unix:{OWN_NAME} submit resize\nuid:{os.getuid()} work mail\n")
    with (
        running_memory_server(config_of(socket_path, access_file=str(tmp_path / "rules"))) as server,
        server.peer() as peer,
    ):
        peer.submit_background(b"resize")
        peer.can_do(b"mail")
        peer.say(T.SUBMIT_JOB, b"mail", b"", b"")

        assert refusal_of(peer) == "ACCESS_DENIED"


@pytest.mark.parametrize("name", ["unix:*x", "uid:12345678", "key:*", "cert:*"])
def test_rules_of_others_do_not_hold(socket_path, tmp_path, name):
    (tmp_path / "rules").write_text(f"{name} all *\n")
    with (
        running_memory_server(config_of(socket_path, access_file=str(tmp_path / "rules"))) as server,
        server.peer() as peer,
    ):
        peer.say(T.SUBMIT_JOB, b"mail", b"", b"")

        assert refusal_of(peer) == "ACCESS_DENIED"


def test_whoever_may_open_the_socket_needs_no_secret(socket_path, tmp_path):
    (tmp_path / "secrets").write_text(WEB)
    (tmp_path / "secrets").chmod(0o600)
    config = config_of(
        socket_path,
        listen=("127.0.0.1", f"unix:{socket_path}"),
        secret_file=str(tmp_path / "secrets"),
        admin=AdminPolicy.AUTH,
    )
    with running_memory_server(config) as server, WirePeer(server.addresses[1]) as near, server.peer() as far:
        assert near.submit_background(b"resize")
        assert near.ask("create function mail") == [b"OK\r\n"]
        far.say(T.SUBMIT_JOB, b"resize", b"", b"")
        assert refusal_of(far) == "AUTH_REQUIRED"


def test_http_wants_an_address(socket_path):
    with (
        pytest.raises(UsageError, match="http needs an address to listen on besides a Unix socket"),
        running_memory_server(config_of(socket_path, http_port=0)),
    ):
        pass


def test_real_server_takes_over_the_socket_of_one_that_was_killed(
    new_job_server: Callable[..., JobServerProcess], socket_path: Path
):
    server = new_job_server("--listen", f"unix:{socket_path}", "--socket-mode", "600")
    server.start()
    server.kill9()
    assert socket_path.exists()

    server.restart()

    assert server.said().count(f", unix:{socket_path}\n") == 1
    assert stat.S_IMODE(socket_path.stat().st_mode) == 0o600
    with WirePeer(ServerAddress("", 0, str(socket_path))) as peer:
        assert peer.submit_background(b"resize")
    assert server.terminate() == 0
    assert not socket_path.exists()
