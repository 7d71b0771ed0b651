"""`--queue-type redis`: the queue of gearmand's redis module, in a Redis server.

A record is the hash `PREFIX-FUNCTION-UNIQUE` with the fields data and priority, and no others: gearmand's own loading
ends at a third. What we add is in a hash of its own, beside the prefix, with each record's key for a field; it begins
with a digest of the record it is for, so that a record which gearmand has written anew is taken for gearmand's, and
says where the function ends (`dashed_keys`). A batch is one MULTI, guarded by WATCH on the lock (`redis_lock`). What
Redis promises is its configuration's to say (`redis_promise`). Source: gearmand's
libgearman-server/plugins/queue/redis/queue.cc.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, TypeVar

from redis import Redis
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from gearjobs.errors import StoreError, StoreFenced, UsageError
from gearjobs.stores.dashed_keys import beside, join_name, open_extras, seal_extras, split_name
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_records import QueueRecord, RecordBatch, RecordName
from gearjobs.stores.redis_lock import TTL_S, RedisLock
from gearjobs.stores.redis_promise import promise

logger = logging.getLogger("gearjobs.stores")

Answer = TypeVar("Answer")

#: Seconds a call may take: a submitter is answered within two.
TIMEOUT_S: Final = 1.5
#: Keys asked about at once while the queue is read.
_AT_ONCE: Final = 500
#: gearmand's number for a job whose priority cannot be read.
_NORMAL: Final = 1
#: What the pattern of SCAN would take for more than itself.
_WILD: Final = re.compile(rb"([\\*?\[\]])")


def make_table(options: QueueOptions, durability: DurabilityLevel) -> RedisTable:
    """Return the table that the options name, unopened.

    Raises:
        UsageError: the prefix is empty: every key of the server would be a job.
    """
    if not options.redis_prefix:
        raise UsageError("--redis-prefix must not be empty: every key of that Redis would be taken for a job")
    client = Redis(
        host=options.redis_server,
        port=options.redis_port,
        password=options.redis_password or None,
        socket_timeout=TIMEOUT_S,
        socket_connect_timeout=TIMEOUT_S,
        # Who waits for what is decided above: `server/commit`.
        retry=Retry(NoBackoff(), 0),
    )
    place = f"Redis at {options.redis_server}:{options.redis_port}"
    return RedisTable(client, options.redis_prefix.encode(), place=place, durability=durability)


class RedisTable:
    """RecordTable in a Redis server.

    Args:
        client: of that server; nothing is sent before `open`.
        prefix: what every key of the queue begins with.
        place: the server, for messages.
        durability: what a batch is to survive.
        lock_ttl_s: seconds that the lock lasts from each renewal on.
    """

    def __init__(
        self,
        client: Redis,
        prefix: bytes,
        *,
        place: str,
        durability: DurabilityLevel = DurabilityLevel.FULL,
        lock_ttl_s: float = TTL_S,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._place = place
        self._durability = durability
        #: Keys of records that an old gearmand kept as text.
        self._texts: set[bytes] = set()
        apart = beside(prefix)
        self._extras_key = apart + b":extras"
        self._lock = RedisLock(
            client, apart + b":owner", place=f"the queue {prefix.decode()} in {place}", ttl_s=lock_ttl_s
        )

    def open(self) -> str:
        """Take the lock, and look what Redis promises.

        Raises:
            StoreError: it does not answer, another server has the queue, or it may forget what it acknowledged.
        """
        return self._ask("open the queue", self._open)

    def read(self) -> Iterator[QueueRecord]:
        """Yield all records, in no order: Redis has none."""
        extras = self._ask("read the queue", self._read_extras)
        keys = self._ask("list the queue", self._list_keys)
        known = set(keys)
        if gone := [key for key in extras if key not in known]:
            # gearmand had the queue meanwhile, and their jobs have ended.
            self._ask("drop what is left of ended jobs", lambda: self._client.hdel(self._extras_key, *gone))
        rest = iter(keys)
        while some := list(islice(rest, _AT_ONCE)):
            for key, value in zip(some, self._ask("read jobs", _reader(self._client, some)), strict=True):
                record = _record(key, value, prefix=self._prefix, extras=extras.get(key, b""))
                if record is None:
                    continue
                if isinstance(value, bytes):
                    self._texts.add(key)
                yield record

    def write(self, batch: RecordBatch) -> None:
        """Write the batch in one MULTI.

        Raises:
            StoreFenced: another server has the queue.
            StoreError: Redis did not answer, or refused; nothing was done in the latter case.
        """
        self._ask("write a batch", lambda: self._write(batch))

    def check(self) -> float:
        """Renew the lock; return for how many seconds it surely lasts.

        Raises:
            StoreFenced: another server has the queue.
            StoreError: Redis does not answer.
        """
        return self._ask("renew the lock", self._lock.renew)

    def close(self) -> None:
        """Give the lock back, if Redis still answers."""
        try:
            self._lock.release()
        except redis_errors.RedisError as error:
            logger.info("leave the lock of %s to its expiry: %s", self._place, error)
        finally:
            self._client.close()

    def name_of(self, function: bytes, key: bytes) -> RecordName | None:
        """Return the name; keys are any bytes, but gearmand reads a NUL as their end."""
        return None if not function or b"\0" in function or b"\0" in key else RecordName(function, key)

    def fold(self, name: RecordName) -> Hashable:
        """Return the key: `a-b` with the unique `c` has the one of `a` with `b-c`."""
        return self._key(name)

    def _open(self) -> str:
        words = promise(self._client, self._durability, place=self._place)
        self._lock.acquire()
        return words

    def _read_extras(self) -> dict[bytes, bytes]:
        return dict(self._client.hscan_iter(self._extras_key, count=_AT_ONCE))

    def _list_keys(self) -> list[bytes]:
        pattern = _WILD.sub(rb"\\\1", self._prefix) + b"-*"
        # SCAN may give a key twice.
        return list(dict.fromkeys(self._client.scan_iter(match=pattern, count=_AT_ONCE)))

    def _write(self, batch: RecordBatch) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            self._lock.guard(pipe)
            pipe.multi()
            deleted = [self._key(name) for name in batch.deleted]
            if deleted:
                pipe.delete(*deleted)
                pipe.hdel(self._extras_key, *deleted)
            texts = [record for record in batch.changed if self._key(record.name) in self._texts]
            for record in (*batch.put, *texts):
                key = self._key(record.name)
                # Whatever stood there before, of whatever kind.
                pipe.delete(key)
                pipe.hset(key, mapping={"data": record.payload, "priority": record.lane})
            for record in batch.changed:
                pipe.hset(self._key(record.name), "priority", str(record.lane))
            extras: dict[Any, Any] = {
                self._key(record.name): seal_extras(record) for record in (*batch.put, *batch.changed)
            }
            if extras:
                pipe.hset(self._extras_key, mapping=extras)
            try:
                pipe.execute()
            except redis_errors.WatchError:
                self._lock.lose()
        self._texts.difference_update(self._key(record.name) for record in texts)

    def _key(self, name: RecordName) -> bytes:
        return b"%b-%b" % (self._prefix, join_name(name))

    def _ask(self, purpose: str, call: Callable[[], Answer]) -> Answer:
        """Ask Redis, on a new connection if the old one is found broken: all that is asked may be asked twice."""
        try:
            try:
                return call()
            except (redis_errors.AuthenticationError, redis_errors.TimeoutError):
                raise
            except redis_errors.ConnectionError:
                return call()
        except StoreFenced:
            raise
        except redis_errors.RedisError as error:
            raise StoreError(f"{self._place} could not {purpose}: {type(error).__name__}: {error}") from error


def _reader(client: Redis, keys: Sequence[bytes]) -> Callable[[], list[Any]]:
    """Return what reads records: each a dictionary, bytes where an old gearmand wrote text, or what was refused."""

    def read() -> list[Any]:
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hgetall(key)
            values = pipe.execute(raise_on_error=False)
        with client.pipeline(transaction=False) as pipe:
            odd = [index for index, value in enumerate(values) if isinstance(value, redis_errors.RedisError)]
            for index in odd:
                pipe.get(keys[index])
            for index, value in zip(odd, pipe.execute(raise_on_error=False), strict=True):
                values[index] = value
        return values

    return read


def _record(key: bytes, value: object, *, prefix: bytes, extras: bytes) -> QueueRecord | None:
    """Return the record; None, with a line in the log, for what cannot be a job."""
    rest = key[len(prefix) + 1 :]
    name = split_name(rest)
    lane = _NORMAL
    if isinstance(value, dict):
        payload = value.get(b"data")
        lane = _lane(value.get(b"priority", b""))
        if b"function" in value and b"unique" in value:
            # gearmand 2.0 says them, and need not be guessed at.
            name = RecordName(value[b"function"], value[b"unique"])
    else:
        # Up to 1.1.15 gearmand kept the data alone.
        payload = value if isinstance(value, bytes) else None
    record = QueueRecord(name, lane, payload or b"", 0, b"")
    open_extras(extras, record, key=rest)
    if payload is None or not record.name.function:
        logger.warning("leave key=%r alone: a job of gearmand's is a hash with data, or a string, got %r", key, value)
        return None
    return record


def _lane(text: bytes) -> int:
    return int(text) if text in {b"0", b"1", b"2"} else _NORMAL
