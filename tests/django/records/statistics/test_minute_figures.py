"""Figures that only grow, cut into minutes."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Outcome
from gearjobs.core.jobs import FunctionName
from gearjobs.core.tallies import FunctionTally, JobTallies
from gearjobs.records.statistics.minute_figures import MinuteFigures, failures, growth, without_end

MINUTE = 1_800_000_000.0
RESIZE, CROP = FunctionName(b"resize"), FunctionName(b"crop")


@pytest.fixture
def tallies():
    return JobTallies()


def submitted(minutes):
    return {minute.function: (minute.starts_s, minute.tally.submitted) for minute in minutes}


def test_minute_has_what_was_counted_since_it_began(tallies):
    tallies.job_inserted(RESIZE)
    figures = MinuteFigures(tallies.copy(), MINUTE)
    tallies.job_inserted(RESIZE)

    assert submitted(figures.grow(tallies.copy(), MINUTE + 5)) == {RESIZE: (MINUTE, 1), None: (MINUTE, 1)}


def test_minute_grows_as_a_whole(tallies):
    figures = MinuteFigures(tallies.copy(), MINUTE)
    tallies.job_inserted(RESIZE)
    figures.grow(tallies.copy(), MINUTE + 5)
    tallies.job_inserted(CROP)

    assert submitted(figures.grow(tallies.copy(), MINUTE + 10)) == {CROP: (MINUTE, 1), None: (MINUTE, 2)}


def test_what_happened_before_the_end_of_a_minute_belongs_to_it(tallies):
    figures = MinuteFigures(tallies.copy(), MINUTE)
    tallies.job_inserted(RESIZE)

    ended = figures.grow(tallies.copy(), MINUTE + 60.1)
    tallies.job_inserted(RESIZE)
    begun = figures.grow(tallies.copy(), MINUTE + 65)

    assert (submitted(ended)[RESIZE], submitted(begun)[RESIZE]) == ((MINUTE, 1), (MINUTE + 60, 1))


def test_nothing_new_is_nothing_to_write(tallies):
    tallies.job_inserted(RESIZE)
    figures = MinuteFigures(tallies.copy(), MINUTE)

    assert figures.grow(tallies.copy(), MINUTE + 5) == []


def test_functions_counted_together_are_in_the_whole_alone():
    tallies = JobTallies(function_limit=0)
    figures = MinuteFigures(tallies.copy(), MINUTE)
    tallies.job_inserted(RESIZE)

    assert submitted(figures.grow(tallies.copy(), MINUTE + 5)) == {None: (MINUTE, 1)}


def test_function_that_was_dropped_and_came_back_is_counted_from_nothing():
    grown = growth(FunctionTally(submitted=2), FunctionTally(submitted=9))

    assert grown.submitted == 2


def test_zeros_at_the_end_are_left_out():
    assert (without_end([0, 3, 0, 0]), without_end([0, 0])) == ([0, 3], [])


def test_failure_is_any_end_but_success_and_cancellation():
    ended = {outcome: 10**place for place, outcome in enumerate(Outcome)}

    assert (
        failures(FunctionTally(ended=ended))
        == sum(ended.values()) - ended[Outcome.SUCCEEDED] - ended[Outcome.CANCELLED]
    )
