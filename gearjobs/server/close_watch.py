"""Kernel options of a connection whose peer's host may vanish without a word: noticed within some ten seconds.

For our own workers, whose runs end by themselves when they hear nothing of the server: a run that nobody else may begin
before its worker surely stopped should not wait for longer than that. Others are probed as the operator chose.
"""

from __future__ import annotations

import socket
from typing import Final, Protocol

#: Seconds of silence before the peer is probed, seconds between two probes, and lost probes that end the connection.
IDLE_S: Final = 4
INTERVAL_S: Final = 2
PROBES: Final = 3
#: Milliseconds for which what was sent may stay unacknowledged.
UNACKNOWLEDGED_MS: Final = 10_000

_OPTIONS: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL_S),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS),
)


class OptionSocket(Protocol):
    """As much of a socket as is needed here; a transport gives no more."""

    @property
    def family(self) -> int:
        """AF_INET, AF_UNIX, ..."""

    def setsockopt(self, level: int, option: int, number: int, /) -> None:
        """Set an option."""


def set_close_watch(sock: OptionSocket) -> None:
    """Set the options; a Unix socket's peer cannot vanish silently."""
    if sock.family != socket.AF_UNIX:
        for level, option, number in _OPTIONS:
            sock.setsockopt(level, option, number)
