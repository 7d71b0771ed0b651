"""Who can do what, who sleeps and who is called; how calls go on is in `test_wake_ups`."""

from __future__ import annotations

import pytest

from gearjobs.core.jobs import ConnectionId
from gearjobs.core.limited_line import LimitedLine
from gearjobs.core.limits import Throttles
from gearjobs.core.terms import JobTerms, Limit
from tests.support.core_builders import MAIL, NOW, RESIZE, make_waiting
from tests.support.core_stages import RECALL_AFTER_S, Hall


@pytest.fixture
def hall():
    return Hall()


def functions_of(peer):
    return [ability.queue.name for ability in peer.abilities]


def test_function_is_made_at_its_first_mention(hall):
    hall.abilities.function(RESIZE)

    assert list(hall.abilities.functions) == [RESIZE]


def test_function_is_made_once(hall):
    assert hall.abilities.function(RESIZE) is hall.abilities.function(RESIZE)


def test_last_registered_function_is_asked_first(hall):
    assert functions_of(hall.worker(1, RESIZE, MAIL)) == [MAIL, RESIZE]


def test_worker_is_counted_at_its_function(hall):
    hall.worker(1)

    assert hall.abilities.function(RESIZE).workers == {ConnectionId(1)}


def test_repeated_registration_counts_once_and_keeps_its_place(hall):
    # gearmand registers twice and shows two workers.
    assert functions_of(hall.worker(1, RESIZE, MAIL, RESIZE)) == [MAIL, RESIZE]


def test_repeated_registration_renews_the_timeout(hall):
    peer = hall.worker(1)

    hall.abilities.add(peer, RESIZE, timeout_s=7.0, now=NOW)

    assert peer.abilities[0].timeout_s == 7.0


def test_awake_worker_that_registers_is_not_called(hall):
    hall.queue_job()

    hall.worker(1)

    assert hall.take_woken() == []


def test_sleeping_worker_that_registers_hears_of_the_next_job(hall):
    peer = hall.sleeper(1, MAIL)
    hall.abilities.add(peer, RESIZE, timeout_s=0.0, now=NOW)

    hall.queue_job(RESIZE)

    assert hall.take_woken() == [1]


def test_sleeping_worker_that_registers_is_called_where_a_job_waits(hall):
    # gearmand leaves the job waiting and the worker asleep.
    peer = hall.sleeper(1, MAIL)
    hall.queue_job(RESIZE)

    hall.abilities.add(peer, RESIZE, timeout_s=0.0, now=NOW)

    assert hall.take_woken() == [1]


def test_removed_function_is_not_the_workers_any_more(hall):
    peer = hall.worker(1, RESIZE, MAIL)

    hall.abilities.remove(peer, hall.abilities.function(MAIL), now=NOW)

    assert functions_of(peer) == [RESIZE]


def test_removing_what_was_never_registered_does_nothing(hall):
    peer = hall.worker(1, RESIZE)

    hall.abilities.remove(peer, hall.abilities.function(MAIL), now=NOW)

    assert functions_of(peer) == [RESIZE]


def test_sleeper_is_not_called_for_a_function_it_gave_up(hall):
    peer = hall.sleeper(1, RESIZE, MAIL)
    hall.abilities.remove(peer, hall.abilities.function(RESIZE), now=NOW)

    hall.queue_job(RESIZE)

    assert hall.take_woken() == []


def test_called_worker_that_gives_the_function_up_passes_the_call_on(hall):
    called = hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job()
    hall.take_woken()

    hall.abilities.remove(called, hall.abilities.function(RESIZE), now=NOW)

    assert hall.take_woken() == [2]


def test_called_worker_that_gives_another_function_up_keeps_the_call(hall):
    called = hall.sleeper(1, RESIZE, MAIL)
    hall.sleeper(2)
    hall.queue_job(RESIZE)
    hall.take_woken()

    hall.abilities.remove(called, hall.abilities.function(MAIL), now=NOW)

    assert called.called_for is hall.abilities.function(RESIZE)


def test_call_is_not_passed_on_where_the_job_is_gone(hall):
    called, awake = hall.sleeper(1), hall.worker(3)
    hall.sleeper(2)
    hall.queue_job()
    hall.grab(awake)
    hall.take_woken()

    hall.abilities.remove(called, hall.abilities.function(RESIZE), now=NOW)

    assert hall.take_woken() == []


def test_lost_worker_can_do_nothing_any_more(hall):
    peer = hall.worker(1, RESIZE, MAIL)

    hall.abilities.strip(peer, now=NOW)

    assert functions_of(peer) == []


def test_lost_worker_passes_its_call_on(hall):
    called = hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job()
    hall.take_woken()

    hall.abilities.strip(called, now=NOW)

    assert hall.take_woken() == [2]


def test_lost_worker_is_not_waited_for(hall):
    called = hall.sleeper(1)
    hall.queue_job()

    hall.abilities.strip(called, now=NOW)

    assert hall.abilities.next_recall() is None


def test_worker_that_falls_asleep_where_nothing_waits_is_not_called(hall):
    hall.sleeper(1)

    assert hall.take_woken() == []


def test_worker_that_falls_asleep_where_a_job_waits_is_called_at_once(hall):
    # The race rule: the job came between its NO_JOB and its PRE_SLEEP.
    hall.queue_job()

    hall.sleeper(1)

    assert hall.take_woken() == [1]


def test_worker_is_called_for_any_of_its_functions(hall):
    hall.queue_job(RESIZE)

    hall.sleeper(1, RESIZE, MAIL)

    assert hall.take_woken() == [1]


def test_worker_that_repeats_pre_sleep_where_a_job_waits_is_called_each_time_alone(hall):
    peer = hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job()

    hall.abilities.fall_asleep(peer, now=NOW)

    assert hall.take_woken() == [1, 1]


def test_worker_that_repeats_pre_sleep_where_nothing_waits_is_called_once_a_job(hall):
    peer = hall.sleeper(1)
    hall.abilities.fall_asleep(peer, now=NOW)

    hall.queue_job()

    assert hall.take_woken() == [1]


def test_called_worker_that_sleeps_again_after_the_job_is_gone_hears_of_the_next(hall):
    called, awake = hall.sleeper(1), hall.worker(2)
    hall.queue_job()
    hall.grab(awake)
    hall.take_woken()

    hall.abilities.fall_asleep(called, now=NOW)
    hall.queue_job()

    assert hall.take_woken() == [1]


def test_called_worker_that_sleeps_again_has_settled_its_call(hall):
    called, awake = hall.sleeper(1), hall.worker(2)
    hall.queue_job()
    hall.grab(awake)

    hall.abilities.fall_asleep(called, now=NOW)

    assert (hall.abilities.next_recall(), hall.abilities.awaken(called)) == (None, None)


def test_worker_called_for_one_function_and_then_another_passes_the_first_call_on(hall):
    # PRE_SLEEP of a worker called for `resize` turned its call into one for `mail`: nobody was called for `resize`.
    called = hall.sleeper(1, RESIZE, MAIL)
    hall.sleeper(2, RESIZE)
    hall.queue_job(RESIZE)
    hall.queue_job(MAIL)
    hall.take_woken()

    hall.abilities.fall_asleep(called, now=NOW)

    assert hall.take_woken() == [1, 2]


def test_nobody_is_called_where_nobody_sleeps(hall):
    hall.worker(1)

    hall.queue_job()

    assert hall.take_woken() == []


def test_sleeper_of_another_function_is_left_alone(hall):
    hall.sleeper(1, MAIL)

    hall.queue_job(RESIZE)

    assert hall.take_woken() == []


def test_one_sleeper_is_called_a_job(hall):
    for number in (1, 2, 3):
        hall.sleeper(number)

    hall.queue_job()

    assert hall.take_woken() == [1]


def test_each_job_calls_another_sleeper_and_first_who_waits_with_a_grab(hall):
    for number in (1, 2, 3):
        hall.sleeper(number)
    hall.abilities.fall_asleep(hall.worker(4), is_asking=True, now=NOW)

    hall.queue_job()
    hall.queue_job()

    assert hall.take_woken() == [4, 1]


def test_limit_says_how_many_sleepers_are_called_a_job():
    hall = Hall(wakeup_limit=2)
    for number in (1, 2, 3):
        hall.sleeper(number)

    hall.queue_job()

    assert hall.take_woken() == [1, 2]


def test_limit_zero_calls_all_sleepers():
    hall = Hall(wakeup_limit=0)
    for number in (1, 2, 3):
        hall.sleeper(number)

    hall.queue_job()

    assert hall.take_woken() == [1, 2, 3]


def test_called_worker_is_not_called_again_before_it_grabs():
    hall = Hall(wakeup_limit=0)
    hall.sleeper(1)

    hall.queue_job()
    hall.queue_job()

    assert hall.take_woken() == [1]


def test_calls_go_round_the_sleepers(hall):
    first = hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job()
    hall.grab(first)
    hall.abilities.fall_asleep(first, now=NOW)

    hall.queue_job()

    assert hall.take_woken() == [1, 2]


def test_awake_worker_was_called_for_nothing(hall):
    hall.queue_job()

    assert hall.abilities.awaken(hall.worker(1)) is None


def test_called_worker_was_called_for_its_function(hall):
    peer = hall.sleeper(1)
    hall.queue_job()

    assert hall.abilities.awaken(peer) is hall.abilities.function(RESIZE)


def test_called_worker_that_takes_another_functions_job_passes_the_call_to_one_other(hall):
    called = hall.sleeper(1, RESIZE, MAIL)
    hall.sleeper(2, RESIZE)
    hall.sleeper(3, RESIZE)
    hall.queue_job(RESIZE)
    hall.queue_job(MAIL, priority=50)
    hall.take_woken()

    hall.grab(called)

    assert hall.take_woken() == [2]


def test_called_worker_that_takes_the_job_passes_nothing_on(hall):
    called = hall.sleeper(1)
    hall.sleeper(2)
    hall.sleeper(3)
    hall.queue_job()
    hall.queue_job()
    hall.take_woken()

    hall.grab(called)

    assert hall.take_woken() == []


def test_unanswered_call_goes_to_the_next_sleeper(hall):
    hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job()
    hall.take_woken()

    hall.abilities.recall(NOW + RECALL_AFTER_S)

    assert hall.take_woken() == [2]


def test_unanswered_call_for_a_job_that_is_gone_is_dropped(hall):
    hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job()
    hall.grab(hall.worker(3))
    hall.take_woken()

    hall.abilities.recall(NOW + RECALL_AFTER_S)

    assert hall.take_woken() == []


def test_call_for_a_function_the_worker_gave_up_is_over(hall):
    called = hall.sleeper(1, RESIZE, MAIL)
    hall.queue_job(RESIZE)
    hall.abilities.remove(called, hall.abilities.function(RESIZE), now=NOW)
    hall.take_woken()

    hall.abilities.recall(NOW + RECALL_AFTER_S)

    assert (hall.take_woken(), hall.abilities.awaken(called)) == ([], None)


def test_next_recall_is_that_of_the_oldest_call(hall):
    hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job(now=NOW)
    hall.queue_job(now=NOW + 0.01)

    assert hall.abilities.next_recall() == NOW + RECALL_AFTER_S


def test_nothing_to_recall_where_all_sleep(hall):
    hall.sleeper(1)

    assert hall.abilities.next_recall() is None


def test_worker_that_pauses_on_the_bench_sleeps_though_a_job_waits_and_is_not_called_for_another():
    hall = Hall()
    peer = hall.worker(1)
    hall.queue_job()
    peer.abilities[0].resumes_at = NOW + 3

    hall.abilities.fall_asleep(peer, now=NOW)
    hall.queue_job()

    assert hall.take_woken() == []


def test_sleeper_that_may_be_called_again_is_called_where_a_job_waits():
    hall = Hall()
    peer = hall.sleeper(1)
    queue = hall.abilities.function(RESIZE)
    hall.abilities.pass_over(peer, queue, now=NOW)
    hall.queue_job()
    before = hall.take_woken()

    hall.abilities.call_again(peer, queue, now=NOW)

    assert (before, hall.take_woken()) == ([], [peer.connection])


def queue_stored(hall):
    job = make_waiting()
    job.is_background = True
    queue = hall.abilities.function(RESIZE)
    queue.push(job)
    hall.abilities.announce(queue, now=NOW)


def test_held_job_calls_nobody_until_it_is_released(hall):
    sleeper = hall.sleeper(1)
    hall.abilities.hold_stored()
    queue_stored(hall)
    before = hall.take_woken()

    hall.abilities.release_stored(now=NOW)

    assert (before, hall.take_woken()) == ([], [sleeper.connection])


def test_function_that_is_first_mentioned_while_jobs_are_held_holds_its_own(hall):
    hall.abilities.hold_stored()

    assert hall.abilities.function(RESIZE).is_held


def test_release_calls_nobody_where_nothing_waits_or_nobody_sleeps(hall):
    hall.sleeper(1, MAIL)
    hall.abilities.hold_stored()
    queue_stored(hall)

    hall.abilities.release_stored(now=NOW)

    assert hall.take_woken() == []


def test_calls_are_recalled_as_soon_whatever_the_clock_is_set_to(hall):
    hall.sleeper(1)
    hall.queue_job(now=NOW)

    hall.abilities.move_calls(-3600.0)

    assert hall.abilities.next_recall() == pytest.approx(NOW + RECALL_AFTER_S - 3600.0)


def test_nobody_is_called_for_a_job_over_its_limit(hall):
    limits = (Limit("desk", concurrency=1),)
    throttles = Throttles()
    throttles.begin(limits, now=NOW)
    queue = hall.abilities.function(RESIZE)
    queue.limited = LimitedLine(RESIZE, throttles)
    sleeper = hall.sleeper(1)
    queue.push(make_waiting(terms=JobTerms(limits=limits)))
    hall.abilities.announce(queue, now=NOW)
    hall.abilities.call_next(queue, now=NOW)
    assert hall.take_woken() == []

    throttles.end(limits)
    hall.abilities.call_next(queue, now=NOW)

    assert hall.take_woken() == [sleeper.connection]
