"""Opens the sockets a job server listens on.

SO_REUSEADDR, so that a killed server comes back on its port at once; IPv6 sockets take IPv6 only, so that `::1` and
`127.0.0.1` may be given together; with port 0 every address gets the port the system chose for the first. Keepalive is
set on the listening socket and inherited by what it accepts, so that a worker whose host vanished is noticed within a
minute instead of gearmand's two hours. An address `unix:/path` is a Unix socket (`unix_listener`).
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Iterator

from gearjobs.errors import UsageError
from gearjobs.server.config import ServerConfig
from gearjobs.server.entrance.unix_listener import UnixListener
from gearjobs.servers import UNIX_PREFIX

logger = logging.getLogger("gearjobs.server")

#: What binding to an IPv6 address meets where there is no IPv6.
_NO_IPV6 = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT}

_SocketAddress = tuple[str | int | bytes, ...]


def open_sockets(config: ServerConfig) -> list[socket.socket]:
    """Return the listening sockets, one an address.

    An IPv6 address this machine has no IPv6 for is passed over while another address remains.

    Raises:
        UsageError: an address cannot be listened on; the sentence says which and why.
    """
    sockets: list[socket.socket] = []
    try:
        for host in config.listen:
            if host.startswith(UNIX_PREFIX):
                path, mode = host.removeprefix(UNIX_PREFIX), int(config.socket_mode, 8)
                sockets.append(UnixListener(path, mode=mode, backlog=config.backlog))
            else:
                _open_host(host, sockets, config)
    except UsageError:
        for sock in sockets:
            sock.close()
        raise
    if not sockets:
        raise UsageError(f"none of the addresses {', '.join(config.listen)} can be listened on")
    return sockets


def address_of(sock: socket.socket) -> tuple[str, int]:
    """Return where a socket listens: host and port, or `unix:/path` and 0."""
    if sock.family == socket.AF_UNIX:
        return f"{UNIX_PREFIX}{sock.getsockname()}", 0
    host, port = sock.getsockname()[:2]
    return host, port


def _open_host(host: str, sockets: list[socket.socket], config: ServerConfig) -> None:
    """Add a socket for each address that the host's name stands for."""
    port = _chosen_port(sockets, config)
    try:
        for family, (name, _, *others) in _resolve(host, port):
            port = _chosen_port(sockets, config)
            try:
                sockets.append(_open(family, (name, port, *others), config))
            except OSError as error:
                if family != socket.AF_INET6 or error.errno not in _NO_IPV6:
                    raise
                logger.info("skip address=%s: %s", name, error)
    except OSError as error:
        raise UsageError(_explain(error, host, port)) from error


def _chosen_port(sockets: list[socket.socket], config: ServerConfig) -> int:
    """Return the port of the first address that has one."""
    return next((port for _, port in map(address_of, sockets) if port), config.port)


def _resolve(host: str, port: int) -> list[tuple[int, _SocketAddress]]:
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return [(family, address) for family, _, _, _, address in found]


def _open(family: int, address: _SocketAddress, config: ServerConfig) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        # Inherited, too. The loop sets it only on sockets that were made with a protocol number; without it every
        # second answer of an exchange waits 40 ms for the peer's delayed acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, number in _keepalive(config):
            sock.setsockopt(socket.IPPROTO_TCP, option, number)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
        # Here and not by the loop: of two servers that start at once, one is refused only now.
        sock.listen(config.backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _keepalive(config: ServerConfig) -> Iterator[tuple[int, int]]:
    """Yield the options whose number is not left to the system."""
    numbers = (
        (socket.TCP_KEEPIDLE, config.keepalive_idle_s),
        (socket.TCP_KEEPINTVL, config.keepalive_interval_s),
        (socket.TCP_KEEPCNT, config.keepalive_count),
    )
    return ((option, number) for option, number in numbers if number > 0)


def _explain(error: OSError, host: str, port: int) -> str:
    sentence = f"cannot listen on {host} port {port}: {error.strerror or error}"
    if error.errno != errno.EADDRINUSE:
        return sentence
    return f"{sentence}; another program uses the port (stop it, or choose another with --port; 0 takes a free one)"
