"""Percentiles from histograms."""

from __future__ import annotations

import pytest

from gearjobs.core.tallies import BUCKET_ENDS_S
from gearjobs.records.statistics.percentiles import Histogram, percentile_s

LAST = len(BUCKET_ENDS_S)


def counts(**buckets: int) -> list[int]:
    return [buckets.get(f"b{place}", 0) for place in range(LAST + 1)]


@pytest.mark.parametrize(("share", "seconds"), [(0.5, 0.0005), (1.0, 0.001), (0.0, 0.0)])
def test_durations_of_a_bucket_are_taken_for_evenly_spread(share, seconds):
    assert percentile_s(counts(b0=10), share) == pytest.approx(seconds)


def test_percentile_is_in_the_bucket_that_reaches_the_share():
    middle_s = (BUCKET_ENDS_S[8] + BUCKET_ENDS_S[9]) / 2

    assert percentile_s(counts(b0=90, b9=10), 0.95) == pytest.approx(middle_s)


def test_what_is_longer_than_all_buckets_is_as_long_as_the_last():
    assert percentile_s(counts(**{f"b{LAST}": 3}), 0.5) == BUCKET_ENDS_S[-1]


def test_nothing_has_no_percentile_and_no_mean():
    assert (percentile_s(counts(), 0.5), Histogram().mean_s, Histogram().percentile_s(0.5)) == (None, None, None)


def test_rows_without_their_zeros_are_added():
    histogram = Histogram()

    histogram.add([1, 2], 3.0)
    histogram.add([1], 1.0)

    assert (histogram.counts[:3], histogram.mean_s) == ([2, 2, 0], 1.0)
