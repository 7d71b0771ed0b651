"""Percentiles from histograms: as exact as the buckets are narrow, and of any number of rows together.

Pure. The buckets are those of `core/tallies`, two or three to a decade, so that a percentile is right within a factor
of two, and mostly much better.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gearjobs.core.tallies import BUCKET_ENDS_S


@dataclass(slots=True)
class Histogram:
    """Durations of many rows together."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKET_ENDS_S) + 1))
    total_s: float = 0.0

    def add(self, counts: Iterable[int], total_s: float) -> None:
        """Add those of a row, which may leave the zeros at the end out."""
        for place, count in zip(range(len(self.counts)), counts, strict=False):
            self.counts[place] += count
        self.total_s += total_s

    def percentile_s(self, share: float) -> float | None:
        """Return the seconds that this share of all durations did not exceed, as far as can be told; None for none."""
        return percentile_s(self.counts, share)

    @property
    def mean_s(self) -> float | None:
        """The mean; None where there are none."""
        number = sum(self.counts)
        return self.total_s / number if number else None


def percentile_s(counts: Sequence[int], share: float) -> float | None:
    """Return the seconds that a share of the durations did not exceed; None without any.

    Within a bucket they are taken for evenly spread; those beyond the last one are as long as its beginning.

    Args:
        counts: durations per bucket of BUCKET_ENDS_S, and the longer ones.
        share: 0 to 1.
    """
    wanted = share * sum(counts)
    below, start_s = 0, 0.0
    for count, end_s in zip(counts, BUCKET_ENDS_S, strict=False):
        if count and below + count >= wanted:
            return start_s + (end_s - start_s) * (wanted - below) / count
        below += count
        start_s = end_s
    return start_s if any(counts) else None
