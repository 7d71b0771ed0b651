"""One batch and a store: what of it is committed, and how the rows that spoil it are found.

A store that is down fails everything, a poison row fails alone, and so does a row at which a bug of ours shows. Called
in the writer's thread, and by the simulator; what becomes of a change that was not committed is `group_commit`'s
decision.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from gearjobs.core.changes import Accepted, Change, Finished
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreBug, StoreError, StoreFenced
from gearjobs.stores.base import JobStore

logger = logging.getLogger("gearjobs.server")

Answer = TypeVar("Answer")


#: Single changes of a batch that meet a bug until it is no more looked for: the store then counts as down, so that the
#: rest of the batch is tried later, and not row by row.
BUG_LIMIT: Final = 3


@dataclass(slots=True)
class Verdict:
    """What became of a batch."""

    #: Also changes that the store will never take: to keep them would hold up every later batch.
    committed: list[Change] = field(default_factory=list)
    #: Acceptances whose values the store does not take: they are surely not kept, unless there were `bugs`.
    refused: list[Accepted] = field(default_factory=list)
    #: Acceptances that were not kept because the store has a live job of their unique: that one's handle.
    joined: list[tuple[Accepted, JobHandle]] = field(default_factory=list)
    #: What a store that is down did not commit, as far as it told: nobody knows what a broken commit has done.
    postponed: list[Change] = field(default_factory=list)
    #: Outcomes at which the store met a bug.
    stuck: list[Finished] = field(default_factory=list)
    #: How many changes met a bug, each by itself.
    bugs: int = 0
    #: Why not everything was committed.
    error: StoreError | None = None


def commit_batch(store: JobStore, batch: Sequence[Change]) -> Verdict:
    """Commit a batch as far as the store lets it.

    Raises:
        StoreFenced: another job server took this one's jobs over.
    """
    verdict = Verdict()
    _commit(store, batch, verdict)
    return verdict


def behind_wall(function: Callable[[], Answer]) -> Answer:
    """Call into the store; a bug there must not end the thread, which would leave every submitter without an answer.

    Raises:
        StoreError: what the store said, or StoreBug for anything else.
    """
    try:
        return function()
    except StoreError:
        raise
    except Exception as error:
        raise StoreBug(f"the store met a bug: {type(error).__name__}: {error}") from error


def _commit(store: JobStore, batch: Sequence[Change], verdict: Verdict) -> None:
    try:
        joined = behind_wall(partial(store.commit, batch))
    except StoreFenced:
        raise
    except StoreError as error:
        verdict.error = error
        if error.is_outage:
            verdict.postponed += batch
        elif len(batch) > 1:
            _commit_halves(store, batch, verdict)
        else:
            _give_up(batch[0], error, verdict)
    else:
        _note_committed(batch, joined, verdict)


def _commit_halves(store: JobStore, batch: Sequence[Change], verdict: Verdict) -> None:
    """Find the rows that spoil the batch in few commits; a change of a job that was not kept is void."""
    middle = len(batch) // 2
    _commit(store, batch[:middle], verdict)
    void = {refused.handle for refused in verdict.refused} | {accepted.handle for accepted, _ in verdict.joined}
    rest = [change for change in batch[middle:] if change.handle not in void]
    if verdict.error is not None and verdict.error.is_outage:
        # Not tried: what was postponed comes first.
        verdict.postponed += rest
    elif rest:
        _commit(store, rest, verdict)


def _give_up(change: Change, error: StoreError, verdict: Verdict) -> None:
    is_bug = isinstance(error, StoreBug)
    if isinstance(change, Accepted):
        verdict.refused.append(change)
    elif is_bug and isinstance(change, Finished):
        verdict.stuck.append(change)
    else:
        logger.error("drop change=%s job=%r: the store refuses it: %s", type(change).__name__, change.handle, error)
        verdict.committed.append(change)
    verdict.bugs += is_bug
    if verdict.bugs >= BUG_LIMIT:
        # No row's fault.
        verdict.error = StoreBug(str(error), is_outage=True)
        verdict.error.__cause__ = error.__cause__


def _note_committed(batch: Sequence[Change], joined: dict[JobHandle, JobHandle], verdict: Verdict) -> None:
    """Note what was committed, and apart from it the acceptances that joined a stored job."""
    if not joined:
        verdict.committed += batch
        return
    for change in batch:
        if change.handle not in joined:
            verdict.committed.append(change)
        elif isinstance(change, Accepted):
            verdict.joined.append((change, joined[change.handle]))
