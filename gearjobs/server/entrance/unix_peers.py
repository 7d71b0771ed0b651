"""Who is at the other end of a Unix socket: the kernel says which user's process connected.

That is as good as a certificate: nobody can pass as another user. Access rules know the peer as `unix:<user's name>`
and `uid:<number>`, and as `local`. Where the system cannot say (SO_PEERCRED is Linux'), it is `local` and no more.
"""

from __future__ import annotations

import asyncio
import pwd
import socket
import struct
from dataclasses import dataclass
from functools import lru_cache

from gearjobs.server.entrance.admin_rights import UNIX_HOST

_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class UnixPeer:
    """One."""

    #: Names that access rules know it by.
    known_as: frozenset[str]
    #: How the log shows it.
    address: str


async def find_unix_peer(conn: socket.socket) -> UnixPeer:
    """Return who connected."""
    if not hasattr(socket, "SO_PEERCRED"):
        return UnixPeer(frozenset(), UNIX_HOST)
    process, user, _ = _CREDENTIALS.unpack(conn.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    # In a thread: a directory of users may be elsewhere on the network.
    name = await asyncio.get_running_loop().run_in_executor(None, _name_of, user)
    names = {f"uid:{user}", *([f"unix:{name}"] if name else [])}
    return UnixPeer(frozenset(names), f"{UNIX_HOST}:{name or user}:{process}")


@lru_cache(maxsize=1024)
def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return ""
