"""How a client or a worker comes to a job server that guards its door: TLS, then the proof of a secret.

One place for both, below their floors. Both are done before the first request: what a caller gets back is a connection
to a server that is who it should be and that knows who this is, or an OSError. A server that knows no secrets, a stock
gearmand for one, is left again: whoever configured a secret does not want to talk to it. The exchange itself is
`protocol/auth`'s, certificates are `tls`'s, waiting is `deadline_socket`'s.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from gearjobs.deadline_socket import DeadlineSocket
from gearjobs.errors import WireError
from gearjobs.protocol.auth import NONCE_BYTES, ClientExchange, Secret, parse_secret
from gearjobs.protocol.codec import Decoder, Packet, encode_request
from gearjobs.protocol.packets import RESPONSE_MAGIC, PacketType
from gearjobs.servers import ServerAddress
from gearjobs.tls import ClientTls, TlsFiles, fingerprint


@dataclass(frozen=True, slots=True)
class Security:
    """How a client or worker shows who it is, and whom it believes."""

    #: None for plain connections.
    tls: ClientTls | None = None
    #: None where nothing is proven.
    secret: Secret | None = field(default=None)


#: A server on a network that is trusted.
NO_SECURITY: Final = Security()


def make_security(*, tls: TlsFiles | None = None, secret: str = "") -> Security:
    """Return the security of these files, which are read again when they change, and of a secret, `<key id>:<secret>`.

    Raises:
        UsageError: a file or the secret cannot be used.
    """
    return Security(None if tls is None else ClientTls(tls), parse_secret(secret) if secret else None)


def open_guarded(address: ServerAddress, security: Security, *, timeout_s: float) -> DeadlineSocket:
    """Open a connection, shake hands, and prove the secret; on a Unix socket, whose ends the kernel knows, without TLS.

    Raises:
        OSError: no server answered, or it is not who it should be, or it does not take the secret; TimeoutError when it
            did not answer in time.
    """
    deadline = time.monotonic() + timeout_s
    connected = _connect(address, security, timeout_s=timeout_s)
    if security.secret is not None:
        try:
            _prove(connected, security.secret, deadline=deadline)
        except WireError as error:
            connected.close()
            raise ConnectionRefusedError(f"key {security.secret.key_id} is not taken: {error}") from error
        except BaseException:
            connected.close()
            raise
    return connected


def _connect(address: ServerAddress, security: Security, *, timeout_s: float) -> DeadlineSocket:
    if address.path:
        return DeadlineSocket.connect_unix(address.path, timeout_s=timeout_s)
    context = None if security.tls is None else security.tls.context()
    return DeadlineSocket.connect(address.host, address.port, timeout_s=timeout_s, tls=context)


def _prove(connected: DeadlineSocket, secret: Secret, *, deadline: float) -> None:
    certificate = connected.peer_certificate()
    binding = fingerprint(certificate) if certificate else b""
    exchange = ClientExchange(secret, secrets.token_bytes(NONCE_BYTES), binding=binding)
    decoder = Decoder(expects=RESPONSE_MAGIC)
    proof = exchange.prove(_ask(connected, decoder, exchange.challenge(), deadline=deadline))
    exchange.verify(_ask(connected, decoder, proof, deadline=deadline))


def _ask(connected: DeadlineSocket, decoder: Decoder, option: bytes, *, deadline: float) -> bytes:
    """Send an OPTION_REQ and return its answer's argument."""
    connected.send(encode_request(PacketType.OPTION_REQ, option), deadline=deadline)
    while (packet := decoder.next_packet()) is None:
        chunk = connected.receive(deadline=deadline)
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        decoder.receive(chunk)
    if isinstance(packet, Packet) and packet.type == PacketType.OPTION_RES:
        return packet.arguments[0]
    if isinstance(packet, Packet) and packet.type == PacketType.ERROR:
        code, text = (argument.decode("utf-8", "backslashreplace") for argument in packet.arguments)
        raise WireError(code, text, is_fatal=True)
    raise WireError("UNEXPECTED_PACKET", "expected OPTION_RES, got something else", is_fatal=True)
