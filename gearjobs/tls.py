"""TLS for both ends of a Gearman connection: contexts made of files, verifying by default.

A client verifies the server's certificate and its host name, always; a server that was given a CA file takes only
clients with a certificate of one of its signers. That is where gearmand and libgearman, which verify nothing, encrypt
for whoever stands in the middle. What cannot be had as asked for is an error, never a weaker connection. Versions and
ciphers are Python's own choice, with TLS 1.2 as the least. Sockets are not touched here: see `deadline_socket` and
`server/entrance/tls_entrance`.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gearjobs.errors import UsageError

logger = logging.getLogger("gearjobs.tls")

_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of one end; none where empty."""

    #: The signers whose certificates of the other end are believed.
    ca_file: str = ""
    #: The certificate of this end, followed by those between it and its signer.
    certificate: str = ""
    #: The certificate's private key; without it, it is looked for in the certificate's file.
    key: str = ""
    #: Certificates that their signers took back; a list of every signer is needed then.
    crl_file: str = ""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a server's handshake needs; replaced as a whole when the files are read again."""

    context: ssl.SSLContext
    #: What proofs made over such a connection are bound to, see `fingerprint`.
    binding: bytes


def make_server_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a server; with a CA file, clients must have a certificate of its signers.

    Raises:
        UsageError: a file is missing, cannot be read or does not fit.
    """
    if not files.certificate:
        raise UsageError("TLS needs the server's certificate: give --ssl-certificate and --ssl-key")
    if files.crl_file and not files.ca_file:
        raise UsageError("a list of revoked certificates means nothing without --ssl-ca-file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Connections last; a ticket would be an unasked packet to a client that waits for none.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
    _load(context, files)
    if files.ca_file:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def make_client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return the context of a client or worker; without a CA file, the system's signers are believed.

    Raises:
        UsageError: a file is missing, cannot be read or does not fit.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, files)
    if not files.ca_file:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    return context


class ClientTls:
    """The context of a client or worker, made anew when one of its files changed on disk.

    So a certificate can be renewed without a restart: connections that are open go on, the next one shows the new
    certificate. Files that do not fit, as when the certificate is there and its key is not yet, leave all as it was
    until they change again. May be used by several threads.

    Args:
        files: what it is made of.

    Raises:
        UsageError: a file is missing, cannot be read or does not fit.
    """

    def __init__(self, files: TlsFiles) -> None:
        self._files = files
        # Looked at before they are read: what changes in between is read again.
        self._states = _states_of(files)
        self._context = make_client_context(files)

    def context(self) -> ssl.SSLContext:
        """Return the context for the next connection."""
        states = _states_of(self._files)
        if states != self._states:
            self._states = states
            try:
                self._context = make_client_context(self._files)
            except UsageError as error:
                logger.error("keep the certificates as they were: %s", error)
            else:
                logger.info("read the certificates again: they changed on disk")
        return self._context


def fingerprint(certificate: bytes) -> bytes:
    """Return what binds a proof to a TLS connection: the hash of the server's certificate in DER (cf. RFC 5929)."""
    return b"tls-server-end-point:" + hashlib.sha256(certificate).digest()


def first_certificate(path: str) -> bytes:
    """Return the first certificate of a PEM file, in DER.

    Raises:
        UsageError: there is none.
    """
    try:
        text = Path(path).read_text(encoding="ascii", errors="replace")
        start = text.index(_BEGIN)
        return ssl.PEM_cert_to_DER_cert(text[start : text.index(_END, start) + len(_END)])
    except (OSError, ValueError) as error:
        raise UsageError(f"expected a certificate in {path}, found none: {_reason(error)}") from error


def peer_names(certificate: Mapping[str, object] | None) -> frozenset[str]:
    """Return the names of a verified peer: its certificate's common names and alternative names, of any kind.

    Args:
        certificate: as `getpeercert()` returns it; None where the peer has none.
    """
    if not certificate:
        return frozenset()
    found: set[str] = set()
    for part in _pairs(certificate.get("subject")):
        found.update(value for kind, value in _pairs(part) if kind == "commonName")
    found.update(value for _, value in _pairs(certificate.get("subjectAltName")))
    return frozenset(found)


def _states_of(files: TlsFiles) -> tuple[tuple[int, int, int] | None, ...]:
    """Return what tells a file from what it was before; None for one that is not there."""
    return tuple(_state_of(path) for path in (files.ca_file, files.certificate, files.key, files.crl_file) if path)


def _state_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    if files.key and not files.certificate:
        raise UsageError(f"the key {files.key} is of no use without its certificate")
    for path in filter(None, (files.ca_file, files.certificate, files.key, files.crl_file)):
        _require_readable(path)
    if files.ca_file:
        _try(lambda: context.load_verify_locations(files.ca_file), f"certificates of signers in {files.ca_file}")
    if files.crl_file:
        _try(lambda: context.load_verify_locations(files.crl_file), f"revoked certificates in {files.crl_file}")
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if files.certificate:
        pair = f"a certificate and its key in {files.certificate} and {files.key or 'the same file'}"
        _try(lambda: context.load_cert_chain(files.certificate, files.key or None, password=_no_password), pair)


def _pairs(of: object) -> Iterable[tuple[str, str]]:
    return of if isinstance(of, tuple) else ()


def _no_password() -> str:
    # Without this, OpenSSL asks on the terminal, and a server that starts by itself hangs.
    raise UsageError("the key needs a password; keys of servers and workers must be kept without one")


def _require_readable(path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        raise UsageError(f"cannot read the TLS file {path}: {error.strerror}") from error


def _try(load: Callable[[], None], expected: str) -> None:
    try:
        load()
    except (OSError, ValueError) as error:
        raise UsageError(f"expected {expected}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
