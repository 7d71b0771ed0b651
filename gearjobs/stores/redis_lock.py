"""The lock that makes one job server the only one of a queue in Redis: a key with an expiry, which its owner renews.

Its value says which process it is, so that one that was killed is followed at once where both are of one machine;
elsewhere the expiry decides. Every batch watches the key (`guard`): of what a server sends after another one took the
queue over, nothing is done. A server that hung for longer than the lock lasts has it back if nobody had it meanwhile:
each taking counts a second key up.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from dataclasses import asdict
from typing import Final, NoReturn

from redis import Redis
from redis.client import Pipeline
from redis.exceptions import WatchError

from gearjobs.errors import StoreError, StoreFenced
from gearjobs.stores.process_identity import ProcessIdentity, this_process

logger = logging.getLogger("gearjobs.stores")

#: Seconds the lock lasts from each renewal on; the lease of the job table, for the same reasons.
TTL_S: Final = 10.0
#: Seconds for which a lock is waited for beyond its expiry: by then a server that lives has renewed it.
_GRACE_S: Final = 1.0
#: Seconds between two looks at a lock that somebody else has.
_LOOK_EVERY_S: Final = 0.2


class RedisLock:
    """The right to be the one server of a queue.

    Args:
        client: of the Redis that has the queue.
        key: of the lock.
        place: the queue, for messages.
        ttl_s: seconds that the lock lasts from each renewal on.
    """

    def __init__(self, client: Redis, key: bytes, *, place: str, ttl_s: float = TTL_S) -> None:
        self._client = client
        self._key = key
        self._count_key = key + b":taken"
        self._place = place
        self._ttl_s = ttl_s
        self._value = b""
        #: Which taking of the lock this server's is.
        self._taking = 0

    def acquire(self) -> None:
        """Take the lock, waiting for that of a server which is gone to expire.

        Raises:
            StoreError: another server has it and goes on renewing it.
        """
        identity = asdict(this_process())
        self._value = json.dumps({**identity, "life": secrets.token_hex(8)}).encode()
        give_up_at = time.monotonic() + self._ttl_s + _GRACE_S
        has_told = False
        while not self._client.set(self._key, self._value, nx=True, px=_milliseconds(self._ttl_s)):
            holder = self._holder()
            if self._is_dead(holder):
                self._drop(holder)
                continue
            if time.monotonic() >= give_up_at:
                self._value = b""
                raise StoreError(f"{self._place} has a job server already ({_shown(holder)}); one queue has one server")
            if holder and not has_told:
                logger.info("wait for the lock of %s: %s has it", self._place, _shown(holder))
                has_told = True
            time.sleep(_LOOK_EVERY_S)
        self._taking = int(self._client.incr(self._count_key))

    def renew(self) -> float:
        """Let it last on; return for how many seconds it surely does.

        Raises:
            StoreFenced: another server has it.
        """
        with self._client.pipeline(transaction=True) as pipe:
            self.guard(pipe)
            pipe.multi()
            pipe.set(self._key, self._value, px=_milliseconds(self._ttl_s))
            try:
                pipe.execute()
            except WatchError:
                self.lose()
        return self._ttl_s

    def guard(self, pipe: Pipeline) -> None:
        """Have the pipeline's transaction done only if the lock is this server's until then.

        Raises:
            StoreFenced: another server has it.
        """
        pipe.watch(self._key)  # type: ignore[no-untyped-call] # the package leaves it untyped
        holder = pipe.get(self._key)
        if holder is None and self._value and pipe.get(self._count_key) in {None, b"%d" % self._taking}:
            # It expired and nobody had it, or Redis began anew: it is there for the taking.
            pipe.unwatch()
            self._client.set(self._key, self._value, nx=True, px=_milliseconds(self._ttl_s))
            pipe.watch(self._key)  # type: ignore[no-untyped-call] # the package leaves it untyped
            holder = pipe.get(self._key)
        if not self._value or holder != self._value:
            self.lose()

    def lose(self) -> NoReturn:
        """Say that the lock is another server's.

        Raises:
            StoreFenced: always.
        """
        raise StoreFenced(f"another job server took {self._place} over")

    def release(self) -> None:
        """Give the lock back, if it is this server's."""
        value, self._value = self._value, b""
        if value:
            self._drop(value)

    def _drop(self, value: bytes) -> None:
        """Remove the key if it has this value."""
        with self._client.pipeline(transaction=True) as pipe:
            pipe.watch(self._key)  # type: ignore[no-untyped-call] # the package leaves it untyped
            if pipe.get(self._key) != value:
                return
            pipe.multi()
            pipe.delete(self._key)
            try:
                pipe.execute()
            except WatchError:
                # It has expired, and somebody else has it.
                return

    def _holder(self) -> bytes:
        found = self._client.get(self._key)
        # Text comes from clients that decode, which ours does not.
        return found if isinstance(found, bytes) else b""

    def _is_dead(self, holder: bytes) -> bool:
        identity = _identity(holder)
        return identity is not None and identity.is_surely_dead()


def _identity(holder: bytes) -> ProcessIdentity | None:
    try:
        said = json.loads(holder)
        return ProcessIdentity(said["host"], int(said["pid"]), said["boot_id"], int(said["process_start"]))
    except (ValueError, KeyError, TypeError):
        return None


def _shown(holder: bytes) -> str:
    identity = _identity(holder)
    return "unknown" if identity is None else f"pid {identity.pid} on {identity.host}"


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
