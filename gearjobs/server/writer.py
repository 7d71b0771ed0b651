"""The writer thread: the only thread that touches the store.

It runs what it is given, one call after the other, and brings each outcome back into the loop. What is committed when
is `durability`'s business; here stands only how a failed batch is told apart: a store that is down fails everything,
a poison row fails alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from gearjobs.core.changes import Accepted, Change
from gearjobs.errors import StoreError
from gearjobs.stores.base import JobStore

logger = logging.getLogger("gearjobs.server")

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Verdict:
    """What became of a batch."""

    committed: list[Change] = field(default_factory=list)
    #: Acceptances the store did not take: their submitters hear ERROR.
    refused: list[Accepted] = field(default_factory=list)
    #: Other changes that must be tried again, in order.
    postponed: list[Change] = field(default_factory=list)
    #: Why not everything was committed.
    error: StoreError | None = None


class Writer:
    """Runs store calls in a thread of its own, in order."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="gearjobs-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the calls it was given."""
        self._calls.put(None)
        self._thread.join()

    def call(self, function: Callable[[], Answer]) -> asyncio.Future[Answer]:
        """Run a function in the thread; the future is the running loop's."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()

        def run() -> None:
            try:
                answer = _behind_wall(function)
            except StoreError as error:
                loop.call_soon_threadsafe(_fail, future, error)
            else:
                loop.call_soon_threadsafe(_succeed, future, answer)

        self._calls.put(run)
        return future

    def commit(self, batch: list[Change]) -> Verdict:
        """Commit a batch as far as the store lets it; to be run in the thread by `call`."""
        try:
            _behind_wall(partial(self._store.commit, batch))
        except StoreError as error:
            if error.is_outage or len(batch) == 1:
                return _refuse(batch, error)
            return self._commit_halves(batch)
        return Verdict(committed=batch)

    def _commit_halves(self, batch: list[Change]) -> Verdict:
        """Find the rows that spoil the batch in few commits; a change of a job whose acceptance was refused is void."""
        middle = len(batch) // 2
        verdict = self.commit(batch[:middle])
        void = {refused.handle for refused in verdict.refused}
        rest = [change for change in batch[middle:] if change.handle not in void]
        if not rest:
            return verdict
        if verdict.error is not None and verdict.error.is_outage:
            # Not tried: what was postponed comes first.
            second = _refuse(rest, verdict.error)
        else:
            second = self.commit(rest)
        verdict.committed += second.committed
        verdict.refused += second.refused
        verdict.postponed += second.postponed
        verdict.error = second.error or verdict.error
        return verdict

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


def _behind_wall(function: Callable[[], Answer]) -> Answer:
    """Call into the store; a bug there must not end the thread, which would leave every submitter without an answer."""
    try:
        return function()
    except StoreError:
        raise
    except Exception as error:
        logger.exception("refuse what the store was called for: it met a bug")
        raise StoreError(f"{type(error).__name__}: {error}", is_outage=False) from error


def _refuse(batch: list[Change], error: StoreError) -> Verdict:
    verdict = Verdict(error=error)
    refused = {change.handle for change in batch if isinstance(change, Accepted)}
    for change in batch:
        if isinstance(change, Accepted):
            verdict.refused.append(change)
        elif change.handle in refused:
            continue
        elif error.is_outage:
            verdict.postponed.append(change)
        else:
            # The store will never take these values: keeping them would hold up every later batch.
            logger.error("drop change=%s job=%r: the store refuses it: %s", type(change).__name__, change.handle, error)
            verdict.committed.append(change)
    return verdict


def _succeed(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.cancelled():
        future.set_result(answer)


def _fail(future: asyncio.Future[Answer], error: StoreError) -> None:
    if not future.cancelled():
        future.set_exception(error)
