"""Who may still come in: a bound on all connections, one on those of a single host, one on those nobody knows yet.

The first keeps file descriptors for the store and the log; the second keeps one host from taking all the places. This
machine's own connections count as a part of all only: local workers and proxies are many. The third holds where peers
have to show who they are: until then, the TLS handshake included, a peer takes one of `UNPROVEN_LIMIT` places, and one
host half of these at most, so that strangers keep none of the others. This machine's own take these places, too: a
proxy's peers all come from here. Nothing is done here; `accepting` asks and turns away.
"""

from __future__ import annotations

import resource
from collections import Counter
from enum import StrEnum
from typing import Final

from gearjobs.server.entrance.admin_rights import is_local

#: File descriptors kept for all but connections: store, log, listening sockets, HTTP.
_RESERVED_FILES: Final = 64
#: Connections at once that have not shown who they are. Each has 20 s at most, handshake and proof, so that 13 come in
#: a second even where nobody ever shows anything; sshd lets in ten.
UNPROVEN_LIMIT: Final = 256


class TurnedAway(StrEnum):
    """Why a connection was not let in."""

    FULL = "full"
    HOST_FULL = "host_full"
    UNPROVEN_FULL = "unproven_full"
    #: The process has no file descriptor left, or the system did not give the connection out.
    CANNOT_ACCEPT = "cannot_accept"


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
        #: Connections that were not let in, since the start.
        self.turned_away: Counter[TurnedAway] = Counter()
        self._hosts: dict[object, str] = {}
        self._counts: Counter[str] = Counter()
        self._unproven: dict[object, str] = {}
        self._unproven_counts: Counter[str] = Counter()

    @property
    def unproven(self) -> int:
        """Connections that have yet to show who they are."""
        return len(self._unproven)

    def reason_to_refuse(self, host: str, *, must_prove: bool = False) -> TurnedAway | None:
        """Return why one more of the host's connections may not come in; None where there is a place for it.

        Args:
            host: where it comes from.
            must_prove: whether it has to show who it is.
        """
        if len(self._hosts) >= self.limit:
            return TurnedAway.FULL
        if not is_local(host) and self._counts[host] >= self.source_limit:
            return TurnedAway.HOST_FULL
        if must_prove and len(self._unproven) >= UNPROVEN_LIMIT:
            return TurnedAway.UNPROVEN_FULL
        if must_prove and not is_local(host) and self._unproven_counts[host] >= UNPROVEN_LIMIT // 2:
            return TurnedAway.HOST_FULL
        return None

    def enter(self, guest: object, host: str, *, must_prove: bool = False) -> None:
        """Take a place."""
        self._hosts[guest] = host
        self._counts[host] += 1
        if must_prove:
            self._unproven[guest] = host
            self._unproven_counts[host] += 1

    def prove(self, guest: object) -> None:
        """Give back the place of one that had yet to show who it is: it has; whoever had to show nothing may come."""
        host = self._unproven.pop(guest, None)
        if host is not None:
            _subtract(self._unproven_counts, host)

    def leave(self, guest: object) -> None:
        """Give the place back; whoever has none leaves nothing."""
        self.prove(guest)
        host = self._hosts.pop(guest, None)
        if host is not None:
            _subtract(self._counts, host)


def _subtract(counts: Counter[str], host: str) -> None:
    counts[host] -= 1
    if not counts[host]:
        del counts[host]
