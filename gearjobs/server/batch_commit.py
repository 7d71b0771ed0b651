"""One batch and a store: what of it is committed, and how the rows that spoil it are found.

A store that is down fails everything, a poison row fails alone. Called in the writer's thread, and by the simulator;
what becomes of a change that was not committed is `group_commit`'s decision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from gearjobs.core.changes import Accepted, Change
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError, StoreFenced
from gearjobs.stores.base import JobStore

logger = logging.getLogger("gearjobs.server")

Answer = TypeVar("Answer")


@dataclass(slots=True)
class Verdict:
    """What became of a batch."""

    #: Also changes that the store will never take: to keep them would hold up every later batch.
    committed: list[Change] = field(default_factory=list)
    #: Acceptances whose values the store does not take: they are surely not kept.
    refused: list[Accepted] = field(default_factory=list)
    #: Acceptances that were not kept because the store has a live job of their unique: that one's handle.
    joined: list[tuple[Accepted, JobHandle]] = field(default_factory=list)
    #: What a store that is down did not commit, as far as it told: nobody knows what a broken commit has done.
    postponed: list[Change] = field(default_factory=list)
    #: Why not everything was committed.
    error: StoreError | None = None


def commit_batch(store: JobStore, batch: Sequence[Change]) -> Verdict:
    """Commit a batch as far as the store lets it.

    Raises:
        StoreFenced: another job server took this one's jobs over.
    """
    try:
        joined = behind_wall(partial(store.commit, batch))
    except StoreFenced:
        raise
    except StoreError as error:
        if error.is_outage:
            return Verdict(postponed=list(batch), error=error)
        return _give_up(batch[0], error) if len(batch) == 1 else _commit_halves(store, batch)
    return Verdict(committed=list(batch)) if not joined else _apart(batch, joined)


def behind_wall(function: Callable[[], Answer]) -> Answer:
    """Call into the store; a bug there must not end the thread, which would leave every submitter without an answer."""
    try:
        return function()
    except StoreError:
        raise
    except Exception as error:
        logger.exception("refuse what the store was called for: it met a bug")
        raise StoreError(f"{type(error).__name__}: {error}", is_outage=False) from error


def _commit_halves(store: JobStore, batch: Sequence[Change]) -> Verdict:
    """Find the rows that spoil the batch in few commits; a change of a job that was not kept is void."""
    middle = len(batch) // 2
    verdict = commit_batch(store, batch[:middle])
    void = {refused.handle for refused in verdict.refused} | {accepted.handle for accepted, _ in verdict.joined}
    rest = [change for change in batch[middle:] if change.handle not in void]
    if not rest:
        return verdict
    if verdict.error is not None and verdict.error.is_outage:
        # Not tried: what was postponed comes first.
        verdict.postponed += rest
        return verdict
    second = commit_batch(store, rest)
    verdict.committed += second.committed
    verdict.refused += second.refused
    verdict.joined += second.joined
    verdict.postponed += second.postponed
    verdict.error = second.error or verdict.error
    return verdict


def _give_up(change: Change, error: StoreError) -> Verdict:
    if isinstance(change, Accepted):
        return Verdict(refused=[change], error=error)
    logger.error("drop change=%s job=%r: the store refuses it: %s", type(change).__name__, change.handle, error)
    return Verdict(committed=[change], error=error)


def _apart(batch: Sequence[Change], joined: dict[JobHandle, JobHandle]) -> Verdict:
    """Tell the acceptances that joined a stored job from what was committed."""
    verdict = Verdict()
    for change in batch:
        if change.handle not in joined:
            verdict.committed.append(change)
        elif isinstance(change, Accepted):
            verdict.joined.append((change, joined[change.handle]))
    return verdict
