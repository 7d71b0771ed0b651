"""What the submitters of a run want obeyed beyond Gearman's words, drawn from the seed by chance of its own.

A seed has limits or none, and conflicts or none; all jobs that have limits have the same few, so that they meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from gearjobs.core.terms import JobTerms, Limit, OnConflict, OnLoss, UniqueSpan


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a job by its client's will, in seconds from its submission; 0 for never."""

    expires_in_s: float = 0.0
    cancel_in_s: float = 0.0
    #: Whether the cancel is by force.
    is_forced: bool = False


#: A client that lets its job be.
NO_FATE: Final = Fate()


class DrawnTerms:
    """The terms of a run's jobs.

    Args:
        seed: the run's.
    """

    def __init__(self, seed: int) -> None:
        self._chance = chance = Random(f"terms {seed}")
        desk = Limit("desk", concurrency=chance.choice((1, 1, 2)))
        site = Limit("site", rate=chance.choice((1, 2)), per_s=chance.choice((1.0, 3.0)))
        both = Limit("press", concurrency=2, rate=3, per_s=4.0)
        has_limits, has_conflicts = chance.random() < 0.6, chance.random() < 0.4
        self._limits = ((), (desk,), (desk,), (site,), (desk, site), (both, desk)) if has_limits else ((),)
        self._on_conflict = tuple(OnConflict) if has_conflicts else (OnConflict.COALESCE,)
        self._unique_for = tuple(UniqueSpan) if has_conflicts else (UniqueSpan.UNFINISHED,)
        # Of its own, so that what was drawn before there were these is drawn the same way.
        self._fates = fates = Random(f"fates {seed}")
        has_losses, self._expires, self._cancels = fates.random() < 0.4, fates.random() < 0.3, fates.random() < 0.4
        self._on_lost = (OnLoss.RETRY, OnLoss.FAIL) if has_losses else (OnLoss.RETRY,)
        self._max_lost = (0, 1, 2) if has_losses else (0,)

    def draw(self) -> JobTerms:
        """Return the terms of the next job."""
        return JobTerms(
            limits=self._chance.choice(self._limits),
            on_conflict=self._chance.choice(self._on_conflict),
            unique_for=self._chance.choice(self._unique_for),
            on_lost=self._fates.choice(self._on_lost),
            max_lost=self._fates.choice(self._max_lost),
        )

    def draw_fate(self) -> Fate:
        """Return what else becomes of the next job."""
        chance = self._fates
        return Fate(
            chance.choice((1.0, 6.0, 30.0)) if self._expires and chance.random() < 0.5 else 0.0,
            chance.choice((0.5, 4.0, 12.0)) if self._cancels and chance.random() < 0.5 else 0.0,
            is_forced=chance.random() < 0.3,
        )
