"""Acceptances that are not committed yet, and rows that should not have been.

`Acceptances` knows by when each submitter must be answered. `GhostRows` remembers jobs whose submitters heard ERROR and
that may have a row all the same, because nobody knows what a broken commit has done: the rows are removed when the
store is back. Pure.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

from gearjobs.core.changes import Accepted
from gearjobs.core.jobs import JobHandle

#: Submitters told ERROR in one go, so that the loop is not held up when there are many.
GIVE_UP_LIMIT: Final = 1_000
#: Rows remembered at most: the first ones of an outage, for those were under way when it began.
GHOST_LIMIT: Final = 10_000


class Acceptances:
    """What submitters wait for, in the order of their coming.

    Args:
        timeout_s: seconds within which each is to be answered.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._awaited: dict[JobHandle, tuple[float, Accepted]] = {}
        #: Those for which nobody listens any more: without a deadline.
        self._adrift: dict[JobHandle, Accepted] = {}
        #: Those that may be committed already: the store was asked, and did not say.
        self._doubtful: set[JobHandle] = set()
        #: Those that came when there was no room: due at once.
        self._turned_away: list[JobHandle] = []

    def __bool__(self) -> bool:
        """Return whether somebody waits."""
        return bool(self._awaited)

    def __contains__(self, handle: JobHandle) -> bool:
        """Return whether the job's acceptance is still to be committed."""
        return handle in self._awaited or handle in self._adrift

    def expect(self, change: Accepted, *, has_room: bool, now: float) -> None:
        """The submitter of this job waits from now on."""
        self._awaited[change.handle] = now + self._timeout_s, change
        if not has_room:
            self._turned_away.append(change.handle)

    def set_adrift(self, change: Accepted) -> None:
        """Nobody listens any more for what becomes of this job, which may be committed already."""
        self._doubtful.add(change.handle)
        self._awaited.pop(change.handle, None)
        self._adrift[change.handle] = change

    def heed(self, handle: JobHandle, *, now: float) -> None:
        """Somebody listens who joined this job."""
        if self._adrift and (change := self._adrift.pop(handle, None)) is not None:
            self._awaited[handle] = now + self._timeout_s, change

    def is_doubtful(self, handle: JobHandle) -> bool:
        """Return whether the job may be committed already."""
        return handle in self._doubtful

    def forget(self, handle: JobHandle) -> Accepted | None:
        """Return what was awaited of the job, from now on no more; None: nothing."""
        if self._doubtful:
            self._doubtful.discard(handle)
        awaited = self._awaited.pop(handle, None)
        return self._adrift.pop(handle, None) if awaited is None else awaited[1]

    def overdue(self, now: float) -> list[Accepted]:
        """Return those whose submitters must be answered now; not all, if they are many."""
        turned_away = self._turned_away[:GIVE_UP_LIMIT]
        del self._turned_away[:GIVE_UP_LIMIT]
        overdue = {handle: self._awaited[handle][1] for handle in turned_away if handle in self._awaited}
        for handle, (due_at, change) in self._awaited.items():
            if due_at > now or len(overdue) >= GIVE_UP_LIMIT:
                break
            overdue[handle] = change
        return list(overdue.values())

    def next_due(self) -> float | None:
        """Return when the first is overdue, or None; never later than the truth."""
        if self._turned_away:
            return 0.0
        return next(iter(self._awaited.values()))[0] if self._awaited else None


class GhostRows:
    """Jobs that may have a row, and must not."""

    def __init__(self) -> None:
        self._ghosts: dict[JobHandle, None] = {}
        #: Those that a job was submitted for once more, which is not committed yet.
        self._claimed: set[JobHandle] = set()
        #: Those whose removal is under way.
        self._leaving: set[JobHandle] = set()

    def __bool__(self) -> bool:
        """Return whether there are any to remove."""
        return bool(self._ghosts)

    def add(self, handle: JobHandle) -> None:
        """The job may have a row."""
        if len(self._ghosts) < GHOST_LIMIT:
            self._ghosts[handle] = None

    def discard(self, handle: JobHandle) -> None:
        """The row, if there is one, is that of a job that lives, or is about to be."""
        if handle in self._ghosts:
            del self._ghosts[handle]
            self._claimed.add(handle)

    def refuse(self, handle: JobHandle) -> None:
        """The job that was to have the row is refused as well: what may be there must go after all."""
        if handle in self._claimed:
            self._claimed.discard(handle)
            self.add(handle)

    def keep(self, handle: JobHandle) -> None:
        """The job that was to have the row has it."""
        self._claimed.discard(handle)

    def take(self, limit: int) -> list[JobHandle]:
        """Return some, whose removal begins."""
        taken = list(islice(self._ghosts, limit))
        for handle in taken:
            del self._ghosts[handle]
        self._leaving.update(taken)
        return taken

    @property
    def are_leaving(self) -> bool:
        """Whether the removal of any row is under way."""
        return bool(self._leaving)

    def is_leaving(self, handle: JobHandle) -> bool:
        """Return whether the row's removal is under way."""
        return handle in self._leaving

    def rest(self) -> None:
        """No removal is under way any more."""
        self._leaving.clear()
