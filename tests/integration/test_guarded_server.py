"""`manage.py runjobserver` with TLS, secrets and rules: the command line, the start and SIGHUP."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gearjobs.client.client import Client
from gearjobs.errors import ServerError
from gearjobs.guarded_socket import Security, make_security, open_guarded
from gearjobs.servers import ServerAddress
from gearjobs.tls import first_certificate
from tests.support.certificates import Authority
from tests.support.eventually import eventually

WEB = f"web:{'w' * 32}"


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("keys") / "ca")


def write_rules(directory: Path, rules: str) -> list[str]:
    """Write secrets and rules; return the options that name them."""
    (directory / "secrets").write_text(WEB)
    (directory / "secrets").chmod(0o600)
    (directory / "rules").write_text(rules)
    return [f"--secret-file={directory / 'secrets'}", f"--access-file={directory / 'rules'}"]


def test_command_line_asks_for_certificates_secrets_and_rules(ca, new_job_server, tmp_path):
    shown = ca.sign("server", alternative="IP:127.0.0.1")
    tls = [f"--ssl-ca-file={ca.certificate}", f"--ssl-certificate={shown.certificate}", f"--ssl-key={shown.key}"]
    server = new_job_server("--ssl", *tls, *write_rules(tmp_path, "key:web submit resize"))
    server.start()

    security = make_security(tls=ca.sign("me").files(ca), secret=WEB)
    with Client([server.address], security=security) as client:
        handle = client.submit_background("resize", b"photo")
        with pytest.raises(ServerError, match="ACCESS_DENIED: cert:me,key:web,local may not submit pay"):
            client.submit_background("pay", b"")

    assert server.job(handle.encode())["function"] == "resize"
    assert server.terminate() == 0


def test_hang_up_reads_certificates_and_rules_again(ca, new_job_server, tmp_path):
    certificate, key = tmp_path / "server.pem", tmp_path / "server.key"
    install(ca, "first", certificate, key)
    tls = ["--ssl", f"--ssl-certificate={certificate}", f"--ssl-key={key}"]
    server = new_job_server(*tls, *write_rules(tmp_path, "key:web submit pay"))
    server.start()
    security = make_security(tls=ca.sign("me").files(ca), secret=WEB)

    install(ca, "second", certificate, key)
    write_rules(tmp_path, "key:web submit resize")
    os.kill(server.pid, signal.SIGHUP)

    renewed = first_certificate(str(certificate))
    eventually(lambda: shown_by(server.address, security) == renewed, 10.0, "the new certificate")
    with Client([server.address], security=security) as client:
        assert client.submit_background("resize", b"photo")


def shown_by(address: ServerAddress, security: Security) -> bytes:
    """Return the certificate that the server shows now."""
    connected = open_guarded(address, security, timeout_s=10.0)
    try:
        return connected.peer_certificate()
    finally:
        connected.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ssl"], "TLS needs the server's certificate: give --ssl-certificate and --ssl-key"),
        (["--ssl", "--ssl-certificate=/nowhere/a.pem"], "cannot read the TLS file /nowhere/a.pem"),
        (["--secret-file=/nowhere/secrets"], "cannot read the secrets in /nowhere/secrets"),
        (["--access-file=/nowhere/rules"], "cannot read the access rules in /nowhere/rules"),
    ],
)
def test_what_cannot_be_had_is_no_start(new_job_server, options, words):
    # Debian's gearmand takes --ssl and listens without it.
    ended = new_job_server().run("--port", "0", *options)

    assert ended.returncode == 1
    assert words in ended.stderr


def install(ca: Authority, name: str, certificate: Path, key: Path) -> None:
    made = ca.sign(name, alternative="IP:127.0.0.1")
    certificate.write_bytes(made.certificate.read_bytes())
    key.write_bytes(made.key.read_bytes())
