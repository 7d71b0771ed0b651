"""Changes that wait for their commit, in order, and what is given up when a store stays away for too long.

While the store works there is no bound but the connections' own: a burst is no trouble. While it does not, the
changes are counted and weighed. From half of the bound on nothing stored should be handed out any more, for each run
brings an outcome that must be kept; at the bound progress, streamed output and causes of losses, which any worker may
tell, are dropped, and new jobs are to be turned away. Outcomes are kept beyond it. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from gearjobs.core.changes import Accepted, Change, Explained, Finished, Progressed, Streamed
from gearjobs.core.jobs import JobHandle

#: What a change weighs beside its body: objects and texts, roughly.
CHANGE_BYTES: Final = 256

#: What only people miss; a tuple, for a union is made anew each time it is asked for.
_DROPPABLE: Final = (Progressed, Streamed, Explained)

#: The body of each kind of change that has one; a table, for every change of every batch is weighed.
_BODIES: Final[dict[type, Callable[[Any], bytes]]] = {
    Accepted: attrgetter("payload"),
    Finished: attrgetter("result"),
    Streamed: attrgetter("body"),
}


def weight(change: Change) -> int:
    """Return roughly how many bytes of memory the change holds."""
    body_of = _BODIES.get(type(change))
    return CHANGE_BYTES if body_of is None else CHANGE_BYTES + len(body_of(change))


class Backlog:
    """A list of changes with a bound that can be switched on.

    Args:
        max_changes: how many may wait while the bound is on.
        max_bytes: how much they may weigh then.
    """

    def __init__(self, *, max_changes: int, max_bytes: int) -> None:
        self._max_changes = max_changes
        self._max_bytes = max_bytes
        self._changes: list[Change] = []
        self._bytes = 0
        #: Changes of the list that may be dropped; known while the bound is on.
        self._droppable = 0
        self.is_bounded = False
        #: Whether half of the bound was reached since it was switched on: what is taken to be tried is no room gained.
        self.is_half_full = False
        #: Progress and output that was dropped, ever.
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._changes)

    @property
    def is_full(self) -> bool:
        """Whether the bound is on and reached."""
        return self.is_bounded and (len(self._changes) >= self._max_changes or self._bytes >= self._max_bytes)

    def bound(self) -> None:
        """Switch the bound on."""
        self.is_bounded = True
        self._weigh()

    def unbound(self) -> None:
        """Switch the bound off."""
        self.is_bounded = self.is_half_full = False

    def add(self, change: Change) -> None:
        """Put a change behind the others, or drop it where it may be and there is no room."""
        if self.is_bounded:
            is_droppable = isinstance(change, _DROPPABLE)
            if self.is_full:
                self._make_room()
                if is_droppable and self.is_full:
                    self.dropped += 1
                    return
            self._droppable += is_droppable
            self._bytes += weight(change)
        self._changes.append(change)
        if self.is_bounded:
            self._note_half()

    def put_back(self, changes: Sequence[Change]) -> None:
        """Put changes that were taken before all others."""
        if changes:
            self._changes[:0] = changes
            self._weigh()

    def take(self, *, max_changes: int, max_bytes: int) -> list[Change]:
        """Take the first changes out: so many, or of so many bytes, but one at least."""
        end = self._fitting(max_changes, max_bytes)
        if end == len(self._changes):
            taken, self._changes = self._changes, []
        else:
            taken = self._changes[:end]
            del self._changes[:end]
        self._weigh()
        return taken

    def void(self, handles: Collection[JobHandle]) -> None:
        """Remove every change of these jobs."""
        self._keep(change for change in self._changes if change.handle not in handles)

    def remove_acceptance(self, handle: JobHandle) -> None:
        """Remove the acceptance of a job, and nothing else of it."""
        self._keep(change for change in self._changes if not (isinstance(change, Accepted) and change.handle == handle))

    def _fitting(self, max_changes: int, max_bytes: int) -> int:
        """Return how many of the first changes are within both limits."""
        # Mostly all are.
        if len(self._changes) <= max_changes and sum(map(weight, self._changes)) <= max_bytes:
            return len(self._changes)
        end, total_bytes = 0, 0
        for change in self._changes[:max_changes]:
            total_bytes += weight(change)
            if total_bytes > max_bytes and end:
                break
            end += 1
        return end

    def _make_room(self) -> None:
        if self._droppable:
            before = len(self._changes)
            self._keep(change for change in self._changes if not isinstance(change, _DROPPABLE))
            self.dropped += before - len(self._changes)

    def _keep(self, changes: Iterable[Change]) -> None:
        self._changes = list(changes)
        self._weigh()

    def _weigh(self) -> None:
        """Count anew; only while the bound is on, for it costs."""
        if self.is_bounded:
            self._bytes = sum(map(weight, self._changes))
            self._droppable = sum(isinstance(change, _DROPPABLE) for change in self._changes)
            self._note_half()

    def _note_half(self) -> None:
        if 2 * len(self._changes) >= self._max_changes or 2 * self._bytes >= self._max_bytes:
            self.is_half_full = True
