"""When a commit that nobody waits for may begin: a little later, where there are many, so that jobs share it.

A commit costs some hundred microseconds however little is in it, in two threads that share one interpreter. What a
submitter or client waits for is committed at once, and so is all that comes with it. That a job was started, or how it
ended, nobody waits for so urgently: a lone job's is committed at once, too, but where such commits come faster than
`INTERVAL_S` one after the other, each waits for its turn. Pure.
"""

from __future__ import annotations

import math
from typing import Final

from gearjobs.core.changes import Change, Explained, Finished, Progressed, Requeued, Started, Streamed

#: Seconds between two commits that nobody waits for, on average: a worker that ended a job keeps its outcome so much
#: longer, and its reader, who polls or is told, hardly sees it.
INTERVAL_S: Final = 0.004
#: Commits that may be ahead of that: all those of some lone jobs.
BURST: Final = 8

#: What nobody waits for.
_PATIENT: Final = frozenset({Explained, Finished, Progressed, Requeued, Started, Streamed})


class CommitPace:
    """The turns of such commits."""

    def __init__(self) -> None:
        #: Whether somebody waits for what is to be committed.
        self.is_urgent = False
        #: When the next one would begin if they all kept the interval.
        self._turn_at = 0.0

    def note(self, change: Change) -> None:
        """The change is to be committed."""
        # The end of a member may release the next jobs of its group.
        if type(change) not in _PATIENT or (isinstance(change, Finished) and change.is_member):
            self.is_urgent = True

    def hurry(self) -> None:
        """Somebody waits."""
        self.is_urgent = True

    def begins_at(self) -> float:
        """Return when a commit may begin, in the clock's seconds; in the past where it may now."""
        return -math.inf if self.is_urgent else self._turn_at - BURST * INTERVAL_S

    def began(self, *, now: float, is_all: bool) -> None:
        """A commit begins, with all that is there, or with the first part of it."""
        if not self.is_urgent:
            self._turn_at = max(self._turn_at, now) + INTERVAL_S
        self.is_urgent = not is_all
