"""Which job server to ask next: addresses, fail-over order and the pauses of servers that failed.

Clients and workers both walk a list of servers, and the two floors may not import each other, so what they share lives
here, below both. Pure: no socket, no clock, no chance; `now` is monotonic seconds and `chance` a number in [0, 1), both
handed in. A server that failed is left alone for a while, longer each time. How long depends on what its failure costs:
one that refuses says so at once, so a caller with no other server may ask it again at any time; one that stays silent
takes a whole time-out from every caller, so nobody asks it before its pause is over. Where a key is handed in, it has
an order of its own, by rendezvous hashing: while its first server lives it goes there, whoever asks; the keys of a lost
server spread over the others, and no other key moves. Not thread-safe: the owner locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from gearjobs.errors import UsageError

#: The port IANA registered for Gearman.
DEFAULT_PORT = 4730

#: First and longest pause in seconds after a refused or broken connection: a restarted server is back within seconds.
REFUSED_PAUSES_S = (0.1, 5.0)
#: First and longest pause in seconds of a server that did not answer: of every half minute, one connect time-out of 2 s
#: is lost to it at most.
SILENT_PAUSES_S = (1.0, 30.0)
#: What the text of a Unix socket's address begins with.
UNIX_PREFIX = "unix:"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a job server listens."""

    #: A host name or an IP address, without brackets; "" for a Unix socket.
    host: str
    #: 0 for a Unix socket.
    port: int = DEFAULT_PORT
    #: The file of a Unix socket on this machine; "" for TCP.
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{UNIX_PREFIX}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_server(text: str) -> ServerAddress:
    """Read `host`, `host:port`, `[::1]`, `[::1]:port` or `unix:/path`.

    Raises:
        UsageError: the text is none of these; the sentence says what to write instead.
    """
    if text.strip().startswith(UNIX_PREFIX):
        path = text.strip().removeprefix(UNIX_PREFIX)
        if not path.startswith("/"):
            raise UsageError(f"the Unix socket of a job server must be written {UNIX_PREFIX}/path, got {text!r}")
        return ServerAddress("", 0, path)
    host, port_text = _split_port(text.strip())
    if not host or any(character.isspace() for character in host):
        raise UsageError(f"a job server must be written host[:port], got {text!r}")
    if not port_text:
        return ServerAddress(host)
    is_decimal = port_text.isascii() and port_text.isdigit() and len(port_text) <= 5
    if not is_decimal or not 1 <= int(port_text) <= 65535:
        raise UsageError(f"the port of job server {text!r} must be a number from 1 to 65535, got {port_text!r}")
    return ServerAddress(host, int(port_text))


def _split_port(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UsageError(f"an IPv6 job server must be written [address]:port, got {text!r}")
        return host, rest[1:]
    if text.count(":") > 1:
        raise UsageError(f"an IPv6 address needs brackets: write [{text}]:{DEFAULT_PORT}, got {text!r}")
    host, _, port_text = text.partition(":")
    return host, port_text


def pause_s(failures: int, *, is_silent: bool, chance: float) -> float:
    """Return how long to leave a server alone after its nth failure in a row: doubling, spread to disperse herds."""
    first_s, longest_s = SILENT_PAUSES_S if is_silent else REFUSED_PAUSES_S
    # 16 doublings are past every longest pause; the bound keeps the power small however long a server stays down.
    full_s = min(longest_s, first_s * 2.0 ** min(failures - 1, 16))
    return full_s * (0.5 + chance / 2)


def ranked(addresses: Sequence[ServerAddress], key: bytes) -> tuple[ServerAddress, ...]:
    """Return the servers in the order in which this key prefers them (rendezvous hashing; Thaler, Ravishankar)."""
    return tuple(sorted(addresses, key=lambda address: _weight(address, key), reverse=True))


def _weight(address: ServerAddress, key: bytes) -> bytes:
    # By the address's text: every process that was given the same list comes to the same order.
    return blake2b(b"%b\0%b" % (str(address).encode(), key), digest_size=8).digest()


@dataclass(slots=True)
class _Setback:
    failures: int = 0
    retry_at: float = 0.0
    is_silent: bool = False


class ServerList:
    """The servers in order of preference, and which of them are paused.

    Args:
        servers: addresses or their text; the first that answers is used. Repeated ones count once.

    Raises:
        UsageError: the list is empty or an address cannot be read.
    """

    def __init__(self, servers: Sequence[str | ServerAddress]) -> None:
        if isinstance(servers, str):
            raise UsageError(f'the job servers must be a list, such as ["{servers}"], got {servers!r}')
        parsed = [parse_server(server) if isinstance(server, str) else server for server in servers]
        if not parsed:
            raise UsageError(f'the list of job servers is empty; name at least one, such as "127.0.0.1:{DEFAULT_PORT}"')
        self.addresses: tuple[ServerAddress, ...] = tuple(dict.fromkeys(parsed))
        self._setbacks: dict[ServerAddress, _Setback] = {}

    def to_try(self, now: float, key: bytes = b"") -> Sequence[ServerAddress]:
        """The servers worth asking now, best first: those in good standing, then those that merely refuse.

        Args:
            now: the time.
            key: what has servers of its own to prefer; empty for the order of the list.
        """
        addresses = self.addresses if not key or len(self.addresses) == 1 else ranked(self.addresses, key)
        if not self._setbacks:
            return addresses
        ready = [address for address in addresses if self.is_ready(address, now)]
        refusing = [address for address in addresses if address not in ready and not self._is_silent(address)]
        return ready + refusing

    def is_ready(self, address: ServerAddress, now: float) -> bool:
        """Whether the server is not paused."""
        return self.retry_at(address) <= now

    def retry_at(self, address: ServerAddress) -> float:
        """When the server's pause is over, in monotonic seconds; minus infinity for one in good standing."""
        setback = self._setbacks.get(address)
        return setback.retry_at if setback else float("-inf")

    def failed(self, address: ServerAddress, *, now: float, is_silent: bool, chance: float) -> float:
        """Pause a server that could not be reached, broke off or did not answer; return the pause in seconds."""
        setback = self._setbacks.setdefault(address, _Setback())
        setback.failures += 1
        setback.is_silent = is_silent
        length_s = pause_s(setback.failures, is_silent=is_silent, chance=chance)
        setback.retry_at = now + length_s
        return length_s

    def succeeded(self, address: ServerAddress) -> None:
        """The server answered: its failures are forgotten."""
        self._setbacks.pop(address, None)

    def _is_silent(self, address: ServerAddress) -> bool:
        return self._setbacks[address].is_silent
