"""Runs cut short because a worker is lost, gives its job back or is too slow: who runs the job next, and how often."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished, Outcome
from gearjobs.core.effects import NewsKind
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.redelivery import Cut
from gearjobs.errors import JobNotHeld
from tests.support.core_builders import MAIL, NOW, RESIZE, make_requeued
from tests.support.core_stages import QueueRig


@pytest.fixture
def rig():
    return QueueRig()


def outcomes(rig):
    return [change.outcome for change in rig.take_changes() if isinstance(change, Finished)]


def told(rig):
    return [(news.connection, news.kind) for news in rig.take_news()]


def test_cant_do_queues_the_functions_jobs_again_and_no_others(rig):
    worker = rig.worker(MAIL, RESIZE)
    photo, mail = rig.submit(rig.client(), RESIZE), rig.submit(rig.client(), MAIL)
    rig.drain(worker)

    rig.queue.cant_do(worker, RESIZE, now=NOW)

    assert (rig.queue.get_status(photo).is_running, rig.queue.get_status(mail).is_running) == (False, True)


def test_jobs_given_back_are_no_crash(rig):
    worker, handle = rig.worker(), rig.submit_background()
    rig.start(worker)
    rig.take_changes()

    rig.queue.cant_do(worker, RESIZE, now=NOW)

    assert rig.take_changes() == [make_requeued(handle, Cut.GIVEN_BACK, now=NOW)]


def test_result_of_a_job_given_back_is_refused(rig):
    worker, handle = rig.worker(), rig.submit(rig.client())
    rig.start(worker)
    rig.queue.cant_do(worker, RESIZE, now=NOW)

    with pytest.raises(JobNotHeld, match="does not hold"):
        rig.complete(worker, handle)


def test_lost_workers_job_keeps_its_priority(rig):
    worker, client = rig.worker(), rig.client()
    urgent = rig.submit(client, priority=50)
    rig.start(worker)
    normal = rig.submit(client)

    rig.disconnect(worker)

    assert rig.drain(rig.worker()) == [urgent, normal]


def test_lost_workers_job_wakes_a_sleeper(rig):
    worker, sleeper = rig.worker(), rig.sleeper()
    rig.submit(rig.client())
    rig.grab(worker)
    rig.grab(sleeper)
    rig.queue.pre_sleep(sleeper, now=NOW)
    rig.take_woken()

    rig.disconnect(worker)

    assert rig.take_woken() == [sleeper]


def test_abandoned_running_job_is_not_run_again_when_its_worker_is_lost_too(rig):
    client, worker = rig.client(), rig.worker()
    rig.submit(client)
    rig.start(worker)

    rig.disconnect(client)
    rig.disconnect(worker)

    assert rig.grab(rig.worker()) is None


def test_job_that_runs_on_the_connection_that_waits_for_it_ends_with_it(rig):
    both = rig.worker()
    rig.submit(both)
    rig.start(both)

    rig.disconnect(both)

    assert rig.queue.jobs() == []


def test_client_hears_nothing_of_a_timeout_while_retries_are_left(rig):
    rig.submit(rig.client())
    rig.start(rig.worker(timeout_s=30.0))

    rig.pass_time(30)

    assert rig.take_news() == []


def test_late_result_of_a_run_that_timed_out_is_refused(rig):
    slow, handle = rig.worker(timeout_s=30.0), rig.submit(rig.client())
    rig.start(slow)
    rig.pass_time(30)

    with pytest.raises(JobNotHeld):
        rig.complete(slow, handle)


def test_progress_does_not_extend_the_time(rig):
    slow, handle = rig.worker(timeout_s=30.0), rig.submit(rig.client())
    rig.start(slow)
    rig.pass_time(29)
    rig.report_progress(slow, handle)

    rig.pass_time(1)

    assert not rig.queue.get_status(handle).is_running


def test_each_job_of_a_worker_has_its_own_timer(rig):
    # gearmand has one a connection: the last assigned job's.
    slow = rig.worker(timeout_s=30.0)
    first = rig.submit(rig.client())
    rig.start(slow)
    rig.pass_time(20)
    rig.submit(rig.client())
    rig.start(slow)

    rig.pass_time(10)

    assert rig.grab(rig.worker()) == first


def test_worker_that_falls_asleep_has_all_the_time_for_what_it_holds(rig):
    # libgearman's worker, behind by an answer, slept through each of its runs: the job was never done.
    slow, handle = rig.worker(timeout_s=30.0), rig.submit(rig.client())
    rig.start(slow)
    rig.queue.pre_sleep(slow, now=rig.now)

    rig.pass_time(30)

    assert rig.queue.get_status(handle).is_running


def test_worker_that_sleeps_on_a_job_is_woken_when_its_time_is_over(rig):
    # libgearman's worker reads on when the next packet comes: it never looked at a job that it had received.
    slow = rig.worker(timeout_s=30.0)
    rig.submit(rig.client())
    rig.start(slow)
    rig.queue.pre_sleep(slow, now=rig.now)

    rig.pass_time(30)

    assert rig.take_woken() == [slow]


def test_worker_that_was_let_off_and_is_awake_again_is_left_alone(rig):
    slow = rig.worker(timeout_s=30.0)
    rig.submit(rig.client())
    rig.start(slow)
    rig.queue.pre_sleep(slow, now=rig.now)
    rig.grab(slow)

    rig.pass_time(30)

    assert rig.take_woken() == []


def test_worker_that_is_woken_at_once_has_not_slept(rig):
    slow, client = rig.worker(timeout_s=30.0), rig.client()
    handle = rig.submit(client)
    rig.start(slow)
    rig.submit(client)
    rig.queue.pre_sleep(slow, now=rig.now)

    rig.pass_time(30)

    assert not rig.queue.get_status(handle).is_running


def test_second_run_has_the_whole_time_again(rig):
    worker, handle = rig.worker(timeout_s=30.0), rig.submit(rig.client())
    rig.start(worker)
    rig.pass_time(30)
    rig.start(worker)

    rig.pass_time(29)

    assert rig.queue.get_status(handle).is_running


@pytest.mark.parametrize(("job_retries", "runs"), [(0, 1), (1, 1), (3, 3)])
def test_job_whose_workers_are_lost_runs_as_often_as_allowed(job_retries, runs):
    rig = QueueRig(QueueRules(job_retries=job_retries))
    rig.submit_background()

    started = 0
    while rig.grab(worker := rig.worker()):
        started += 1
        rig.disconnect(worker)

    assert (started, outcomes(rig)) == (runs, [Outcome.LOST])


def test_background_job_that_kills_its_workers_is_dead_after_three(rig):
    rig.submit_background()

    started = 0
    while rig.grab(worker := rig.worker()):
        started += 1
        rig.disconnect(worker)

    assert (started, outcomes(rig)) == (3, [Outcome.DEAD])


def test_job_whose_workers_are_lost_runs_without_end_where_nothing_bounds_it():
    rig = QueueRig(QueueRules(max_crashes=0))
    handle = rig.submit_background()

    for _ in range(300):
        worker = rig.worker()
        rig.start(worker)
        rig.disconnect(worker)

    assert rig.grab(rig.worker()) == handle


def test_client_hears_when_no_retry_is_left():
    rig = QueueRig(QueueRules(job_retries=0))
    client, worker = rig.client(), rig.worker(timeout_s=30.0)
    rig.submit(client)
    rig.start(worker)

    rig.pass_time(30)

    assert told(rig) == [(client, NewsKind.FAIL)]


def test_work_fail_is_final_whatever_retries_are_left():
    rig = QueueRig(QueueRules(job_retries=3))
    client, worker = rig.client(), rig.worker()
    rig.submit(client)

    rig.fail(worker, rig.start(worker))

    assert (told(rig), rig.grab(worker)) == ([(client, NewsKind.FAIL)], None)
