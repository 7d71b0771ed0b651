"""The lines of one function: who comes first, and that the counts are right."""

from __future__ import annotations

from gearjobs.core.function_brake import FunctionBrake, QueueControl
from gearjobs.core.jobs import JobState, move
from gearjobs.core.limited_line import LimitedLine
from gearjobs.core.limits import Throttles
from gearjobs.core.terms import JobTerms, Limit
from tests.support.core_builders import NOW, RESIZE, make_queue, make_waiting

DESK = (Limit("desk", concurrency=1),)


def take_all(queue):
    return [job.handle for job in iter(queue.take, None)]


def withdraw(queue, job):
    move(job, JobState.ENDED)
    queue.withdraw(job)


def test_first_come_first_served_within_a_priority():
    queue = make_queue(make_waiting(b"first"), make_waiting(b"second"), make_waiting(b"third"))

    assert take_all(queue) == [b"first", b"second", b"third"]


def test_higher_priority_comes_first():
    queue = make_queue(
        make_waiting(b"low", priority=-50), make_waiting(b"high", priority=50), make_waiting(b"normal", priority=0)
    )

    assert take_all(queue) == [b"high", b"normal", b"low"]


def test_white_box_lines_of_many_priorities_are_forgotten_when_they_are_empty():
    queue = make_queue()
    for priority in range(1, 21):
        queue.push(make_waiting(priority=priority))
        queue.take()
    queue.push(make_waiting(b"low", priority=2))
    queue.push(make_waiting(b"high", priority=3))

    assert len(queue._lines) == len(queue._urgencies) <= 8
    assert take_all(queue) == [b"high", b"low"]


def test_held_job_comes_back_to_a_priority_whose_line_was_forgotten():
    held = make_waiting(b"held", priority=0)
    held.is_background = True
    queue = make_queue(held)
    queue.hold_stored()
    at_first = queue.take()
    for priority in range(1, 10):
        queue.push(make_waiting(b"%d" % priority, priority=priority))

    queue.release_stored()

    assert (at_first, take_all(queue)[-2:]) == (None, [b"1", b"held"])


def test_numbers_between_the_wires_three_words_order_too():
    queue = make_queue(make_waiting(b"7", priority=7), make_waiting(b"50", priority=50), make_waiting(b"8", priority=8))

    assert take_all(queue) == [b"50", b"8", b"7"]


def test_empty_queue_gives_nothing():
    assert make_queue().take() is None


def test_top_priority_is_that_of_the_next_job():
    queue = make_queue(make_waiting(b"normal"), make_waiting(b"high", priority=50))

    assert queue.top_priority() == 50


def test_empty_queue_has_no_top_priority():
    assert make_queue().top_priority() is None


def test_priority_that_emptied_may_fill_again():
    queue = make_queue(make_waiting(b"high", priority=50), make_waiting(b"normal"))
    queue.take()
    queue.push(make_waiting(b"high again", priority=50))

    assert take_all(queue) == [b"high again", b"normal"]


def test_waiting_jobs_are_counted_by_lane():
    queue = make_queue(make_waiting(priority=50), make_waiting(priority=1), make_waiting(), make_waiting(priority=-1))

    assert queue.waiting == [2, 1, 1]


def test_taken_job_is_not_counted():
    queue = make_queue(make_waiting(priority=50), make_waiting())

    queue.take()

    assert queue.waiting == [0, 1, 0]


def test_waiting_total_is_over_all_lanes():
    queue = make_queue(make_waiting(priority=50), make_waiting(), make_waiting(priority=-50))

    assert queue.waiting_total == 3


def test_total_counts_jobs_of_any_state():
    queue = make_queue(make_waiting())
    queue.running, queue.delayed = 2, 4

    assert queue.total == 7


def test_withdrawn_job_is_passed_over():
    first, second = make_waiting(b"first"), make_waiting(b"second")
    queue = make_queue(first, second)

    withdraw(queue, first)

    assert take_all(queue) == [b"second"]


def test_withdrawn_job_leaves_the_counts_at_once():
    job = make_waiting(priority=-50)
    queue = make_queue(job)

    withdraw(queue, job)

    assert queue.waiting_total == 0


def test_withdrawn_job_lets_its_payload_go():
    job = make_waiting()
    queue = make_queue(job)

    withdraw(queue, job)

    assert job.payload == b""


def test_line_of_withdrawn_jobs_only_has_no_top_priority():
    high = make_waiting(b"high", priority=50)
    queue = make_queue(high, make_waiting(b"normal"))

    withdraw(queue, high)

    assert queue.top_priority() == 0


def test_oldest_job_is_found_whatever_its_priority():
    old, new = make_waiting(b"old", priority=-50), make_waiting(b"new", priority=50)
    old.queued_at, new.queued_at = 10.0, 20.0

    assert make_queue(new, old).oldest_queued_at() == 10.0


def test_withdrawn_job_is_not_the_oldest():
    old, new = make_waiting(b"old"), make_waiting(b"new")
    old.queued_at, new.queued_at = 10.0, 20.0
    queue = make_queue(old, new)

    withdraw(queue, old)

    assert queue.oldest_queued_at() == 20.0


def test_looking_for_the_oldest_job_leaves_an_emptied_line_in_order():
    high, normal = make_waiting(b"high", priority=50), make_waiting(b"normal")
    queue = make_queue(high, normal)
    withdraw(queue, high)

    queue.oldest_queued_at()

    assert take_all(queue) == [b"normal"]


def test_empty_queue_has_no_oldest_job():
    assert make_queue().oldest_queued_at() is None


def test_white_box_withdrawn_jobs_do_not_pile_up_where_nobody_takes():
    # Each client that gave up left its job in the line until a worker came, however long that was.
    queue = make_queue(make_waiting(b"first"))
    for _ in range(5_000):
        given_up = make_waiting(b"given up")
        queue.push(given_up)
        withdraw(queue, given_up)

    assert len(queue._lines[0]) < 500


def test_sweep_of_withdrawn_jobs_keeps_the_order_of_the_others():
    jobs = [make_waiting(b"%d" % number, priority=number % 2) for number in range(900)]
    queue = make_queue(*jobs)
    kept = [job for number, job in enumerate(jobs) if number % 3 == 0]

    for job in jobs:
        if job not in kept:
            withdraw(queue, job)

    in_order = sorted(kept, key=lambda job: -job.priority)
    assert take_all(queue) == [job.handle for job in in_order]


def test_function_takes_any_number_of_jobs_at_first():
    assert not make_queue(make_waiting()).is_full(0)


def test_limit_counts_jobs_of_any_state_and_priority():
    queue = make_queue(make_waiting(priority=-50))
    queue.running = queue.delayed = queue.storing = 1
    queue.limits = (4, 4, 5)

    assert [queue.is_full(priority) for priority in (50, 0, -50)] == [True, True, False]


def make_stored(handle, *, priority=0):
    job = make_waiting(handle, priority=priority)
    job.is_background = True
    return job


def make_held(*jobs):
    queue = make_queue(*jobs)
    queue.hold_stored()
    return queue


def test_held_jobs_are_passed_by():
    queue = make_held(make_stored(b"stored"), make_waiting(b"plain"), make_stored(b"stored too"))

    assert take_all(queue) == [b"plain"]
    assert (queue.waiting_total, queue.top_priority()) == (2, None)


def test_priority_with_nothing_but_held_jobs_is_passed_by():
    queue = make_held(make_stored(b"stored", priority=50), make_waiting(b"plain"))

    assert queue.top_priority() == 0


def test_released_jobs_stand_where_they_stood():
    queue = make_held(make_stored(b"1"), make_waiting(b"2"), make_stored(b"3", priority=50), make_waiting(b"4"))
    assert queue.take().handle == b"2"
    queue.push(make_stored(b"5", priority=50))

    queue.release_stored()

    assert take_all(queue) == [b"3", b"5", b"1", b"4"]


def test_held_jobs_may_be_put_back_and_stay_held():
    stored, upgraded = make_stored(b"stored"), make_stored(b"upgraded")
    queue = make_held(stored, upgraded, make_waiting(b"plain"))
    queue.top_priority()
    upgraded.is_background = False

    queue.put_back()

    assert take_all(queue) == [b"upgraded", b"plain"]


def test_job_that_waits_longest_may_be_a_held_one():
    stored, plain = make_stored(b"stored"), make_waiting(b"plain")
    stored.queued_at, plain.queued_at = 5.0, 7.0
    queue = make_held(stored, plain)
    queue.top_priority()

    assert queue.oldest_queued_at() == 5.0


def test_dropped_job_among_held_ones_does_not_come_back():
    jobs = [make_stored(b"first"), make_stored(b"dropped"), make_stored(b"last")]
    queue = make_held(*jobs)
    withdraw(queue, jobs[1])
    queue.top_priority()
    withdraw(queue, jobs[0])

    queue.release_stored()

    assert take_all(queue) == [b"last"]


def test_dropped_jobs_are_swept_out_among_held_ones():
    jobs = [make_stored(b"%d" % number) for number in range(300)]
    queue = make_held(*jobs, make_stored(b"last"))
    queue.top_priority()

    for job in jobs:
        withdraw(queue, job)

    assert sum(len(line) for line in queue._aside.values()) < 50
    queue.release_stored()
    assert take_all(queue) == [b"last"]


def test_certain_job_may_be_taken_out_of_its_turn():
    jobs = [make_waiting(b"1"), make_waiting(b"2"), make_waiting(b"3")]
    queue = make_queue(*jobs)

    queue.pull(jobs[1])

    assert (queue.waiting_total, take_all(queue)) == (2, [b"1", b"3"])


def test_certain_job_may_be_taken_from_among_held_ones():
    jobs = [make_stored(b"1"), make_stored(b"2"), make_waiting(b"3"), make_stored(b"4")]
    queue = make_held(*jobs)
    queue.top_priority()

    queue.pull(jobs[1])
    queue.pull(jobs[3])
    queue.release_stored()

    assert (queue.waiting_total, take_all(queue)) == (2, [b"1", b"3"])


def limited(handle, *, priority=0):
    return make_waiting(handle, priority=priority, terms=JobTerms(limits=DESK))


def make_limited_queue(*jobs, running=0):
    """Return a queue with these waiting jobs, and so many jobs of theirs that run."""
    throttles = Throttles()
    for _ in range(running):
        throttles.begin(DESK, now=NOW)
    queue = make_queue()
    queue.limited = LimitedLine(RESIZE, throttles)
    for job in jobs:
        queue.push(job)
    return queue


def test_jobs_with_and_without_limits_come_in_one_order():
    queue = make_limited_queue(
        make_waiting(b"1"), limited(b"2"), make_waiting(b"3"), limited(b"urgent", priority=50), make_waiting(b"4")
    )

    assert take_all(queue) == [b"urgent", b"1", b"2", b"3", b"4"]


def test_jobs_from_before_the_first_with_limits_are_older():
    queue = make_queue(make_waiting(b"older"))
    queue.limited = LimitedLine(RESIZE, Throttles())
    queue.push(limited(b"newer"))

    assert take_all(queue) == [b"older", b"newer"]


def test_more_urgent_job_without_limits_comes_first():
    queue = make_limited_queue(limited(b"normal"), make_waiting(b"high", priority=50))

    assert (queue.top_priority(), take_all(queue)) == (50, [b"high", b"normal"])


def test_job_over_its_limit_holds_nobody_up():
    queue = make_limited_queue(limited(b"parked", priority=50), make_waiting(b"free"), running=1)

    assert (queue.top_priority(), take_all(queue)) == (0, [b"free"])


def test_job_over_its_limit_counts_as_waiting():
    queue = make_limited_queue(limited(b"parked", priority=50), make_waiting(b"free"), running=1)

    assert (queue.waiting, queue.throttled, queue.may_hold_up) == ([1, 1, 0], 1, True)


def test_queue_without_limits_holds_nothing_up():
    queue = make_queue(make_waiting())

    assert (queue.throttled, queue.may_hold_up) == (0, False)


def test_dropped_job_with_limits_leaves_the_counts():
    job = limited(b"dropped")
    queue = make_limited_queue(job, running=1)

    withdraw(queue, job)

    assert (queue.waiting_total, queue.throttled) == (0, 0)


def test_certain_job_with_limits_is_pulled_out():
    job = limited(b"pulled")
    queue = make_limited_queue(job, limited(b"stays"))

    queue.pull(job)

    assert (queue.waiting_total, take_all(queue)) == (1, [b"stays"])


def test_jobs_with_limits_are_not_taken_while_stored_ones_are_held():
    queue = make_limited_queue(limited(b"held"), make_waiting(b"foreground"))
    queue.hold_stored()

    assert take_all(queue) == [b"foreground"]

    queue.release_stored()
    assert take_all(queue) == [b"held"]


def test_age_of_the_oldest_job_counts_those_with_limits():
    old, new = limited(b"old"), make_waiting(b"new")
    old.queued_at, new.queued_at = NOW, NOW + 5

    assert make_limited_queue(old, new, running=1).oldest_queued_at() == NOW


def test_sweeping_reaches_the_jobs_with_limits():
    queue = make_limited_queue(limited(b"stays"), running=1)
    for number in range(300):
        job = limited(b"%d" % number)
        queue.push(job)
        withdraw(queue, job)

    assert (queue.waiting_total, queue.throttled) == (1, 1)


def test_paused_function_gives_nothing_and_counts_as_ever():
    queue = make_queue(make_waiting(b"first"), make_waiting(b"second", priority=50))
    queue.brake = FunctionBrake(QueueControl(is_paused=True))

    assert (queue.top_priority(), queue.take(), queue.waiting) == (None, None, [1, 1, 0])
    assert (queue.is_paused, queue.may_hold_up, queue.throttled) == (True, True, 0)


def test_function_that_is_not_paused_any_more_gives_its_jobs_in_order():
    queue = make_queue(make_waiting(b"first"), make_waiting(b"second", priority=50))
    queue.brake = FunctionBrake(QueueControl(is_paused=True))
    queue.take()
    queue.brake = None

    assert take_all(queue) == [b"second", b"first"]


def test_jobs_behind_an_operators_limit_are_throttled_while_it_holds():
    queue = make_queue(make_waiting(b"first"), make_waiting(b"second"))
    queue.brake = FunctionBrake(QueueControl(concurrency=1))
    free = queue.throttled
    queue.running = 1

    assert (free, queue.throttled, queue.take()) == (0, 2, None)


def test_jobs_are_counted_as_they_enter_and_as_they_are_taken():
    queue = make_queue(make_waiting(b"first"), make_waiting(b"second"))
    queue.take()

    assert (queue.entered, queue.taken) == (2, 1)
