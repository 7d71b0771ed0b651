"""Lanes and the table of a job's states."""

from __future__ import annotations

import pytest

from gearjobs.core.jobs import HIGH_PRIORITY, LOW_PRIORITY, NORMAL_PRIORITY, TRANSITIONS, JobState, Lane, lane_of, move
from tests.support.core_builders import make_job, make_running, make_waiting

ALLOWED = [(before, after) for before, followers in TRANSITIONS.items() for after in followers]
FORBIDDEN = [(before, after) for before in JobState for after in JobState if after not in TRANSITIONS[before]]


def job_in(state):
    job = make_job()
    job.state = state
    return job


@pytest.mark.parametrize(
    ("priority", "lane"),
    [
        (100, Lane.HIGH),
        (HIGH_PRIORITY, Lane.HIGH),
        (1, Lane.HIGH),
        (NORMAL_PRIORITY, Lane.NORMAL),
        (-1, Lane.LOW),
        (LOW_PRIORITY, Lane.LOW),
        (-100, Lane.LOW),
    ],
)
def test_priority_is_counted_in_its_lane(priority, lane):
    assert lane_of(priority) is lane


@pytest.mark.parametrize(("before", "after"), ALLOWED)
def test_step_of_the_table_is_taken(before, after):
    job = job_in(before)

    move(job, after)

    assert job.state is after


@pytest.mark.parametrize(("before", "after"), FORBIDDEN)
def test_any_other_step_is_a_bug_and_changes_nothing(before, after):
    job = job_in(before)

    with pytest.raises(AssertionError, match="cannot go from"):
        move(job, after)

    assert job.state is before


def test_nothing_follows_the_end():
    assert not TRANSITIONS[JobState.ENDED]


def test_every_state_has_its_row():
    assert set(TRANSITIONS) == set(JobState)


def test_running_job_says_so():
    assert make_running().is_running


def test_waiting_job_is_not_running():
    assert not make_waiting().is_running
