"""Which ports the demo listens on: the usual ones, or free ones where those are taken."""

from __future__ import annotations

import socket
from typing import Final

#: The demo never listens for the network.
HOST: Final = "127.0.0.1"


def is_free(port: int) -> bool:
    """Return whether a server could listen on `port` now; 0 stands for any port and is always free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def listen(port: int) -> socket.socket:
    """Return a socket that listens on `port`, or on any free port when that one is taken."""
    return socket.create_server((HOST, port if is_free(port) else 0))
