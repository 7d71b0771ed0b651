"""Which keys a memcached has, and which of several memcacheds has a key.

memcached's clients get what they name; listing is a debugging aid, `lru_crawler metadump`, which every server has since
1.4.31. Where several share the keys, libmemcached's default tells them apart: Jenkins' one-at-a-time hash, modulo their
number.
"""

from __future__ import annotations

import socket
import time
from typing import Final
from urllib.parse import unquote_to_bytes

#: Seconds for which another listing that is under way is waited for.
_BUSY_LIMIT_S: Final = 5.0
_BUSY_PAUSE_S: Final = 0.1


def list_keys(host: str, port: int, *, timeout_s: float) -> list[bytes]:
    """Return every key of a memcached, in no order; one that comes or goes meanwhile may be among them or not.

    Args:
        host: the server's.
        port: the server's.
        timeout_s: seconds without a byte after which it counts as gone.

    Raises:
        OSError: it does not answer, or lets nobody list.
    """
    give_up_at = time.monotonic() + _BUSY_LIMIT_S
    while True:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            connection.sendall(b"lru_crawler metadump all\r\n")
            lines = connection.makefile("rb")
            keys, last = [], b""
            for line in lines:
                last = line.strip()
                if not last.startswith(b"key="):
                    break
                keys.append(unquote_to_bytes(last[len(b"key=") : last.find(b" ")]))
        if last == b"END":
            return keys
        if not last.startswith((b"BUSY", b"ERROR locked")) or time.monotonic() >= give_up_at:
            raise OSError(f"lru_crawler metadump must list the keys, got {last!r}")
        time.sleep(_BUSY_PAUSE_S)


def one_at_a_time(key: bytes) -> int:
    """Return Jenkins' hash of a key, 32 bits."""
    value = 0
    for byte in key:
        value = (value + byte) & 0xFFFFFFFF
        value = (value + (value << 10)) & 0xFFFFFFFF
        value ^= value >> 6
    value = (value + (value << 3)) & 0xFFFFFFFF
    value ^= value >> 11
    return (value + (value << 15)) & 0xFFFFFFFF
