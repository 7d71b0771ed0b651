"""When to ask again."""

from __future__ import annotations

import pytest

from gearjobs.api.poll_advice import poll_after_s


@pytest.mark.parametrize(
    ("under_way_s", "wait_s"), [(0, 0.5), (5, 0.5), (20, 1.0), (200, 10.0), (100_000, 30.0), (-5, 0.5)]
)
def test_wait_grows_with_the_time_under_way(under_way_s, wait_s):
    assert poll_after_s(now=1000.0, since=1000.0 - under_way_s, due_at=None) == wait_s


@pytest.mark.parametrize(("due_in_s", "wait_s"), [(0.1, 0.5), (12.0, 12.0), (900.0, 30.0), (-10.0, 5.0)])
def test_job_of_the_future_is_asked_for_when_it_is_due(due_in_s, wait_s):
    assert poll_after_s(now=1000.0, since=900.0, due_at=1000.0 + due_in_s) == wait_s
