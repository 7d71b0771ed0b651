"""Who may go on with a run, and until when orphans are waited for; the steps themselves stand in test_resuming."""

from __future__ import annotations

import pytest

from gearjobs.core.jobs import JobState, move
from gearjobs.core.reattachment import (
    MARGIN_S,
    REATTACH_S,
    STORE_LEASE_S,
    Orphans,
    ReattachRules,
    ResumeVerdict,
    judge,
)
from tests.support.core_builders import NOW, make_delayed, make_job, make_running, make_waiting


def make_resumable(*, attempt=1):
    job = make_running(attempt=attempt)
    job.is_background = job.is_resumable = True
    job.worker_ids = ("press-1",) * attempt
    return job


def verdict(job, attempt=1, *, worker_id="press-1", is_unsettled=False):
    return judge(job, attempt, worker_id=worker_id, is_unsettled=is_unsettled)


def test_unknown_job_may_be_known_elsewhere_or_later():
    assert verdict(None) is ResumeVerdict.UNKNOWN


def test_run_of_a_job_that_runs_may_go_on():
    assert verdict(make_resumable(attempt=2), 2) is ResumeVerdict.ACCEPTED


def test_orphans_run_may_go_on():
    job = make_resumable()
    move(job, JobState.ORPHANED)

    assert verdict(job) is ResumeVerdict.ACCEPTED


@pytest.mark.parametrize("attempt", [1, 3])
def test_another_run_of_the_job_may_not(attempt):
    assert verdict(make_resumable(attempt=2), attempt) is ResumeVerdict.REFUSED


def test_another_workers_run_of_the_same_number_may_not():
    # The first worker's start was not committed when its server died; the number was given to a second one's run.
    assert verdict(make_resumable(), worker_id="press-2") is ResumeVerdict.REFUSED


def test_run_whose_worker_was_not_written_down_may_go_on():
    job = make_resumable()
    job.worker_ids = ()

    assert verdict(job) is ResumeVerdict.ACCEPTED


def test_worker_without_a_name_is_known_by_the_number_alone():
    assert verdict(make_resumable(), worker_id=None) is ResumeVerdict.ACCEPTED


def test_run_that_its_worker_could_not_come_back_to_may_not_go_on():
    assert verdict(make_running()) is ResumeVerdict.REFUSED


def test_run_whose_start_was_never_committed_may_go_on_while_nobody_else_has_the_job():
    job = make_waiting()
    job.is_background, job.attempt = True, 1

    assert verdict(job, 2) is ResumeVerdict.ACCEPTED


@pytest.mark.parametrize("attempt", [0, 1, 3])
def test_other_run_of_a_waiting_job_may_not(attempt):
    job = make_waiting()
    job.is_background, job.attempt = True, 1

    assert verdict(job, attempt) is ResumeVerdict.REFUSED


@pytest.mark.parametrize(("is_background", "is_kept"), [(False, True), (True, False)])
def test_run_of_a_waiting_job_that_is_not_stored_may_not(is_background, is_kept):
    job = make_waiting()
    job.is_background, job.is_kept = is_background, is_kept

    assert verdict(job) is ResumeVerdict.REFUSED


@pytest.mark.parametrize("job", [make_job(is_background=True), make_delayed(run_at=NOW + 60)])
def test_run_of_a_job_that_was_never_handed_out_may_not(job):
    assert verdict(job) is ResumeVerdict.REFUSED


def test_run_that_ended_otherwise_may_not_go_on():
    job = make_resumable()
    move(job, JobState.ENDED)

    assert verdict(job) is ResumeVerdict.REFUSED


def test_end_that_is_not_committed_yet_may_be_reported_again():
    job = make_resumable()
    move(job, JobState.ENDED)

    assert verdict(job, is_unsettled=True) is ResumeVerdict.ACCEPTED
    assert verdict(job, 2, is_unsettled=True) is ResumeVerdict.REFUSED


def test_worker_stops_before_its_job_is_given_to_another():
    # The worker last heard that its server owned the job when the store's lease had at least a margin to go.
    rules = ReattachRules()

    assert STORE_LEASE_S - MARGIN_S + rules.resume_s + MARGIN_S < rules.resumable_s
    assert rules.lease_s < rules.resume_s < REATTACH_S


def test_orphan_is_waited_for_until_its_deadline():
    orphans, job = Orphans(), make_resumable()
    orphans.add(job, NOW + 40)

    assert orphans.next_due() == NOW + 40
    assert orphans.take_overdue(NOW + 39.9) == []
    assert orphans.take_overdue(NOW + 40) == [job]
    assert orphans.next_due() is None


def test_orphans_are_given_up_in_the_order_of_their_deadlines_and_arrivals():
    orphans = Orphans()
    jobs = [make_running(handle) for handle in (b"late", b"first", b"second")]
    for job, until in zip(jobs, (NOW + 2, NOW + 1, NOW + 1), strict=True):
        orphans.add(job, until)

    assert [job.handle for job in orphans.take_overdue(NOW + 2)] == [b"first", b"second", b"late"]


def test_orphan_whose_worker_is_back_is_not_given_up():
    orphans, back, gone = Orphans(), make_running(b"back"), make_running(b"gone")
    orphans.add(back, NOW + 1)
    orphans.add(gone, NOW + 60)
    orphans.remove(back)

    assert orphans.take_overdue(NOW + 1) == []
    assert orphans.next_due() == NOW + 60


def test_job_that_is_an_orphan_a_second_time_has_its_second_deadline():
    orphans, job = Orphans(), make_resumable()
    orphans.add(job, NOW + 1)
    orphans.remove(job)
    orphans.add(job, NOW + 5)

    assert orphans.take_overdue(NOW + 4.9) == []
    assert orphans.take_overdue(NOW + 5) == [job]


def test_no_orphans_are_due_never():
    assert Orphans().next_due() is None


def test_orphans_deadlines_follow_a_clock_that_was_set():
    orphans, job = Orphans(), make_resumable()
    orphans.add(job, NOW + 40)

    orphans.move(3600.0)

    assert orphans.take_overdue(NOW + 3639.9) == []
    assert orphans.take_overdue(NOW + 3640) == [job]
