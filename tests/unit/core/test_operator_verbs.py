"""What an operator may say to the queue: cancel, create, drop, limit; and what that means for the peers' verbs."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import CancelAsked, Finished
from gearjobs.core.effects import NewsKind
from gearjobs.core.function_brake import NO_CONTROL, QueueControl
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.snapshot import StatusView
from gearjobs.errors import FunctionInUse, FunctionUnknown, JobNotHeld, JobUnknown, QueueFull
from tests.support.core_builders import MAIL, NOW, RESIZE, background
from tests.support.core_stages import QueueRig


@pytest.fixture
def rig():
    return QueueRig()


def cancel(rig, handle):
    rig.queue.cancel_job(handle, now=rig.now)


def names(rig):
    return [view.name for view in rig.queue.functions()]


def report_data(rig, worker, handle):
    rig.queue.work_data(worker, handle, b"part", now=rig.now)


def report_warning(rig, worker, handle):
    rig.queue.work_warning(worker, handle, b"low ink", now=rig.now)


REPORTS = [QueueRig.report_progress, report_data, report_warning]
ENDINGS = [QueueRig.complete, QueueRig.fail, QueueRig.raise_exception]


@pytest.fixture
def held(rig):
    """A worker and the job that was cancelled while it runs it."""
    worker, handle = rig.worker(), rig.submit_background()
    rig.start(worker)
    cancel(rig, handle)
    rig.commit()
    return worker, handle


def test_cancelled_job_is_not_run(rig):
    cancel(rig, rig.submit_background())

    assert rig.grab(rig.worker()) is None


def test_cancelled_job_is_unknown_once_that_is_committed(rig):
    handle = rig.submit_background()
    cancel(rig, handle)
    rig.commit()

    assert rig.queue.get_status(handle) == StatusView()
    with pytest.raises(JobUnknown):
        cancel(rig, handle)


def test_refused_job_that_was_cancelled_meanwhile_never_was(rig):
    handle = rig.receipt(rig.client(), background()).handle
    cancel(rig, handle)

    rig.refuse()

    assert rig.queue.get_status(handle) == StatusView()


@pytest.mark.parametrize("report", [*REPORTS, *ENDINGS])
def test_whatever_a_worker_reports_of_a_cancelled_job_is_passed_over(rig, held, report):
    report(rig, *held)

    assert rig.effects == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_end_of_a_cancelled_job_is_passed_over_once(rig, held, ending):
    worker, handle = held
    ending(rig, worker, handle)

    with pytest.raises(JobNotHeld):
        rig.report_progress(worker, handle)


def test_late_failure_after_the_exception_of_a_cancelled_job_is_passed_over_too(rig, held):
    worker, handle = held
    rig.raise_exception(worker, handle)

    rig.fail(worker, handle)

    assert rig.effects == []


def test_cancelled_job_does_not_come_back_when_its_worker_is_lost(rig, held):
    worker, _ = held

    rig.disconnect(worker)

    assert rig.grab(rig.worker()) is None


def test_client_that_leaves_after_its_job_was_cancelled_is_not_missed(rig):
    client = rig.client()
    cancel(rig, rig.submit(client))

    rig.disconnect(client)

    assert [(news.connection, news.kind) for news in rig.take_news()] == [(client, NewsKind.FAIL)]


def test_created_function_is_listed_and_an_existing_one_stays_as_it_is(rig):
    rig.submit(rig.client())

    rig.queue.create_function(MAIL)
    rig.queue.create_function(RESIZE)

    assert [(view.name, view.total) for view in rig.queue.functions()] == [(RESIZE, 1), (MAIL, 0)]


def test_dropped_function_is_gone_with_its_jobs(rig):
    handle = rig.submit_background()
    rig.queue.drop_function(RESIZE)

    assert (names(rig), rig.queue.get_status(handle)) == ([], StatusView())


def test_function_that_a_worker_can_do_is_not_dropped(rig):
    rig.worker()

    with pytest.raises(FunctionInUse):
        rig.queue.drop_function(RESIZE)


def test_unknown_function_is_not_dropped(rig):
    with pytest.raises(FunctionUnknown):
        rig.queue.drop_function(MAIL)


def test_dropped_function_that_is_mentioned_again_starts_anew(rig):
    rig.submit(rig.client())
    rig.queue.limit_function(RESIZE, (1, 1, 1))
    rig.queue.drop_function(RESIZE)

    handles = [rig.submit(rig.client()) for _ in range(2)]

    assert rig.drain(rig.worker()) == handles


def test_delayed_job_of_a_dropped_function_does_not_come_back_at_its_time(rig):
    rig.submit_background(run_at=NOW + 60)
    rig.queue.drop_function(RESIZE)

    rig.pass_time(61)

    assert rig.grab(rig.worker()) is None


def test_full_function_refuses_a_new_job(rig):
    rig.submit(rig.client())
    rig.queue.limit_function(RESIZE, (1, 1, 1))

    with pytest.raises(QueueFull, match="b'resize' has as many jobs as its maxqueue allows"):
        rig.submit(rig.client())


def test_job_that_runs_counts_for_the_limit(rig):
    rig.submit(rig.client())
    rig.start(rig.worker())
    rig.queue.limit_function(RESIZE, (1, 1, 1))

    with pytest.raises(QueueFull):
        rig.submit(rig.client())


def test_job_that_is_being_stored_counts_for_the_limit(rig):
    # Pipelined submits of one commit would else all find the function empty.
    rig.queue.create_function(RESIZE)
    rig.queue.limit_function(RESIZE, (1, 1, 1))
    rig.receipt(rig.client(), background())

    with pytest.raises(QueueFull):
        rig.receipt(rig.client(), background())


def test_full_function_still_lets_live_jobs_be_joined(rig):
    handle = rig.submit(rig.client(), unique=b"u1")
    rig.queue.limit_function(RESIZE, (1, 1, 1))

    assert rig.submit(rig.client(), unique=b"u1") == handle


def test_each_lane_has_its_limit_on_the_jobs_of_all_lanes(rig):
    rig.submit(rig.client(), priority=-50)
    rig.queue.limit_function(RESIZE, (0, 2, 1))

    rig.submit(rig.client(), priority=0)
    rig.submit(rig.client(), priority=50)
    with pytest.raises(QueueFull):
        rig.submit(rig.client(), priority=-50)
    with pytest.raises(QueueFull):
        rig.submit(rig.client(), priority=0)


def test_limit_of_an_unknown_function_is_passed_over(rig):
    rig.queue.limit_function(FunctionName(b"print"), (1, 1, 1))

    assert names(rig) == []


def test_refused_jobs_leave_room(rig):
    rig.queue.create_function(RESIZE)
    rig.queue.limit_function(RESIZE, (1, 1, 1))
    rig.receipt(rig.client(), background())

    rig.refuse()

    assert rig.receipt(rig.client(), background()).handle == JobHandle(b"H:2")


def pause(rig, function=RESIZE, *, is_paused=True):
    rig.queue.pause_function(function, is_paused=is_paused, now=rig.now)


def control(rig, function=RESIZE, **said):
    rig.queue.control_functions({function: QueueControl(**said)}, now=rig.now)


def test_paused_function_hands_out_nothing_and_others_go_on(rig):
    worker = rig.worker(RESIZE, MAIL)
    rig.submit_background()
    mail = rig.submit_background(function=MAIL)

    pause(rig)

    assert rig.drain(worker) == [mail]


def test_job_that_runs_goes_on_though_its_function_is_paused(rig):
    worker, handle = rig.worker(), rig.submit_background()
    rig.start(worker)
    pause(rig)

    rig.complete(worker, handle)
    rig.commit()

    assert rig.queue.get_status(handle) == StatusView()


def test_run_that_was_lost_waits_for_the_end_of_the_pause(rig):
    worker, handle = rig.worker(), rig.submit_background()
    rig.start(worker)
    pause(rig)
    rig.disconnect(worker)
    other = rig.worker()
    paused = rig.grab(other)

    pause(rig, is_paused=False)

    assert (paused, rig.grab(other)) == (None, handle)


def test_status_counts_the_jobs_of_a_paused_function_as_ever(rig):
    rig.submit_background()
    before = rig.queue.functions()

    pause(rig)

    assert rig.queue.functions() == before
    assert rig.queue.loads()[0].is_paused


def test_pause_outlives_its_function(rig):
    rig.submit(rig.client())
    pause(rig)
    rig.queue.drop_function(RESIZE)
    rig.submit(rig.client())

    assert rig.grab(rig.worker()) is None


def test_pause_leaves_the_other_things_that_are_said(rig):
    control(rig, concurrency=3)

    pause(rig)

    assert rig.queue.control_of(RESIZE) == QueueControl(is_paused=True, concurrency=3)


def test_concurrency_that_an_operator_set_is_kept(rig):
    control(rig, concurrency=1)
    first, second = rig.submit_background(), rig.submit_background()
    worker, other = rig.worker(), rig.worker()
    taken = [rig.grab(worker), rig.grab(other)]

    rig.complete(worker, first)

    assert (taken, rig.grab(other)) == ([first, None], second)


def test_sleeper_is_woken_when_a_run_leaves_room_under_the_operators_limit(rig):
    control(rig, concurrency=1)
    first, _ = rig.submit_background(), rig.submit_background()
    worker = rig.worker()
    rig.start(worker)
    sleeper = rig.sleeper()
    before = rig.take_woken()

    rig.complete(worker, first)

    assert (before, rig.take_woken()) == ([], [sleeper])


def test_orphan_keeps_its_place_under_the_operators_limit(rig):
    control(rig, concurrency=1)
    rig.submit_background()
    rig.submit_background()
    worker = rig.heedful_worker()
    rig.start(worker, is_resumable=True)
    rig.disconnect(worker, was_cut=True)

    assert rig.grab(rig.worker()) is None


def test_rate_that_an_operator_set_is_kept(rig):
    control(rig, rate=1, per_s=10.0)
    _, second = rig.submit_background(), rig.submit_background()
    rig.start(rig.worker())
    sleeper = rig.sleeper()
    due = rig.queue.next_due()
    rig.take_woken()

    rig.pass_time(10)

    assert (due, rig.take_woken(), rig.grab(sleeper)) == (NOW + 10, [sleeper], second)


def test_new_controls_replace_all_old_ones(rig):
    control(rig, RESIZE, is_paused=True)

    control(rig, MAIL, is_paused=True)

    assert (rig.queue.control_of(RESIZE), rig.queue.control_of(MAIL)) == (NO_CONTROL, QueueControl(is_paused=True))


def test_controls_that_say_the_same_call_nobody(rig):
    control(rig, concurrency=1)
    rig.queue.limit_function(RESIZE, (7, 7, 7))

    control(rig, concurrency=1)

    assert rig.take_woken() == []


def test_limit_of_jobs_that_an_operator_set_refuses_one_more(rig):
    control(rig, max_jobs=(1, 1, 1))
    rig.submit(rig.client())

    with pytest.raises(QueueFull):
        rig.submit(rig.client())


def test_cleared_function_has_only_its_running_job_left(rig):
    worker = rig.worker()
    running = rig.submit_background()
    rig.start(worker)
    for _ in range(3):
        rig.submit_background()

    cleared = rig.queue.clear_jobs(rig.queue.waiting_jobs(RESIZE), reason="stop it", now=rig.now)

    assert (cleared, rig.grab(worker)) == (3, None)
    rig.complete(worker, running)


def test_clients_that_wait_for_a_cleared_job_hear_that_it_failed(rig):
    client = rig.client()
    handle = rig.submit(client)

    rig.queue.clear_jobs([handle], now=rig.now)

    assert [(news.connection, news.kind) for news in rig.take_news()] == [(client, NewsKind.FAIL)]


def test_reason_for_cancelling_is_recorded_of_jobs_that_wait_and_of_those_that_run(rig):
    worker, waiting = rig.heedful_worker(), rig.submit_background(function=MAIL)
    running = rig.submit_background()
    rig.start(worker)
    rig.take_changes()

    for handle in (waiting, running):
        rig.queue.cancel_job(handle, is_forced=False, reason="wrong customer", now=rig.now)

    finished, asked = rig.take_changes()
    assert isinstance(finished, Finished)
    assert finished.cancel_reason == "wrong customer"
    assert asked == CancelAsked(running, rig.now, "wrong customer")


def test_maxqueue_yields_to_what_an_operator_said(rig):
    rig.submit(rig.client())
    rig.queue.control_functions({RESIZE: QueueControl(max_jobs=(3, 3, 3))}, now=NOW)

    rig.queue.limit_function(RESIZE, (1, 1, 1))

    rig.submit(rig.client())
    rig.submit(rig.client())
    with pytest.raises(QueueFull):
        rig.submit(rig.client())
