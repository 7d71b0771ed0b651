"""Who may still come in: a bound on all connections, and one on those of a single host.

The first keeps file descriptors for the store and the log; the second keeps one host from taking all the places. This
machine's own connections count as a part of all only: local workers and proxies are many. Nothing is done here;
`accepting` asks and turns away.
"""

from __future__ import annotations

import resource
from collections import Counter
from typing import Final

from gearjobs.server.entrance.admin_rights import is_local

#: File descriptors kept for all but connections: store, log, listening sockets, HTTP.
_RESERVED_FILES: Final = 64


def connection_limit(wanted: int) -> int:
    """Return how many connections may be open at once.

    Args:
        wanted: the operator's bound; 0 for none but the one of the process's files.
    """
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted or 1_000_000
    # Half where there are few.
    possible = max(1, files - min(_RESERVED_FILES, files // 2))
    return min(wanted or possible, possible)


class Admission:
    """The places that are taken.

    Args:
        limit: connections at once.
        source_limit: connections at once from one host that is not this machine; 0 for half of all.
    """

    def __init__(self, limit: int, *, source_limit: int = 0) -> None:
        self.limit = limit
        self.source_limit = source_limit or max(1, limit // 2)
        self._hosts: dict[object, str] = {}
        self._counts: Counter[str] = Counter()

    @property
    def is_full(self) -> bool:
        """True while nobody may come in."""
        return len(self._hosts) >= self.limit

    def may_enter(self, host: str) -> bool:
        """Whether there is a place for one more of the host's connections."""
        return not self.is_full and (is_local(host) or self._counts[host] < self.source_limit)

    def enter(self, guest: object, host: str) -> None:
        """Take a place."""
        self._hosts[guest] = host
        self._counts[host] += 1

    def leave(self, guest: object) -> None:
        """Give the place back; whoever has none leaves nothing."""
        host = self._hosts.pop(guest, None)
        if host is None:
            return
        self._counts[host] -= 1
        if not self._counts[host]:
            del self._counts[host]
