"""The verbs, one after the other, with what PROTOCOL says gearmand means by them.

Which job a submit makes or joins is in `test_submitting`, what becomes of runs that are cut short in `test_cut_runs`,
what workers report in `test_run_reports`, what gearmand loses and doubles in `test_gearmand_defects`.
"""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished
from gearjobs.core.effects import NewsKind
from gearjobs.core.flow_rates import FlowRate
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.snapshot import FunctionView, StatusView
from gearjobs.errors import UniqueTooLong
from tests.support.core_builders import MAIL, NOW, RESIZE, background, make_stored
from tests.support.core_stages import QueueRig

PRINT = FunctionName(b"print")
UNKNOWN = JobHandle(b"H:unknown")


@pytest.fixture
def rig():
    return QueueRig()


def outcomes(rig):
    return [change.outcome for change in rig.take_changes() if isinstance(change, Finished)]


def told(rig):
    return [(news.connection, news.kind) for news in rig.take_news()]


def test_background_submit_is_answered_after_its_commit(rig):
    assert rig.receipt(rig.client(), background()).awaits_store


def test_background_job_is_not_handed_out_before_its_commit(rig):
    rig.receipt(rig.client(), background())

    assert rig.grab(rig.worker()) is None


def test_refused_background_job_is_unknown(rig):
    handle = rig.receipt(rig.client(), background()).handle

    rig.refuse()

    assert rig.queue.get_status(handle) == StatusView()


def test_unique_of_65_bytes_is_refused(rig):
    with pytest.raises(UniqueTooLong, match="at most 64 bytes, got 65"):
        rig.submit(rig.client(), unique=b"u" * 65)


def test_status_of_a_job_over_its_life(rig):
    worker, handle = rig.worker(), rig.submit(rig.client())
    waiting = rig.queue.get_status(handle)
    rig.report_progress(worker, rig.start(worker))
    running = rig.queue.get_status(handle)
    rig.complete(worker, handle)
    ended = rig.queue.get_status(handle)

    assert [waiting, running, ended] == [
        StatusView(is_known=True, clients=1),
        StatusView(is_known=True, is_running=True, numerator=3, denominator=10, clients=1),
        StatusView(),
    ]


def test_status_by_unique_finds_a_job_of_any_function(rig):
    rig.submit(rig.client(), MAIL, unique=b"u1")

    assert rig.queue.get_status_unique(b"u1").is_known


def test_status_by_an_unknown_unique_is_all_zero(rig):
    assert rig.queue.get_status_unique(b"u1") == StatusView()


def test_worker_without_functions_gets_nothing(rig):
    rig.submit(rig.client())

    assert rig.grab(rig.client()) is None


def test_urgent_job_of_any_function_comes_first(rig):
    client = rig.client()
    normal, low = rig.submit(client, RESIZE), rig.submit(client, MAIL, priority=-50)
    high = rig.submit(client, PRINT, priority=50)

    assert rig.drain(rig.worker(PRINT, MAIL, RESIZE)) == [high, normal, low]


def test_functions_take_turns_last_registered_first(rig):
    client = rig.client()
    mails = [rig.submit(client, MAIL) for _ in range(2)]
    photos = [rig.submit(client, RESIZE) for _ in range(2)]

    assert rig.drain(rig.worker(MAIL, RESIZE)) == [photos[0], mails[0], photos[1], mails[1]]


def test_worker_may_hold_several_jobs_and_end_them_in_any_order(rig):
    client, worker = rig.client(), rig.worker()
    first, second = rig.submit(client), rig.submit(client)
    rig.drain(worker)

    rig.complete(worker, second)
    rig.complete(worker, first)

    assert [news.handle for news in rig.take_news()] == [second, first]


def test_pre_sleep_with_work_waiting_wakes_at_once(rig):
    rig.submit(rig.client())

    worker = rig.sleeper()

    assert rig.take_woken() == [worker]


def test_sleeper_is_woken_by_a_submit(rig):
    worker = rig.sleeper()

    rig.submit(rig.client())

    assert rig.take_woken() == [worker]


def test_call_that_nobody_answers_is_passed_on_in_time(rig):
    rig.sleeper()
    second = rig.sleeper()
    rig.submit(rig.client())
    rig.take_woken()

    rig.pass_time(0.05)

    assert rig.take_woken() == [second]


def test_call_that_found_the_job_gone_is_settled(rig):
    called = rig.sleeper()
    rig.submit(rig.client())
    rig.grab(rig.worker())

    rig.grab(called)

    assert rig.queue.next_due() is None


@pytest.mark.parametrize("function", [MAIL, PRINT])
def test_cant_do_of_what_the_worker_never_could_is_ignored(rig, function):
    rig.worker(MAIL)
    worker = rig.worker(RESIZE)

    rig.queue.cant_do(worker, function, now=NOW)

    assert [view.name for view in rig.queue.functions()] == [MAIL, RESIZE]


def test_reset_abilities_gives_everything_back(rig):
    worker = rig.worker(MAIL, RESIZE)
    handles = [rig.submit(rig.client(), function) for function in (MAIL, RESIZE)]
    rig.drain(worker)

    rig.queue.reset_abilities(worker, now=NOW)

    assert not any(rig.queue.get_status(handle).is_running for handle in handles)
    assert rig.grab(worker) is None


def test_lost_workers_jobs_go_to_the_end_of_the_line_the_last_assigned_first(rig):
    worker, client = rig.worker(), rig.client()
    first, second = rig.submit(client), rig.submit(client)
    rig.drain(worker)
    third = rig.submit(client)

    rig.disconnect(worker)

    assert rig.drain(rig.worker()) == [third, second, first]


def test_queued_job_is_dropped_when_its_last_client_leaves(rig):
    first, last = rig.client(), rig.client()
    rig.submit(first, unique=b"u1")
    rig.submit(last, unique=b"u1")

    rig.disconnect(first)
    jobs_of_the_last = len(rig.queue.jobs())
    rig.disconnect(last)

    assert (jobs_of_the_last, rig.queue.jobs(), rig.grab(rig.worker())) == (1, [], None)


def test_running_job_goes_on_when_its_client_leaves_and_its_result_is_dropped(rig):
    client, worker = rig.client(), rig.worker()
    handle = rig.submit(client)
    rig.start(worker)

    rig.disconnect(client)
    rig.complete(worker, handle)

    assert (rig.effects, rig.queue.jobs()) == ([], [])


def test_client_that_left_hears_nothing(rig):
    leaver, stayer, worker = rig.client(), rig.client(), rig.worker()
    for client in (leaver, stayer, leaver):
        rig.submit(client, unique=b"u1")

    rig.disconnect(leaver)
    rig.complete(worker, rig.start(worker))

    assert told(rig) == [(stayer, NewsKind.COMPLETE)]


def test_lost_connection_is_not_shown_any_more(rig):
    rig.disconnect(rig.worker())

    assert (rig.queue.peers(), rig.queue.connection_count()) == ([], 0)
    assert rig.queue.functions() == [FunctionView(RESIZE, 0, 0, 0, 0, 0)]


def test_worker_is_recorded_and_shown_by_the_id_it_gave(rig):
    worker = rig.worker()
    rig.queue.set_client_id(worker, "web-1")
    rig.submit(rig.client())

    job = rig.queue.grab_job(worker, now=NOW)

    assert job is not None
    assert job.worker_ids == ("web-1",)
    assert rig.queue.peers()[0].client_id == "web-1"


def test_load_of_a_function_says_since_when_its_oldest_job_waits(rig):
    rig.submit(rig.client())

    assert [load.oldest_queued_at for load in rig.queue.loads()] == [NOW]


def test_functions_are_shown_with_what_waits_and_runs(rig):
    for priority in (50, 50, 0, -50):
        rig.submit(rig.client(), priority=priority)
    rig.submit_background(run_at=NOW + 60)

    rig.start(rig.worker())

    assert rig.queue.functions() == [FunctionView(RESIZE, high=1, normal=2, low=1, running=1, workers=1)]


def test_epoch_job_is_not_handed_out_before_its_time(rig):
    rig.submit_background(run_at=NOW + 60)

    rig.pass_time(59.9)

    assert rig.grab(rig.worker()) is None


def test_epoch_job_wakes_a_sleeper_at_its_time(rig):
    # gearmand 1.1.20 has no timer for it.
    sleeper = rig.sleeper()
    rig.submit_background(run_at=NOW + 60)

    rig.pass_time(60)

    assert rig.take_woken() == [sleeper]


def test_run_that_takes_too_long_is_taken_back(rig):
    slow = rig.worker(timeout_s=30.0)
    handle = rig.submit(rig.client())
    rig.start(slow)

    rig.pass_time(30)

    assert rig.grab(rig.worker()) == handle


def test_next_due_is_the_earliest_of_everything_that_waits_for_its_time(rig):
    rig.submit_background(run_at=NOW + 60)
    epoch_only = rig.queue.next_due()
    rig.submit(rig.client())
    rig.start(rig.worker(timeout_s=30.0))

    assert (epoch_only, rig.queue.next_due()) == (NOW + 60, NOW + 30)


def test_function_registered_without_a_timeout_may_run_for_ever(rig):
    worker = rig.client()
    rig.queue.can_do(worker, RESIZE, now=NOW)
    rig.submit(rig.client())

    rig.start(worker)

    assert rig.queue.next_due() is None


def test_idle_queue_has_nothing_due(rig):
    rig.sleeper()

    assert rig.queue.next_due() is None


def test_restored_jobs_run_in_the_order_of_their_acceptance(rig):
    rig.queue.restore([make_stored(b"H:1"), make_stored(b"H:2")], now=NOW)

    assert rig.drain(rig.worker()) == [b"H:1", b"H:2"]


def test_restored_jobs_wake_sleepers(rig):
    sleepers = [rig.sleeper(), rig.sleeper()]

    rig.queue.restore([make_stored(b"H:1"), make_stored(b"H:2")], now=NOW)

    assert rig.take_woken() == sleepers


def test_commit_of_a_start_leaves_the_job_running(rig):
    handle = rig.submit_background()
    rig.start(rig.worker())

    rig.commit()

    assert rig.queue.get_status(handle).is_running


def test_ended_background_job_is_known_until_its_outcome_is_committed(rig):
    worker, handle = rig.worker(), rig.submit_background()
    rig.complete(worker, rig.start(worker))
    before = rig.queue.get_status(handle)

    rig.commit()

    assert (before.is_running, rig.queue.get_status(handle).is_known) == (True, False)


def test_last_report_of_a_worker_is_kept(rig):
    worker = rig.worker(b"resize")

    rig.queue.worker_report(worker, b"first")
    rig.queue.worker_report(worker, b"last")

    assert [peer.report for peer in rig.queue.peers() if peer.connection == worker] == [b"last"]


def test_workers_are_found_by_the_beginning_of_their_names(rig):
    workers = [rig.worker(b"resize") for _ in range(3)]
    for worker, name in zip(workers, ("box-0", "box-1", "other"), strict=True):
        rig.queue.set_client_id(worker, name)

    assert rig.queue.workers_called("box-*") == workers[:2]


def test_rate_tells_how_fast_jobs_come_and_are_taken(rig):
    rig.submit(rig.client())
    rig.queue.read_rates(rig.now)
    worker = rig.worker()
    for _ in range(10):
        rig.submit(rig.client())
    rig.start(worker)

    assert rig.queue.rate(RESIZE, rig.now + 10) == FlowRate(entered=1.0, taken=0.1)
