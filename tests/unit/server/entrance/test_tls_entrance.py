"""TLS at the door: who is let in, who is turned back before a Gearman byte, and that nobody waits for anybody."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gearjobs.errors import UsageError
from gearjobs.server.config import ServerConfig
from gearjobs.server.entrance import tls_entrance
from gearjobs.tls import TlsFiles, make_client_context
from tests.support.certificates import Authority, Certificate
from tests.support.eventually import eventually
from tests.support.job_server import LOOPS, MemoryServer, running_memory_server
from tests.support.wire_peer import T, WirePeer, frame


@dataclass
class Keys:
    """What the tests of this file share; making it costs a while."""

    ca: Authority
    rogue: Authority
    server: Certificate
    worker: Certificate


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    directory = tmp_path_factory.mktemp("keys")
    ca, rogue = Authority.make(directory / "ca"), Authority.make(directory / "rogue")
    server = ca.sign("server", alternative="IP:127.0.0.1", usage="serverAuth")
    return Keys(ca, rogue, server, ca.sign("worker-1", alternative="DNS:worker.example", usage="clientAuth"))


def config_of(keys: Keys, *, wants_certificates: bool = True, **options) -> ServerConfig:
    given = {
        "listen": ("127.0.0.1",),
        "port": 0,
        "ssl": True,
        "ssl_certificate": str(keys.server.certificate),
        "ssl_key": str(keys.server.key),
        "ssl_ca_file": str(keys.ca.certificate) if wants_certificates else "",
    }
    return ServerConfig(**{**given, **options})


@pytest.fixture(params=list(LOOPS))
def tls_server(request: pytest.FixtureRequest, keys: Keys) -> Iterator[MemoryServer]:
    """A server that takes certificates of `keys.ca` only, on each event loop."""
    with running_memory_server(config_of(keys), loop=request.param) as server:
        yield server


def secured(server: MemoryServer, files: TlsFiles) -> WirePeer:
    """Connect with TLS; with TLS 1.3 a refused certificate shows only at the first answer."""
    peer = server.peer()
    peer.socket = make_client_context(files).wrap_socket(peer.socket, server_hostname="127.0.0.1")
    return peer


def answers(peer: WirePeer) -> bool:
    """Whether the server speaks Gearman with the peer."""
    try:
        peer.say(T.ECHO_REQ, b"hello")
        return peer.expect_body(T.ECHO_RES) == b"hello"
    except (ssl.SSLError, ConnectionError):
        return False


def test_peer_with_a_signed_certificate_is_served(tls_server, keys):
    with secured(tls_server, keys.worker.files(keys.ca)) as peer:
        peer.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo" * 100_000)
        peer.expect(T.JOB_CREATED)
        peer.can_do(b"resize")

        _, payload = peer.grab()

    assert payload == b"photo" * 100_000


def test_packet_that_comes_right_behind_the_handshake_is_answered(tls_server, keys):
    # With TLS 1.3 a client's last handshake bytes and its first packet may come in one piece.
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = make_client_context(keys.worker.files(keys.ca)).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with tls_server.peer() as peer:
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                peer.socket.sendall(outgoing.read())
                incoming.write(peer.socket.recv(65536))
            else:
                break
        tls.write(frame(T.ECHO_REQ, b"early"))
        peer.socket.sendall(outgoing.read())
        incoming.write(peer.socket.recv(65536))

        assert tls.read(100).endswith(b"early")


@pytest.mark.parametrize("case", ["none", "rogue", "expired", "for servers"])
def test_peer_whose_certificate_is_not_believed_is_turned_back(tls_server, keys, case, caplog):
    caplog.set_level(logging.WARNING, "gearjobs.server")
    files = {
        "none": TlsFiles(str(keys.ca.certificate)),
        "rogue": keys.rogue.sign("worker-1").files(keys.ca),
        "expired": keys.ca.sign("expired", days=-1).files(keys.ca),
        "for servers": keys.server.files(keys.ca),
    }[case]

    with secured(tls_server, files) as peer:
        assert not answers(peer)

    assert not tls_server.server._connections
    eventually(lambda: "refuse identity" in caplog.text, 5.0, "the line in the log")


def test_revoked_certificate_is_turned_back(keys):
    lost = keys.ca.sign("lost", usage="clientAuth")
    config = config_of(keys, ssl_crl_file=str(keys.ca.revoke(lost)))

    with running_memory_server(config) as server, secured(server, lost.files(keys.ca)) as thief:
        assert not answers(thief)
        with secured(server, keys.worker.files(keys.ca)) as peer:
            assert answers(peer)


def test_client_leaves_a_server_that_is_not_who_it_called(keys):
    other = keys.ca.sign("other", alternative="DNS:other.example", usage="serverAuth")
    config = config_of(keys, ssl_certificate=str(other.certificate), ssl_key=str(other.key))

    with running_memory_server(config) as server, server.peer() as peer:
        context = make_client_context(keys.worker.files(keys.ca))
        with pytest.raises(ssl.SSLCertVerificationError, match="IP address mismatch"):
            context.wrap_socket(peer.socket, server_hostname="127.0.0.1")


def test_client_leaves_a_server_that_nobody_it_believes_has_signed(tls_server, keys):
    context = make_client_context(keys.worker.files(keys.rogue))

    with tls_server.peer() as peer, pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(peer.socket, server_hostname="127.0.0.1")


def test_plain_packet_to_a_tls_port_is_not_answered(tls_server):
    with tls_server.peer() as peer:
        peer.say(T.ECHO_REQ, b"hello")

        # A TLS alert may come; Gearman does not.
        came = b""
        while chunk := peer.socket.recv(4096):
            came += chunk

    assert b"\0RES" not in came
    assert len(came) < 10


def test_silent_peers_keep_nobody_waiting_and_are_closed_in_time(keys, monkeypatch):
    # gearmand shakes hands in the thread of all other connections: one silent peer stops them.
    monkeypatch.setattr(tls_entrance, "HANDSHAKE_LIMIT_S", 1.5)
    with running_memory_server(config_of(keys)) as server:
        silent = [server.peer() for _ in range(50)]
        started = time.monotonic()
        with secured(server, keys.worker.files(keys.ca)) as peer:
            assert answers(peer)
        assert time.monotonic() - started < 1.4

        for one in silent:
            one.expect_end(timeout_s=5.0)
            one.close()
        eventually(lambda: not server.server._admission._hosts, 5.0, "every place to be free")


def test_limit_of_a_handshake_is_ten_seconds():
    assert tls_entrance.HANDSHAKE_LIMIT_S == 10.0


def test_peer_that_leaves_in_its_handshake_leaves_its_place(tls_server, keys):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    outgoing = ssl.MemoryBIO()
    half = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()

    with tls_server.peer() as peer:
        peer.say_raw(outgoing.read()[:50])

    eventually(lambda: not tls_server.server._admission._hosts, 5.0, "the place to be free")


def test_place_of_a_served_peer_is_free_when_it_leaves(tls_server, keys):
    with secured(tls_server, keys.worker.files(keys.ca)) as peer:
        assert answers(peer)
        assert len(tls_server.server._admission._hosts) == 1

    eventually(lambda: not tls_server.server._admission._hosts, 5.0, "the place to be free")


def test_reload_takes_the_new_certificate_and_leaves_the_connections(keys, tmp_path):
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    install(keys.server, certificate, key)
    config = config_of(keys, ssl_certificate=str(certificate), ssl_key=str(key))
    files = keys.worker.files(keys.ca)

    with running_memory_server(config) as server, secured(server, files) as old:
        assert answers(old)
        renewed = keys.ca.sign("renewed", alternative="IP:127.0.0.1", usage="serverAuth")
        install(renewed, certificate, key)
        server.do(server.server.reload)
        eventually(lambda: shown_name(server, files) == "renewed", 5.0, "the new certificate")

        assert answers(old)


def test_reload_of_broken_files_keeps_the_certificate(keys, tmp_path, caplog):
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    install(keys.server, certificate, key)
    config = config_of(keys, ssl_certificate=str(certificate), ssl_key=str(key))

    with running_memory_server(config) as server:
        certificate.write_text("half of it")
        server.do(server.server.reload)
        eventually(lambda: "keep certificates, secrets and rules" in caplog.text, 5.0, "the line in the log")

        assert shown_name(server, keys.worker.files(keys.ca)) == "server"


def install(made: Certificate, certificate: Path, key: Path) -> None:
    certificate.write_bytes(made.certificate.read_bytes())
    key.write_bytes(made.key.read_bytes())


def shown_name(server: MemoryServer, files: TlsFiles) -> str:
    """Return the common name of the certificate that the server shows."""
    with secured(server, files) as peer:
        assert isinstance(peer.socket, ssl.SSLSocket)
        subject = (peer.socket.getpeercert() or {})["subject"]
        return dict(part[0] for part in subject)["commonName"]  # type: ignore[misc]  # a pair, in spite of its stub


def test_tls_1_1_is_not_spoken(tls_server):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1

    with tls_server.peer() as peer, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(peer.socket)


def test_without_a_ca_file_clients_need_no_certificate(keys):
    config = config_of(keys, wants_certificates=False)

    with running_memory_server(config) as server, secured(server, TlsFiles(str(keys.ca.certificate))) as peer:
        assert answers(peer)


def test_tls_that_cannot_be_had_is_no_start():
    config = ServerConfig(listen=("127.0.0.1",), port=0, ssl=True)

    with pytest.raises(UsageError, match="TLS needs the server's certificate"), running_memory_server(config):
        pass


def test_stop_ends_handshakes_under_way(keys):
    with running_memory_server(config_of(keys)) as server:
        peer = socket.create_connection((server.host, server.port))
        eventually(lambda: server.server._admission._hosts, 5.0, "the peer's place")
    with peer:
        peer.settimeout(5.0)

        assert peer.recv(100) == b""
