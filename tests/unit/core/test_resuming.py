"""Runs that outlive their server or their connection: orphans, RESUME_JOB, and when an outcome may be forgotten."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished, JobFailure, Outcome, Started
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.jobs import JobHandle, JobState
from gearjobs.core.reattachment import ReattachRules, ResumeVerdict
from gearjobs.core.redelivery import Cut
from gearjobs.errors import FunctionInUse, JobNotHeld
from tests.support.core_builders import MAIL, NOW, RESIZE, background, make_requeued, make_stored, make_stored_run
from tests.support.core_stages import QueueRig, Stage

H1 = JobHandle(b"H:1")
ACCEPTED, REFUSED, UNKNOWN = ResumeVerdict.ACCEPTED, ResumeVerdict.REFUSED, ResumeVerdict.UNKNOWN


@pytest.fixture
def rig():
    return QueueRig()


@pytest.fixture
def worker(rig):
    return rig.worker()


@pytest.fixture
def running(rig, worker):
    """A resumable run of the worker's."""
    rig.submit_background()
    handle = rig.start(worker, is_resumable=True)
    rig.effects.clear()
    return handle


@pytest.fixture
def orphan(rig, worker, running):
    """A job whose worker this server has cut off."""
    rig.disconnect(worker, was_cut=True)
    return running


def lines(rig):
    """Return how many jobs wait, and how many run."""
    (view,) = rig.queue.functions()
    return view.normal, view.running


def restored(stored, rules=None):
    """Return the queue of a server that was just started, with this job in its store."""
    rig = QueueRig(rules)
    rig.queue.restore([stored], now=NOW)
    return rig


# Which runs are resumable.


def test_start_of_a_resumable_run_says_so(rig, worker):
    rig.submit_background()

    rig.start(worker, is_resumable=True)

    assert rig.take_changes() == [Started(H1, 1, ("10.0.0.1:5000",), NOW, is_resumable=True)]


def test_run_of_a_worker_that_cannot_come_back_is_not_resumable(rig, worker):
    rig.submit_background()
    rig.start(worker, is_resumable=True)
    rig.disconnect(worker)

    rig.start(rig.worker())

    assert rig.take_changes()[-1].is_resumable is False


def test_foreground_jobs_run_is_not_resumable(rig, worker):
    rig.submit(rig.client())

    assert not rig.queue.grab_job(worker, is_resumable=True, now=NOW).is_resumable


def test_run_of_a_job_whose_acceptance_is_not_committed_yet_is_not_resumable(rig, worker):
    client = rig.client()
    rig.submit(client, unique=b"u1")
    rig.receipt(client, background(unique=b"u1"))

    assert not rig.queue.grab_job(worker, is_resumable=True, now=NOW).is_resumable


def test_no_run_is_resumable_without_a_store():
    rig = QueueRig(QueueRules(has_store=False))
    handle = rig.receipt(rig.client(), background()).handle
    worker = rig.worker()
    rig.start(worker, is_resumable=True)

    assert rig.resume(rig.worker(), handle) is REFUSED


# A connection that this server closed.


def test_resumable_run_goes_on_when_the_server_cuts_its_connection(rig, orphan):
    status = rig.queue.get_status(orphan)

    assert (status.is_running, status.worker, lines(rig)) == (True, None, (0, 1))
    assert rig.take_changes() == []


def test_run_that_is_not_resumable_is_a_crash_when_the_server_cuts_its_connection(rig, worker):
    rig.submit_background()
    handle = rig.start(worker)
    rig.effects.clear()

    rig.disconnect(worker, was_cut=True)

    assert rig.take_changes() == [make_requeued(handle, now=NOW)]


def test_resumable_run_is_a_crash_when_its_worker_closes_the_connection(rig, worker, running):
    rig.disconnect(worker)

    assert rig.take_changes() == [make_requeued(running, now=NOW)]


def test_nobody_else_gets_an_orphan(rig, orphan):
    assert rig.grab(rig.worker()) is None


def test_function_of_an_orphan_is_in_use(rig, orphan):
    with pytest.raises(FunctionInUse):
        rig.queue.drop_function(RESIZE)


def test_orphan_is_queued_again_when_its_worker_does_not_come_back(rig, orphan):
    rig.pass_time(39.9)
    assert rig.take_changes() == []
    assert rig.queue.next_due() == pytest.approx(NOW + 40)

    rig.pass_time(0.2)

    assert rig.take_changes() == [make_requeued(orphan, Cut.NOT_RESUMED, now=rig.now)]
    assert (rig.start(rig.worker()), rig.take_changes()[0].attempt) == (orphan, 2)


def test_orphan_wakes_a_sleeper_when_it_is_queued_again(rig, orphan):
    sleeper = rig.sleeper()

    rig.pass_time(40.0)

    assert rig.take_woken() == [sleeper]


def test_orphan_that_had_its_last_run_is_given_up():
    rig = QueueRig(QueueRules(job_retries=1))
    rig.submit_background()
    worker = rig.worker()
    rig.start(worker, is_resumable=True)
    rig.disconnect(worker, was_cut=True)
    rig.effects.clear()

    rig.pass_time(40.0)

    failure = JobFailure(message="server or connection lost at attempt 1, and no retry is left")
    assert rig.take_changes() == [Finished(H1, Outcome.LOST, b"", rig.now, failure)]


def test_cancelled_orphan_is_over_and_its_run_refused(rig, orphan):
    rig.queue.cancel_job(orphan, now=NOW)

    assert rig.take_changes() == [Finished(orphan, Outcome.CANCELLED, b"", NOW)]
    assert (rig.resume(rig.worker(), orphan), lines(rig)) == (REFUSED, (0, 0))


def test_time_limit_of_a_run_holds_while_it_is_an_orphan(rig):
    worker = rig.worker(timeout_s=5.0)
    rig.submit_background()
    handle = rig.start(worker, is_resumable=True)
    rig.disconnect(worker, was_cut=True)
    rig.effects.clear()

    rig.pass_time(5.0)

    assert rig.take_changes() == [make_requeued(handle, Cut.TIMED_OUT, now=rig.now)]
    assert rig.resume(rig.worker(), handle) is REFUSED


def test_orphans_are_waited_for_as_long_whatever_the_clock_is_set_to(rig, orphan):
    rig.queue.clock_set(3600.0)

    rig.pass_time(3639.9)
    assert rig.take_changes() == []

    rig.pass_time(0.2)
    assert len(rig.take_changes()) == 1


# Coming back.


def test_worker_comes_back_to_its_run_and_ends_it(rig, orphan):
    again = rig.worker()

    assert rig.resume(again, orphan) is ACCEPTED

    assert (rig.queue.get_status(orphan).worker, lines(rig), rig.take_changes()) == (again, (0, 1), [])
    rig.complete(again, orphan)
    assert (rig.take_changes(), lines(rig)) == ([Finished(orphan, Outcome.SUCCEEDED, b"done", NOW)], (0, 0))


def test_run_that_was_resumed_is_waited_for_no_longer(rig, orphan):
    rig.resume(rig.worker(), orphan)

    rig.pass_time(60.0)

    assert (rig.take_changes(), lines(rig)) == ([], (0, 1))


def test_run_that_was_resumed_is_lost_with_its_new_connection(rig, orphan):
    again = rig.worker()
    rig.resume(again, orphan)

    rig.disconnect(again)

    assert rig.take_changes() == [make_requeued(orphan, now=NOW)]


def test_run_moves_to_the_connection_on_which_its_worker_comes_back(rig, worker, running):
    again = rig.worker()

    assert rig.resume(again, running) is ACCEPTED

    rig.disconnect(worker)
    assert (rig.take_changes(), lines(rig)) == ([], (0, 1))
    rig.complete(again, running)
    assert rig.take_changes() == [Finished(running, Outcome.SUCCEEDED, b"done", NOW)]


def test_connection_that_a_run_has_left_may_not_report_on_it(rig, worker, running):
    rig.resume(rig.worker(), running)

    with pytest.raises(JobNotHeld):
        rig.complete(worker, running)


def test_worker_comes_back_under_its_name(rig):
    worker = rig.worker()
    rig.queue.set_client_id(worker, "press-1")
    rig.submit_background()
    handle = rig.start(worker, is_resumable=True)
    again = rig.worker()

    rig.queue.set_client_id(again, "press-2")
    assert rig.resume(again, handle) is REFUSED

    rig.queue.set_client_id(again, "press-1")
    assert rig.resume(again, handle) is ACCEPTED


def test_run_that_is_this_connections_already_stays_so(rig, worker, running):
    assert rig.resume(worker, running) is ACCEPTED

    assert lines(rig) == (0, 1)
    rig.complete(worker, running)


def test_second_worker_with_the_same_run_is_refused_when_the_first_has_ended_it(rig, orphan):
    again = rig.worker()
    rig.resume(again, orphan)
    rig.complete(again, orphan)
    rig.commit()

    assert rig.resume(rig.worker(), orphan) is UNKNOWN


def test_run_of_a_job_that_was_given_to_another_is_refused(rig, worker, running):
    rig.disconnect(worker)
    rig.start(rig.worker(), is_resumable=True)

    assert rig.resume(rig.worker(), running) is REFUSED


def test_worker_may_come_back_without_having_registered_the_function(rig, orphan):
    again = rig.client()

    assert rig.resume(again, orphan) is ACCEPTED

    rig.fail(again, orphan)
    assert rig.take_changes()[0].outcome is Outcome.FAILED


def test_run_whose_start_was_never_committed_is_taken_out_of_the_queue():
    rig = restored(make_stored(attempt=1))
    again = rig.worker()

    assert rig.resume(again, H1, 2) is ACCEPTED

    assert rig.take_changes() == [Started(H1, 2, ("10.0.0.1:5000",), NOW, is_resumable=True)]
    assert (rig.grab(again), lines(rig)) == (None, (0, 1))


def test_run_taken_out_of_the_queue_has_the_time_its_worker_registered():
    rig = restored(make_stored())
    again = rig.worker(timeout_s=5.0)
    rig.resume(again, H1)
    rig.effects.clear()

    rig.pass_time(5.0)

    assert rig.take_changes() == [make_requeued(H1, Cut.TIMED_OUT, now=rig.now)]


def test_run_may_be_taken_out_of_the_queue_by_a_worker_without_the_function():
    rig = restored(make_stored())

    assert rig.resume(rig.worker(MAIL), H1) is ACCEPTED
    assert rig.grab(rig.worker()) is None


# A server that was started again, or took the jobs over.


def test_restored_run_waits_for_its_worker():
    rig = restored(make_stored_run())

    assert (rig.take_changes(), lines(rig), rig.grab(rig.worker())) == ([], (0, 1), None)
    assert rig.resume(rig.worker(), H1) is ACCEPTED


@pytest.mark.parametrize(
    ("is_resumable", "owner_gone_s", "left_s"), [(True, 0.0, 40.0), (True, 12.5, 27.5), (False, 0.0, 10.0)]
)
def test_restored_run_is_waited_for_from_its_owners_last_sign_of_life(is_resumable, owner_gone_s, left_s):
    rig = restored(make_stored_run(is_resumable=is_resumable, owner_gone_s=owner_gone_s))

    assert rig.queue.next_due() == NOW + left_s
    rig.pass_time(left_s)
    assert rig.take_changes() == [make_requeued(H1, Cut.NOT_RESUMED, now=NOW + left_s)]


@pytest.mark.parametrize(("is_resumable", "owner_gone_s"), [(True, 40.0), (True, 99.0), (False, 10.0)])
def test_restored_run_whose_time_is_over_is_queued_at_once(is_resumable, owner_gone_s):
    rig = restored(make_stored_run(is_resumable=is_resumable, owner_gone_s=owner_gone_s))

    assert rig.take_changes() == [make_requeued(H1, Cut.NOT_RESUMED, now=NOW)]
    assert rig.start(rig.worker()) == H1


def test_times_are_the_operators():
    rules = QueueRules(reattach=ReattachRules(resumable_s=30.0, stock_s=2.0))

    assert restored(make_stored_run(), rules).queue.next_due() == NOW + 30
    assert restored(make_stored_run(is_resumable=False), rules).queue.next_due() == NOW + 2


def test_restored_run_of_a_worker_that_cannot_come_back_is_refused():
    rig = restored(make_stored_run(is_resumable=False))

    assert rig.resume(rig.worker(), H1) is REFUSED


def test_restored_orphans_are_queued_again_in_the_order_of_acceptance():
    rig = QueueRig()
    rig.queue.restore([make_stored_run(b"H:1"), make_stored_run(b"H:2"), make_stored_run(b"H:3")], now=NOW)

    rig.pass_time(40.0)

    assert rig.drain(rig.worker()) == [b"H:1", b"H:2", b"H:3"]


def test_restored_run_is_known_to_run_since_the_restart():
    stage = Stage()

    stage.life.restore(make_stored_run(), now=NOW)

    assert (stage.life.jobs[H1].state, stage.life.jobs[H1].started_at) == (JobState.ORPHANED, NOW)


# When a worker may forget an outcome.


def test_worker_may_forget_an_outcome_once_it_is_committed(rig, worker, running):
    rig.complete(worker, running)
    assert rig.take_settled() == []

    rig.commit()

    assert rig.take_settled() == [(worker, running)]


def test_worker_may_forget_a_failure_once_it_is_committed(rig, worker, running):
    rig.raise_exception(worker, running)
    rig.fail(worker, running)
    assert rig.take_settled() == []

    rig.commit()

    assert rig.take_settled() == [(worker, running)]


def test_worker_that_cannot_come_back_keeps_no_outcomes(rig, worker):
    rig.submit_background()
    rig.complete(worker, rig.start(worker))
    rig.commit()

    assert rig.take_settled() == []


def test_worker_may_forget_at_once_what_it_reports_of_a_cancelled_job(rig, worker, running):
    rig.queue.cancel_job(running, now=NOW)

    rig.complete(worker, running)

    assert rig.take_settled() == [(worker, running)]


def test_progress_of_a_cancelled_job_is_passed_over(rig, worker, running):
    rig.queue.cancel_job(running, now=NOW)
    rig.effects.clear()

    rig.report_progress(worker, running)

    assert rig.effects == []


def test_outcome_may_be_reported_again_on_a_new_connection(rig, worker, running):
    rig.complete(worker, running)
    rig.disconnect(worker)
    again = rig.worker()

    assert rig.resume(again, running) is ACCEPTED
    rig.complete(again, running)

    assert [change.handle for change in rig.take_changes()] == [running]
    rig.queue.committed(Finished(running, Outcome.SUCCEEDED, b"done", NOW), now=NOW)
    assert rig.take_settled() == [(again, running)]


def test_outcome_that_was_committed_before_it_is_reported_again_is_settled_already(rig, worker, running):
    rig.complete(worker, running)
    rig.disconnect(worker)
    again = rig.worker()
    rig.resume(again, running)
    rig.commit()
    assert rig.take_settled() == [(again, running)]

    rig.complete(again, running)

    assert rig.effects == []


def test_second_report_of_an_outcome_is_refused(rig, worker, running):
    rig.complete(worker, running)

    with pytest.raises(JobNotHeld):
        rig.complete(worker, running)
