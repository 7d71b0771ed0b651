"""The lines of one function: who comes first, and that the counts are right."""

from __future__ import annotations

from gearjobs.core.jobs import JobState, move
from tests.support.core_builders import make_queue, make_waiting


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
