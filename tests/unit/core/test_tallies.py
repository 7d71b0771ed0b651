"""What is counted of jobs, and where counting apart ends."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Outcome
from gearjobs.core.jobs import FunctionName
from gearjobs.core.tallies import BUCKET_ENDS_S, Durations, JobTallies
from tests.support.core_builders import MAIL, NOW, RESIZE, make_job, make_running, make_waiting


@pytest.fixture
def tallies():
    return JobTallies()


def of_resize(tallies):
    return tallies.copy()[0][RESIZE]


def test_nothing_happened_yet(tallies):
    by_function, others = tallies.copy()

    assert (by_function, others.submitted) == ({}, 0)


def test_submitted_jobs_are_counted_by_function(tallies):
    tallies.job_submitted(make_job())
    tallies.job_submitted(make_job())
    tallies.job_submitted(make_job(function=MAIL))

    by_function, _ = tallies.copy()
    assert {name: tally.submitted for name, tally in by_function.items()} == {RESIZE: 2, MAIL: 1}


def test_job_that_its_client_inserted_is_counted(tallies):
    tallies.job_inserted(RESIZE)

    assert of_resize(tallies).submitted == 1


def test_wait_counts_from_when_the_job_was_ready(tallies):
    job = make_waiting()
    job.queued_at = NOW

    tallies.job_started(job, NOW + 0.3)

    waits = of_resize(tallies).waits
    assert waits.counts[BUCKET_ENDS_S.index(0.5)] == 1
    assert waits.total_s == pytest.approx(0.3)


def test_requeued_runs_are_counted(tallies):
    tallies.job_requeued(make_running())

    assert of_resize(tallies).requeued == 1


def test_failed_runs_that_are_tried_again_are_counted_with_their_time(tallies):
    job = make_running()
    job.started_at = NOW

    tallies.job_retried(job, NOW + 7)

    tally = of_resize(tallies)
    assert (tally.retried, tally.ended) == (1, {})
    assert tally.runs.counts[BUCKET_ENDS_S.index(10.0)] == 1


def test_run_counts_from_the_hand_out(tallies):
    job = make_running()
    job.started_at = NOW

    tallies.job_ended(job, Outcome.SUCCEEDED, NOW + 7)

    tally = of_resize(tallies)
    assert tally.ended == {Outcome.SUCCEEDED: 1}
    assert tally.runs.counts[BUCKET_ENDS_S.index(10.0)] == 1


def test_job_that_ends_while_it_waits_has_an_outcome_and_no_run(tallies):
    tallies.job_ended(make_waiting(), Outcome.CANCELLED, NOW)
    tallies.job_ended(make_waiting(), Outcome.CANCELLED, NOW)

    tally = of_resize(tallies)
    assert tally.ended == {Outcome.CANCELLED: 2}
    assert sum(tally.runs.counts) == 0


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (0.001, 0), (0.0011, 1), (3600.0, -2), (3600.1, -1), (1e9, -1)]
)
def test_bucket_takes_what_is_not_longer_than_its_end(seconds, bucket):
    durations = Durations()

    durations.add(seconds)

    assert durations.counts[bucket] == 1
    assert sum(durations.counts) == 1


def test_clock_that_was_set_back_counts_as_no_time():
    durations = Durations()

    durations.add(-60.0)

    assert (durations.counts[0], durations.total_s) == (1, 0.0)


def test_copy_stays_as_it_is_while_counting_goes_on(tallies):
    job = make_running()
    tallies.job_ended(job, Outcome.FAILED, NOW)
    copied = of_resize(tallies)

    tallies.job_started(job, NOW)
    tallies.job_ended(job, Outcome.FAILED, NOW)

    assert copied.ended == {Outcome.FAILED: 1}
    assert (sum(copied.waits.counts), sum(copied.runs.counts)) == (0, 1)


def test_made_up_functions_are_counted_together():
    tallies = JobTallies(function_limit=2)

    for name in (b"a", b"b", b"c", b"d", b"a"):
        tallies.job_submitted(make_job(function=FunctionName(name)))

    by_function, others = tallies.copy()
    assert {name: tally.submitted for name, tally in by_function.items()} == {b"a": 2, b"b": 1}
    assert others.submitted == 2


def test_dropped_function_is_forgotten_and_makes_room():
    tallies = JobTallies(function_limit=1)
    tallies.job_submitted(make_job(function=MAIL))

    tallies.forget([MAIL, FunctionName(b"unknown")])
    tallies.job_submitted(make_job())

    by_function, others = tallies.copy()
    assert list(by_function) == [RESIZE]
    assert others.submitted == 0
