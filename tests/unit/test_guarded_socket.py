"""Clients and workers at a server behind TLS and a secret: jobs pass, and nobody talks to a server that is not his."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.client.requests import job_request
from gearjobs.errors import ServerUnavailable
from gearjobs.guarded_socket import Security, make_security, open_guarded
from gearjobs.server.config import ServerConfig
from gearjobs.servers import ServerAddress
from gearjobs.tls import TlsFiles, make_server_context
from gearjobs.worker.worker import Worker
from tests.support.certificates import Authority, Certificate
from tests.support.eventually import eventually
from tests.support.job_server import LOOPS, MemoryServer, running_memory_server
from tests.support.running_worker import running
from tests.support.scripted_server import Peer, ScriptedServer

WEB = f"web:{'w' * 32}"


@dataclass
class Site:
    """A server and how to come to it."""

    server: MemoryServer
    security: Security
    ca: Authority


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("site") / "ca")


@pytest.fixture(params=list(LOOPS))
def site(request: pytest.FixtureRequest, ca: Authority, tmp_path: Path) -> Iterator[Site]:
    """A server that wants certificates and a secret."""
    shown = ca.sign("server", alternative="IP:127.0.0.1")
    (tmp_path / "secrets").write_text(WEB)
    (tmp_path / "secrets").chmod(0o600)
    config = ServerConfig(
        listen=("127.0.0.1",),
        port=0,
        ssl=True,
        ssl_ca_file=str(ca.certificate),
        ssl_certificate=str(shown.certificate),
        ssl_key=str(shown.key),
        secret_file=str(tmp_path / "secrets"),
    )
    security = make_security(tls=ca.sign("me").files(ca), secret=WEB)
    with running_memory_server(config, loop=request.param) as server:
        yield Site(server, security, ca)


def test_renewed_certificate_is_shown_at_the_next_connection(site, tmp_path):
    files, renewed = tmp_path / "own", site.ca.sign("renewed")
    files.mkdir()
    own = Certificate(files / "own.pem", files / "own.key")
    for kept, first in ((own.certificate, "me.pem"), (own.key, "me.key")):
        kept.write_bytes((site.ca.directory / first).read_bytes())
    security = make_security(tls=own.files(site.ca), secret=WEB)

    with closing(open_guarded(site.server.address, security, timeout_s=5.0)):
        assert names_known_to(site.server) == {"cert:me"}
        own.certificate.write_bytes(renewed.certificate.read_bytes())
        own.key.write_bytes(renewed.key.read_bytes())
        with closing(open_guarded(site.server.address, security, timeout_s=5.0)):
            assert names_known_to(site.server) == {"cert:me", "cert:renewed"}


def names_known_to(server: MemoryServer) -> set[str]:
    """Return what the server's peers have shown by their certificates."""
    return {name for connection in server.server._connections.values() for name in connection.known_as}


def test_job_goes_there_and_back(site):
    worker = Worker([site.server.address], client_id="w", security=site.security)
    worker.register("reverse", lambda job: job.payload[::-1])
    thread = threading.Thread(target=worker.work)
    thread.start()
    payload = bytes(range(256)) * 8192

    try:
        with Client([site.server.address], security=site.security) as client:
            results = [client.do("reverse", payload, timeout_s=20.0) for _ in range(3)]
    finally:
        worker.stop()
        thread.join(10.0)

    assert results == [payload[::-1]] * 3


def test_batch_goes_there_while_its_first_results_come_back(site):
    worker = Worker([site.server.address], client_id="w", security=site.security)
    worker.register("reverse", lambda job: job.payload[::-1])
    payloads = [b"%d" % number * 100_000 for number in range(30)]

    with running(worker), Client([site.server.address], security=site.security) as client:
        results = client.do_all([job_request("reverse", payload) for payload in payloads], timeout_s=20.0)

    assert results == [payload[::-1] for payload in payloads]


def test_connection_is_kept_between_requests(site):
    # TLS 1.3's tickets come unasked; a kept connection was taken for one on which the server spoke.
    with Client([site.server.address], security=site.security) as client:
        for _ in range(5):
            client.echo(b"hello")

        assert site.server.server._accepted == 1


def test_admin_client_speaks_in_lines(site):
    with AdminClient(site.server.address, security=site.security) as admin:
        assert [admin.status() for _ in range(3)] == [[], [], []]

    assert site.server.server._accepted == 1


def test_kept_connection_that_the_server_closed_is_not_used(site):
    with Client([site.server.address], security=site.security) as client:
        client.echo(b"hello")
        (connection,) = site.server.server._connections.values()
        site.server.do(connection.close)
        eventually(lambda: not site.server.server._connections, 5.0, "the end of the connection")

        assert client.echo(b"again") == b"again"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("plain", "no job server could be reached"),
        ("other signer", "CERTIFICATE_VERIFY_FAILED"),
        ("other host", "Hostname mismatch|certificate is not valid for 'localhost'"),
        ("no certificate", "no job server could be reached"),
    ],
)
def test_whoever_lacks_something_gets_no_job_in(site, case, words, tmp_path):
    files = TlsFiles(str(site.ca.certificate))
    security = {
        "plain": lambda: make_security(secret=WEB),
        "other signer": lambda: make_security(tls=TlsFiles(str(Authority.make(tmp_path / "other").certificate))),
        "other host": lambda: site.security,
        "no certificate": lambda: make_security(tls=files, secret=WEB),
    }[case]()
    host = "localhost" if case == "other host" else site.server.host

    with (
        Client([ServerAddress(host, site.server.port)], security=security) as client,
        pytest.raises(Exception, match=words),
    ):
        client.submit_background("resize", b"photo")

    assert not site.server.store.unfinished


def test_verified_certificate_is_as_good_as_a_secret(site):
    with Client([site.server.address], security=Security(site.security.tls)) as client:
        client.submit_background("resize", b"photo")

    assert len(site.server.store.unfinished) == 1


def test_stop_of_the_server_ends_its_tls_connections(site):
    connected = open_guarded(site.server.address, site.security, timeout_s=5.0)
    site.server.stop()

    assert connected.receive(deadline=time.monotonic() + 5.0) == b""
    connected.close()


def test_large_packet_to_a_server_that_reads_slowly_is_sent_whole(ca):
    # TLS says in its own words that the kernel's buffer is full.
    shown = ca.sign("slow", alternative="IP:127.0.0.1")
    context, received = make_server_context(shown.files()), bytearray()
    is_full = threading.Event()

    def read_late(peer: Peer) -> None:
        with context.wrap_socket(peer.socket, server_side=True) as secured:
            assert is_full.wait(10.0)
            while chunk := secured.recv(65536):
                received.extend(chunk)

    packet = bytes(range(256)) * 65_536
    with ScriptedServer(read_late) as server:
        connected = open_guarded(server.address, make_security(tls=TlsFiles(str(ca.certificate))), timeout_s=5.0)
        with pytest.raises(TimeoutError):
            connected.send(packet, deadline=time.monotonic() + 0.1)
        sent_bytes = connected.sent_bytes
        is_full.set()
        connected.send(packet[sent_bytes:], deadline=time.monotonic() + 20.0)
        connected.close_gently(deadline=time.monotonic() + 5.0)

    assert 0 < sent_bytes < len(packet)
    assert received == packet


def say_nothing(peer: Peer) -> None:
    while peer.socket.recv(4096):
        pass


def test_server_that_is_silent_in_the_handshake_is_left_in_time(ca):
    with ScriptedServer(say_nothing) as server, pytest.raises(TimeoutError):
        open_guarded(server.address, make_security(tls=TlsFiles(str(ca.certificate))), timeout_s=0.2)


def test_client_of_a_server_that_does_not_answer_the_challenge_gives_up():
    with (
        ScriptedServer(say_nothing) as server,
        Client([server.address], connect_timeout_s=0.2, security=make_security(secret=WEB)) as client,
        pytest.raises(ServerUnavailable, match="no answer in time"),
    ):
        client.echo(b"hello")
