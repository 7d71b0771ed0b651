"""How a client or a worker comes to a job server that guards its door: TLS, then the proof of a secret.

One place for both, below their floors. Both are done before the first request: what a caller gets back is a connection
to a server that is who it should be and that knows who this is, or an OSError. A server that knows no secrets, a stock
gearmand for one, is left again: whoever configured a secret does not want to talk to it. The exchange itself is
`protocol/auth`'s, certificates are `tls`'s, waiting is `deadline_socket`'s; `prove_steps` is what a caller with a loop
of its own drives, too.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final

from gearjobs.deadline_socket import DeadlineSocket
from gearjobs.errors import WireError
from gearjobs.protocol.auth import NONCE_BYTES, ClientExchange, Secret, parse_secret
from gearjobs.protocol.codec import Decoder, Packet, TextLine, encode_request
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
            raise not_taken(security.secret, error) from error
        except BaseException:
            connected.close()
            raise
    return connected


def _connect(address: ServerAddress, security: Security, *, timeout_s: float) -> DeadlineSocket:
    if address.path:
        return DeadlineSocket.connect_unix(address.path, timeout_s=timeout_s)
    context = None if security.tls is None else security.tls.context()
    return DeadlineSocket.connect(address.host, address.port, timeout_s=timeout_s, tls=context)


def prove_steps(secret: Secret, certificate: bytes) -> Generator[bytes, Packet | TextLine, None]:
    """Prove a secret on a new connection: yields the bytes to send, is sent what answers them; done when it returns.

    Args:
        secret: what to prove.
        certificate: the server's, in DER; empty without TLS.

    Raises:
        WireError: fatal; the server does not take the secret, or does not know it.
    """
    binding = fingerprint(certificate) if certificate else b""
    exchange = ClientExchange(secret, secrets.token_bytes(NONCE_BYTES), binding=binding)
    answer = yield encode_request(PacketType.OPTION_REQ, exchange.challenge())
    answer = yield encode_request(PacketType.OPTION_REQ, exchange.prove(_option_of(answer)))
    exchange.verify(_option_of(answer))


def not_taken(secret: Secret, error: WireError) -> ConnectionRefusedError:
    """Return what a proof that failed is to a caller: a server that does not let it in."""
    return ConnectionRefusedError(f"key {secret.key_id} is not taken: {error}")


def _prove(connected: DeadlineSocket, secret: Secret, *, deadline: float) -> None:
    decoder = Decoder(expects=RESPONSE_MAGIC)
    steps = prove_steps(secret, connected.peer_certificate())
    request = next(steps)
    while True:
        connected.send(request, deadline=deadline)
        answer = _receive(connected, decoder, deadline=deadline)
        try:
            request = steps.send(answer)
        except StopIteration:
            return


def _receive(connected: DeadlineSocket, decoder: Decoder, *, deadline: float) -> Packet | TextLine:
    while (packet := decoder.next_packet()) is None:
        chunk = connected.receive(deadline=deadline)
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        decoder.receive(chunk)
    return packet


def _option_of(packet: Packet | TextLine) -> bytes:
    if isinstance(packet, Packet) and packet.type == PacketType.OPTION_RES:
        return packet.arguments[0]
    if isinstance(packet, Packet) and packet.type == PacketType.ERROR:
        code, text = (argument.decode("utf-8", "backslashreplace") for argument in packet.arguments)
        raise WireError(code, text, is_fatal=True)
    raise WireError("UNEXPECTED_PACKET", "expected OPTION_RES, got something else", is_fatal=True)
