"""`--queue-type libmemcached`: the queue of gearmand's libmemcached module, in memcached servers.

A record is the item `PREFIXFUNCTION-UNIQUE`, its value the data, its flags the priority; what we add is an item of its
own beside the prefix, named by a digest of the record's key. Which of several servers has an item is told by
libmemcached's hash, so that gearmand finds what we wrote. memcached forgets: when it is full, when it ends, at an
operator's word. So nothing is promised of an acknowledged job, and the store is refused unless nothing is asked for.
Nor is there a lock: a second server loads the jobs of the first, as with gearmand, whose own tests want that. Source:
libgearman-server/plugins/queue/libmemcached/queue.cc.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeVar

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheError, MemcacheIllegalInputError

from gearjobs.errors import StoreError, UsageError
from gearjobs.stores.dashed_keys import beside, join_name, open_extras, seal_extras, split_name
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.memcached_keys import list_keys, one_at_a_time
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName

logger = logging.getLogger("gearjobs.stores")

Answer = TypeVar("Answer")

#: Seconds one server may take to answer: a submitter is answered within two.
TIMEOUT_S: Final = 1.5
#: The port where --libmemcached-servers names none; IANA's.
DEFAULT_PORT: Final = 11211
#: Items asked for at once while the queue is read.
_AT_ONCE: Final = 200
#: What memcached takes for a key, with the prefix.
_KEY_LIMIT_BYTES: Final = 250
_KEY: Final = re.compile(rb"[!-~\x80-\xff]+")
#: What an item takes beside key and value, and some more: `item_size_max` counts it.
_ITEM_OVERHEAD_BYTES: Final = 128
#: gearmand's number for a job whose priority is none of its three.
_NORMAL: Final = 1
#: What libmemcached reads: host, port, and a weight, which its default way to choose a server does not heed.
_SERVER: Final = re.compile(r"\s*(?:\[(?P<v6>[^]]+)\]|(?P<host>[^:\s,\[]+))(?::(?P<port>\d{1,5}))?(?::\d+)?(?:\s.*)?")


def make_table(options: QueueOptions, durability: DurabilityLevel) -> MemcachedTable:
    """Return the table that the options name, unopened.

    Raises:
        UsageError: no servers are named, or more is asked for than memcached can promise.
    """
    if durability is not DurabilityLevel.MEMORY:
        raise UsageError(
            "memcached promises nothing of what it holds: it drops the oldest when it is full, and everything when it"
            " ends. Keep jobs in the project's database (without --queue-type), or say --durability memory"
        )
    if not options.libmemcached_prefix:
        raise UsageError("--libmemcached-prefix must not be empty: every item would be taken for a job")
    return MemcachedTable(_servers(options.libmemcached_servers), options.libmemcached_prefix.encode())


def _servers(text: str) -> list[tuple[str, int]]:
    found = []
    for one in filter(str.strip, text.split(",")):
        said = _SERVER.fullmatch(one)
        port = int(said["port"] or DEFAULT_PORT) if said else 0
        if said is None or not 0 < port < 2**16:
            raise UsageError(f"--libmemcached-servers must be host:port, with commas between them, got {one!r}")
        found.append((said["v6"] or said["host"], port))
    if not found:
        raise UsageError("--queue-type libmemcached needs --libmemcached-servers host:port, with commas between them")
    return found


class _Flagged:
    """Values with their flags, for the client: gearmand keeps the priority there."""

    def serialize(self, key: bytes, value: tuple[bytes, int]) -> tuple[bytes, int]:
        return value

    def deserialize(self, key: bytes, value: bytes, flags: int) -> tuple[bytes, int]:
        return value, flags


@dataclass(slots=True)
class _Server:
    """One memcached."""

    host: str
    port: int
    #: Typed as the package leaves it.
    client: Any
    #: The longest item it takes, known once it was asked.
    item_limit_bytes: int = 2**20


class MemcachedTable:
    """RecordTable in memcached servers.

    Args:
        servers: hosts and ports, in the order that gearmand has them.
        prefix: what every key of the queue begins with.
    """

    def __init__(self, servers: Sequence[tuple[str, int]], prefix: bytes) -> None:
        self._servers = [
            _Server(
                host,
                port,
                Client((host, port), serde=_Flagged(), timeout=TIMEOUT_S, connect_timeout=TIMEOUT_S, no_delay=True),
            )
            for host, port in servers
        ]
        self._prefix = prefix
        self._beside = beside(prefix)
        #: What each record's flags say.
        self._lanes: dict[bytes, int] = {}

    def open(self) -> str:
        """Ask the servers whether they are there, and how long an item may be.

        Raises:
            StoreError: one does not answer.
        """
        for server in self._servers:
            said = self._ask(server, "open the queue", lambda one: one.client.stats("settings"))
            server.item_limit_bytes = int(said.get(b"item_size_max", server.item_limit_bytes))
        places = ", ".join(f"{server.host}:{server.port}" for server in self._servers)
        return f"nothing is promised of an acknowledged job (memcached at {places})"

    def read(self) -> Iterator[QueueRecord]:
        """Yield all records, in no order: memcached has none."""
        self._lanes.clear()
        for server in self._servers:
            listed = self._ask(server, "list the queue", lambda one: list_keys(one.host, one.port, timeout_s=TIMEOUT_S))
            found = list(dict.fromkeys(listed))
            keys = [key for key in found if key.startswith(self._prefix)]
            self._drop_lost_extras(server, found, keys)
            rest = iter(keys)
            while some := list(islice(rest, _AT_ONCE)):
                yield from self._read_some(server, some)

    def write(self, batch: RecordBatch) -> None:
        """Write the batch, item by item: memcached has no transactions.

        Raises:
            StoreError: a server did not answer, and nobody knows what was done; or an item is longer than it takes.
        """
        for record in batch.put:
            self._refuse_long(record)
        for server in self._servers:
            self._ask(server, "write a batch", lambda one: self._write_at(one, batch))
        for name in batch.deleted:
            self._lanes.pop(self._key(name), None)
        for record in (*batch.put, *batch.changed):
            self._lanes[self._key(record.name)] = record.lane

    def check(self) -> float:
        """There is no lock that could be lost."""
        return math.inf

    def close(self) -> None:
        """Close the connections."""
        for server in self._servers:
            server.client.close()

    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        """Return the name, if it can be an item's key."""
        name = RecordName(function, key)
        item = self._key(name)
        return name if function and len(item) <= _KEY_LIMIT_BYTES and _KEY.fullmatch(item) else None

    def fold(self, name: RecordName) -> Hashable:
        """Return the key: `a-b` with the unique `c` has the one of `a` with `b-c`."""
        return self._key(name)

    def _read_some(self, server: _Server, keys: list[bytes]) -> Iterator[QueueRecord]:
        items = self._ask(server, "read jobs", _getter(keys))
        extras: dict[bytes, tuple[bytes, int]] = {}
        for other in self._servers:
            names = [self._extras_key(key) for key in items if self._server_of(self._extras_key(key)) is other]
            if names:
                extras.update(self._ask(other, "read jobs", _getter(names)))
        for key, (payload, flags) in items.items():
            rest = key[len(self._prefix) :]
            record = QueueRecord(split_name(rest), flags if flags in {0, 1, 2} else _NORMAL, payload, 0, b"")
            open_extras(extras.get(self._extras_key(key), (b"", 0))[0], record, key=rest)
            if not record.name.function:
                logger.warning("leave key=%r alone: a job of gearmand's is called function-unique", key)
                continue
            self._lanes[key] = record.lane
            yield record

    def _drop_lost_extras(self, server: _Server, found: Sequence[bytes], keys: Sequence[bytes]) -> None:
        """Delete what we added to jobs that are gone; with several servers nobody knows here which those are."""
        if len(self._servers) > 1:
            return
        known = {self._extras_key(key) for key in keys}
        lost = [key for key in found if key.startswith(self._beside + b":") and key not in known]
        if lost:
            self._ask(server, "drop what is left of ended jobs", lambda one: one.client.delete_many(lost, noreply=True))

    def _write_at(self, server: _Server, batch: RecordBatch) -> None:
        """Do one server's part, so that a record never stands there without its extras."""
        deleted = [self._key(name) for name in batch.deleted]
        gone = [key for key in (*deleted, *map(self._extras_key, deleted)) if self._server_of(key) is server]
        if gone:
            server.client.delete_many(gone, noreply=True)
        items: dict[bytes, tuple[bytes, int]] = {}
        for record in (*batch.put, *batch.changed):
            items[self._extras_key(self._key(record.name))] = (seal_extras(record), 0)
        for record in batch.put:
            items[self._key(record.name)] = (record.payload, record.lane)
        for record in batch.changed:
            if self._lanes.get(self._key(record.name)) != record.lane:
                items[self._key(record.name)] = (record.payload, record.lane)
        own = {key: value for key, value in items.items() if self._server_of(key) is server}
        if own:
            server.client.set_many(own, noreply=False)
        elif gone:
            # Deletes are not answered; what comes after them is.
            server.client.version()

    def _refuse_long(self, record: QueueRecord) -> None:
        key = self._key(record.name)
        length, limit = len(key) + len(record.payload) + _ITEM_OVERHEAD_BYTES, self._server_of(key).item_limit_bytes
        if length > limit:
            raise StoreError(
                f"memcached takes items of at most {limit} bytes (its option -I), got a job of {length}",
                is_outage=False,
            )

    def _server_of(self, key: bytes) -> _Server:
        if len(self._servers) == 1:
            return self._servers[0]
        return self._servers[one_at_a_time(key) % len(self._servers)]

    def _key(self, name: RecordName) -> bytes:
        return self._prefix + join_name(name)

    def _extras_key(self, key: bytes) -> bytes:
        return b"%b:%b" % (self._beside, hashlib.blake2b(key, digest_size=16).hexdigest().encode())

    def _ask(self, server: _Server, purpose: str, call: Callable[[_Server], Answer]) -> Answer:
        """Ask a server, on a new connection if the old one is found broken: all that is asked may be asked twice."""
        try:
            try:
                return call(server)
            except TimeoutError:
                raise
            except (MemcacheError, OSError):
                server.client.close()
                return call(server)
        except (MemcacheError, OSError) as error:
            server.client.close()
            raise StoreError(
                f"memcached at {server.host}:{server.port} could not {purpose}: {type(error).__name__}: {error}",
                is_outage=not isinstance(error, MemcacheIllegalInputError),
            ) from error


def _getter(keys: list[bytes]) -> Callable[[_Server], dict[bytes, tuple[bytes, int]]]:
    def get(server: _Server) -> dict[bytes, tuple[bytes, int]]:
        found: dict[bytes, tuple[bytes, int]] = server.client.get_many(keys)
        return found

    return get
