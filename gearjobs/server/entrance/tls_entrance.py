"""Where a connection begins: with a TLS handshake, or in plain, as on a Unix socket always; before any Gearman byte.

`accepting` opens every connection in a task of its own, so a handshake keeps nobody waiting, and has
`HANDSHAKE_LIMIT_S` for it. The context is asked for at each handshake, so that certificates can be read again. A
peer that does not speak TLS, or whose certificate is not believed, is closed, and its protocol never hears that it was
there.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Final

from gearjobs.server.connection import Connection
from gearjobs.server.entrance.admin_rights import UNIX_HOST
from gearjobs.server.entrance.refusal_log import Failure, RefusalLog
from gearjobs.server.entrance.unix_peers import find_unix_peer
from gearjobs.server.peer_loop import PeerLoop
from gearjobs.tls import ServerTls

#: Seconds a peer has for its handshake, and for its part of the farewell.
HANDSHAKE_LIMIT_S: Final = 10.0
FAREWELL_LIMIT_S: Final = 2.0


class TlsEntrance:
    """Opens the connections of one port.

    Args:
        find_tls: returns what the next handshake needs; None where connections are plain.
        failures: is told of handshakes that fail.
    """

    def __init__(self, find_tls: Callable[[], ServerTls | None], failures: RefusalLog) -> None:
        self._find_tls = find_tls
        self._failures = failures

    async def open(self, peer: asyncio.Protocol, conn: socket.socket) -> None:
        """Connect the protocol, once the handshake is done.

        Raises:
            OSError: the peer is gone, or turned back.
        """
        loop = asyncio.get_running_loop()
        if conn.family == socket.AF_UNIX:
            await _open_unix(peer, conn)
            return
        tls = self._find_tls()
        if tls is None:
            await _open_plain(peer, conn)
            return
        if isinstance(peer, Connection):
            peer.tls_binding = tls.binding
        address = _address_of(conn)
        try:
            await loop.connect_accepted_socket(
                lambda: peer,
                conn,
                ssl=tls.context,
                ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
                ssl_shutdown_timeout=FAREWELL_LIMIT_S,
            )
        except OSError as error:
            self._failures.note(_kind(error), _reason(error), address=address)
            raise


async def _open_unix(peer: asyncio.Protocol, conn: socket.socket) -> None:
    """Connect a peer of this machine, whom the kernel knows; nobody can listen in between."""
    if isinstance(peer, Connection):
        found = await find_unix_peer(conn)
        peer.host, peer.address, peer.known_as = UNIX_HOST, found.address, found.known_as
    await _open_plain(peer, conn)


async def _open_plain(peer: asyncio.Protocol, conn: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    if isinstance(loop, PeerLoop):
        loop.open_peer(peer, conn)
    else:
        await loop.connect_accepted_socket(lambda: peer, conn)


def _address_of(conn: socket.socket) -> str:
    host, port, *_ = conn.getpeername()
    return f"{host}:{port}"


def _kind(error: OSError) -> Failure:
    is_about_certificate = isinstance(error, ssl.SSLError) and "CERTIFICATE" in (error.reason or "")
    return Failure.CERTIFICATE if is_about_certificate else Failure.HANDSHAKE


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not believed: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS handshake: {error.reason or error}"
    return f"no TLS handshake: {str(error) or type(error).__name__}"
