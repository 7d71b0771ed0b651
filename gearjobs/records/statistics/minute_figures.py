"""From figures that only grow to what happened in each minute: pure, and told the time.

A job server's tallies (`core/tallies`) count from its start. What they grew by since the minute began is that minute's
row, as a whole: whatever is written again, after a failure or a few seconds later, replaces what was there. Histograms
are written without the zeros at their end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gearjobs.core.changes import Outcome
from gearjobs.core.jobs import FunctionName
from gearjobs.core.tallies import Durations, FunctionTally
from gearjobs.models import MINUTE_S

#: What a JobTallies copies: each function counted apart, and all others together.
Figures = tuple[Mapping[FunctionName, FunctionTally], FunctionTally]

_NOTHING: Final = FunctionTally()


@dataclass(slots=True)
class FunctionMinute:
    """What one function's jobs did within a minute."""

    #: Unix seconds.
    starts_s: int
    #: None for all functions together.
    function: FunctionName | None
    tally: FunctionTally


class MinuteFigures:
    """Cuts growing figures into minutes.

    Args:
        figures: as they are at the beginning: what was counted before is nobody's minute.
        now: unix seconds.
    """

    def __init__(self, figures: Figures, now: float) -> None:
        self._starts_s = _minute(now)
        self._base = figures
        self._last = figures

    def grow(self, figures: Figures, now: float) -> list[FunctionMinute]:
        """Return the minute of each function that did anything since the last call; whole, and not only the news.

        What happened since the last call is counted to the minute of that: whoever asks at its end loses nothing.
        """
        minutes = self._minutes(figures)
        self._last = figures
        if _minute(now) != self._starts_s:
            self._starts_s = _minute(now)
            self._base = figures
        return minutes

    def _minutes(self, figures: Figures) -> list[FunctionMinute]:
        apart, others = figures
        base, last = self._base[0], self._last[0]
        minutes = [
            FunctionMinute(self._starts_s, name, growth(tally, base.get(name, _NOTHING)))
            for name, tally in apart.items()
            if tally != last.get(name)
        ]
        if minutes or others != self._last[1]:
            together = growth(others, self._base[1])
            for name, tally in apart.items():
                add(together, growth(tally, base.get(name, _NOTHING)))
            minutes.append(FunctionMinute(self._starts_s, None, together))
        return minutes


def growth(now: FunctionTally, before: FunctionTally) -> FunctionTally:
    """Return what was counted since; all of it where the counting began anew in between."""
    if now.submitted < before.submitted or sum(now.waits.counts) < sum(before.waits.counts):
        before = _NOTHING
    return FunctionTally(
        now.submitted - before.submitted,
        now.requeued - before.requeued,
        now.retried - before.retried,
        {outcome: count - before.ended.get(outcome, 0) for outcome, count in now.ended.items()},
        _longer(now.waits, before.waits),
        _longer(now.runs, before.runs),
    )


def add(whole: FunctionTally, part: FunctionTally) -> None:
    """Add the second to the first."""
    whole.submitted += part.submitted
    whole.requeued += part.requeued
    whole.retried += part.retried
    for outcome, count in part.ended.items():
        whole.ended[outcome] = whole.ended.get(outcome, 0) + count
    for mine, other in ((whole.waits, part.waits), (whole.runs, part.runs)):
        mine.counts = [one + more for one, more in zip(mine.counts, other.counts, strict=True)]
        mine.total_s += other.total_s


def without_end(counts: list[int]) -> list[int]:
    """Return the counts without the zeros at their end."""
    last = max((place for place, count in enumerate(counts, 1) if count), default=0)
    return counts[:last]


def failures(tally: FunctionTally) -> int:
    """Return how many jobs ended neither well nor because somebody cancelled them."""
    fine = tally.ended.get(Outcome.SUCCEEDED, 0) + tally.ended.get(Outcome.CANCELLED, 0)
    return sum(tally.ended.values()) - fine


def _longer(now: Durations, before: Durations) -> Durations:
    counts = [one - less for one, less in zip(now.counts, before.counts, strict=True)]
    return Durations(counts, max(0.0, now.total_s - before.total_s))


def _minute(now: float) -> int:
    return int(now // MINUTE_S) * MINUTE_S
