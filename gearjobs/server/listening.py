"""Opens the sockets a job server listens on.

SO_REUSEADDR, so that a killed server comes back on its port at once; IPv6 sockets take IPv6 only, so that `::1` and
`127.0.0.1` may be given together; with port 0 every address gets the port the system chose for the first. Keepalive is
set on the listening socket and inherited by what it accepts, so that a worker whose host vanished is noticed within a
minute instead of gearmand's two hours.
"""

from __future__ import annotations

import logging
import socket

from gearjobs.errors import UsageError
from gearjobs.server.config import ServerConfig

logger = logging.getLogger("gearjobs.server")

#: Seconds of silence before a probe, between probes, and lost probes that end a connection: noticed in 30 + 3 * 10 s.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))


def open_sockets(config: ServerConfig) -> list[socket.socket]:
    """Return the bound sockets, one an address.

    An IPv6 address this machine has no IPv6 for is passed over while another address remains.

    Raises:
        UsageError: an address cannot be bound; the sentence says which and why.
    """
    sockets: list[socket.socket] = []
    port = config.port
    for host in config.listen:
        try:
            opened = [_open(family, address) for family, address in _resolve(host, port)]
        except OSError as error:
            if ":" in host and len(config.listen) > 1:
                logger.info("skip address=%s: %s", host, error)
                continue
            for sock in sockets:
                sock.close()
            raise UsageError(_explain(error, host, port)) from error
        sockets += opened
        port = opened[0].getsockname()[1]
    if not sockets:
        raise UsageError(f"none of the addresses {', '.join(config.listen)} can be listened on")
    return sockets


def _resolve(host: str, port: int) -> list[tuple[int, tuple[str | int | bytes, ...]]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in found]


def _open(family: int, address: tuple[str | int | bytes, ...]) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, seconds in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, seconds)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def _explain(error: OSError, host: str, port: int) -> str:
    return (
        f"cannot listen on {host} port {port}: {error.strerror or error}; another program may use the port "
        "(stop it, or choose another with --port; 0 takes a free one)"
    )
