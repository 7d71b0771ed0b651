"""Outcomes at which the store met a bug of ours: kept, and tried again by themselves, ever less often.

The work they tell of is done, and nobody else will tell of it, so they are not dropped as values are that a store
refuses; nor are they tried with others, whose commit would fail along. An outcome is the last that is recorded of its
job, so that nothing waits behind it. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from gearjobs.core.changes import Change, Finished
from gearjobs.core.jobs import JobHandle

#: Seconds until such outcomes are tried again: first, and at most.
STUCK_FIRST_S: Final = 1.0
STUCK_LAST_S: Final = 60.0
#: From so many on it is no accident, and no stored job should be handed out whose outcome may get stuck, too.
STUCK_LIMIT: Final = 100


class StuckOutcomes:
    """The outcomes, and when they are due."""

    def __init__(self) -> None:
        self._outcomes: dict[JobHandle, Finished] = {}
        self._retry_s = 0.0
        self._retry_at = math.inf

    def __len__(self) -> int:
        return len(self._outcomes)

    @property
    def are_many(self) -> bool:
        """Whether more of them must be avoided."""
        return len(self._outcomes) >= STUCK_LIMIT

    @property
    def retry_at(self) -> float:
        """When they are to be tried again; infinite while there are none."""
        return self._retry_at

    def keep(self, outcomes: Sequence[Finished], *, now: float) -> None:
        """Keep outcomes that met a bug, perhaps once more."""
        if outcomes:
            self._outcomes.update((outcome.handle, outcome) for outcome in outcomes)
            self._retry_s = min(STUCK_LAST_S, self._retry_s * 2 or STUCK_FIRST_S)
            self._retry_at = now + self._retry_s

    def take(self) -> list[Change]:
        """Return all, which are to be tried now."""
        taken: list[Change] = [*self._outcomes.values()]
        self._outcomes.clear()
        self._retry_at = math.inf
        return taken

    def rest(self) -> None:
        """A try is over: where none is left, the next one that gets stuck is tried again soon."""
        if not self._outcomes:
            self._retry_s = 0.0
