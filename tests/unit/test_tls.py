"""Contexts made of files: what they verify, and that what cannot be had is an error in a sentence."""

from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest

from gearjobs.errors import UsageError
from gearjobs.tls import (
    ClientTls,
    TlsFiles,
    fingerprint,
    first_certificate,
    make_client_context,
    make_server_context,
    peer_names,
)
from tests.support.certificates import Authority, Certificate


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.make(tmp_path_factory.mktemp("tls") / "ca")


@pytest.fixture(scope="module")
def server(ca: Authority) -> Certificate:
    return ca.sign("server", alternative="DNS:jobs.example,IP:127.0.0.1")


def test_client_verifies_certificate_and_host_name_by_default():
    context = make_client_context(TlsFiles())

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_client_with_a_ca_file_believes_no_other(ca):
    context = make_client_context(TlsFiles(str(ca.certificate)))

    assert context.get_ca_certs(binary_form=True) == [first_certificate(str(ca.certificate))]


def test_server_with_a_ca_file_wants_certificates(ca, server):
    assert make_server_context(server.files(ca)).verify_mode == ssl.CERT_REQUIRED
    assert make_server_context(server.files()).verify_mode == ssl.CERT_NONE


def test_key_may_stand_in_the_certificate_s_file(server, tmp_path):
    both = tmp_path / "both.pem"
    both.write_bytes(server.key.read_bytes() + server.certificate.read_bytes())

    make_server_context(TlsFiles(certificate=str(both)))

    assert first_certificate(str(both)) == first_certificate(str(server.certificate))


@pytest.mark.parametrize(
    ("make", "files", "words"),
    [
        (make_server_context, {}, "needs the server's certificate"),
        (make_server_context, {"certificate": "{server}", "key": "{rogue}"}, "expected a certificate and its key in"),
        (make_server_context, {"certificate": "{server}"}, "and the same file"),
        (make_server_context, {"certificate": "{nothing}"}, "cannot read the TLS file .*: No such file"),
        (make_server_context, {"certificate": "{junk}"}, "expected a certificate and its key"),
        (make_server_context, {"certificate": "{server}", "crl_file": "{junk}"}, "nothing without --ssl-ca-file"),
        (make_server_context, {"certificate": "{server}", "key": "{locked}"}, "the key needs a password"),
        (make_client_context, {"ca_file": "{junk}"}, "expected certificates of signers in"),
        (make_client_context, {"ca_file": "{server}", "crl_file": "{junk}"}, "expected revoked certificates in"),
        (make_client_context, {"key": "{junk}"}, "no use without its certificate"),
    ],
)
def test_files_that_do_not_fit_are_told_in_a_sentence(ca, server, tmp_path, make, files, words):
    places = {"server": server.certificate, "rogue": ca.sign("rogue").key, "nothing": tmp_path / "nothing"}
    places["junk"] = tmp_path / "junk"
    places["junk"].write_text("no certificate")
    places["locked"] = locked(ca, server)

    with pytest.raises(UsageError, match=words):
        make(TlsFiles(**{name: path.format(**places) for name, path in files.items()}))


def locked(ca: Authority, server: Certificate) -> Path:
    """Return the server's key with a password."""
    path = ca.directory / "locked.key"
    ca._openssl("ec", "-in", str(server.key), "-aes256", "-passout", "pass:secret", "-out", str(path))
    return path


@pytest.mark.parametrize("content", [None, "", "-----BEGIN CERTIFICATE-----\nhalf of it"])
def test_file_without_a_certificate_has_no_fingerprint(tmp_path, content):
    path = tmp_path / "file.pem"
    if content is not None:
        path.write_text(content)

    with pytest.raises(UsageError, match="expected a certificate in"):
        first_certificate(str(path))


def test_fingerprint_is_the_hash_of_the_certificate():
    assert fingerprint(b"der") == b"tls-server-end-point:" + hashlib.sha256(b"der").digest()


def test_names_of_a_peer_are_common_and_alternative_ones():
    certificate = {
        "subject": ((("organizationName", "acme"),), (("commonName", "worker-1"),)),
        "subjectAltName": (("DNS", "w.example"), ("URI", "spiffe://site/worker")),
    }

    assert peer_names(certificate) == {"worker-1", "w.example", "spiffe://site/worker"}


@pytest.mark.parametrize("certificate", [None, {}, {"subject": ()}])
def test_peer_without_a_certificate_has_no_names(certificate):
    assert peer_names(certificate) == frozenset()


@pytest.fixture
def renewable(ca: Authority, server: Certificate, tmp_path: Path) -> Certificate:
    """Return a certificate in files of its own, to be replaced."""
    own = Certificate(tmp_path / "own.pem", tmp_path / "own.key")
    replace(own, server)
    return own


def replace(own: Certificate, by: Certificate) -> None:
    """Put another certificate and its key in their place, as those who renew certificates do."""
    for kept, new in ((own.certificate, by.certificate), (own.key, by.key)):
        fresh = kept.with_suffix(".new")
        fresh.write_bytes(new.read_bytes())
        fresh.rename(kept)


def test_context_stays_while_its_files_do(ca, renewable):
    tls = ClientTls(renewable.files(ca))

    assert tls.context() is tls.context()


def test_context_is_made_anew_when_a_file_changed(ca, renewable, caplog):
    caplog.set_level("INFO", "gearjobs.tls")
    tls = ClientTls(renewable.files(ca))
    before = tls.context()
    replace(renewable, ca.sign("renewed"))

    assert tls.context() is not before
    assert tls.context() is tls.context()
    assert caplog.messages == ["read the certificates again: they changed on disk"]


def test_files_that_do_not_fit_leave_the_context_as_it_was_until_they_do(ca, renewable, caplog):
    tls = ClientTls(renewable.files(ca))
    before = tls.context()
    renewed = ca.sign("renewed")
    renewable.certificate.write_bytes(renewed.certificate.read_bytes())

    # The key is still the old one's.
    assert tls.context() is tls.context() is before
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("keep the certificates as they were: expected a certificate and its key in")

    replace(renewable, renewed)
    assert tls.context() is not before


def test_file_that_is_gone_leaves_the_context_as_it_was(ca, renewable):
    tls = ClientTls(renewable.files(ca))
    before = tls.context()
    renewable.key.unlink()

    assert tls.context() is before


def test_files_that_do_not_fit_at_first_are_an_error(ca):
    with pytest.raises(UsageError, match="no use without its certificate"):
        ClientTls(TlsFiles(key=str(ca.certificate)))
