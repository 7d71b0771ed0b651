"""After how much a process gives place to a fresh one."""

from __future__ import annotations

import pytest

from gearjobs.worker.pool.recycling import RecycleLimits, draw_limits, reason_to_recycle

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (RecycleLimits(), ""),
        (RecycleLimits(jobs=11, rss_bytes=101 * MIB, age_s=60.1), ""),
        (RecycleLimits(jobs=10), "it has done 10 jobs"),
        (RecycleLimits(rss_bytes=100 * MIB), "it has 100 MiB of memory"),
        (RecycleLimits(age_s=60.0), "it is 60 s old"),
    ],
)
def test_limit_that_is_reached_is_the_reason(limits, reason):
    assert reason_to_recycle(limits, jobs=10, rss_bytes=100 * MIB, age_s=60.0) == reason


def test_limits_are_lower_by_chance_and_never_higher():
    asked = RecycleLimits(jobs=1000, rss_bytes=1000, age_s=1000.0)

    assert draw_limits(asked, jitter=0.1, chance=0.0) == asked
    assert draw_limits(asked, jitter=0.1, chance=0.5) == RecycleLimits(950, 950, 950.0)
    assert draw_limits(asked, jitter=0.1, chance=1.0) == RecycleLimits(900, 900, 900.0)


def test_no_limit_stays_none():
    assert draw_limits(RecycleLimits(), jitter=1.0, chance=1.0) == RecycleLimits()


def test_limit_of_one_job_does_not_become_none():
    assert draw_limits(RecycleLimits(jobs=1), jitter=1.0, chance=1.0).jobs == 1
