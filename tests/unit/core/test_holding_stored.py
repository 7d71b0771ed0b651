"""While the store is in doubt no background job is handed out, foreground ones are, and the order stays."""

from __future__ import annotations

import pytest

from gearjobs.core.job_queue import QueueRules
from tests.support.core_builders import MAIL, NOW, background, make_stored
from tests.support.core_stages import QueueRig


@pytest.fixture
def rig():
    return QueueRig()


@pytest.fixture
def held(rig):
    """A queue that holds its stored jobs."""
    rig.queue.hold_stored()
    return rig


def release(rig):
    rig.queue.release_stored(rig.now)


def test_held_job_is_not_handed_out_and_counts_as_waiting(held):
    held.submit_background()

    assert held.grab(held.worker()) is None
    assert held.queue.functions()[0].normal == 1


def test_foreground_jobs_are_handed_out_past_held_ones(held):
    held.submit_background()
    foreground = held.submit(held.client())

    assert held.drain(held.worker()) == [foreground]


def test_released_jobs_come_in_their_order(held):
    first, second = held.submit_background(), held.submit_background()
    worker = held.worker()
    held.grab(worker)
    third = held.submit_background()

    release(held)

    assert held.drain(worker) == [first, second, third]


def test_jobs_taken_out_of_the_store_are_held(held):
    held.queue.restore([make_stored()], now=NOW)

    assert held.grab(held.worker()) is None


def test_functions_that_are_mentioned_later_are_held(held):
    held.submit_background(function=MAIL)

    assert held.grab(held.worker(MAIL)) is None


def test_functions_that_were_mentioned_before_are_held(rig):
    rig.submit_background()

    rig.queue.hold_stored()

    assert rig.grab(rig.worker()) is None


def test_job_that_is_made_durable_is_held_from_then_on(held):
    client = held.client()
    held.submit(client, unique=b"u1")
    held.receipt(client, background(unique=b"u1"))

    assert held.grab(held.worker()) is None


def test_held_job_wakes_nobody(held):
    held.sleeper()

    held.submit_background()

    assert held.take_woken() == []


def test_foreground_job_wakes_a_sleeper_past_a_held_one(held):
    held.submit_background()
    sleeper = held.sleeper()

    held.submit(held.client())

    assert held.take_woken() == [sleeper]


def test_worker_that_falls_asleep_over_held_jobs_is_not_called(held):
    held.submit_background()

    held.sleeper()

    assert held.take_woken() == []


def test_release_wakes_a_sleeper_for_each_job(held):
    sleepers = [held.sleeper() for _ in range(3)]
    held.submit_background()
    held.submit_background()

    release(held)

    assert held.take_woken() == sleepers[:2]


def test_release_wakes_every_sleeper_where_all_are_to_be_called():
    rig = QueueRig(QueueRules(wakeup_limit=0))
    rig.queue.hold_stored()
    sleepers = [rig.sleeper() for _ in range(3)]
    rig.submit_background()

    release(rig)

    assert rig.take_woken() == sleepers


def test_release_wakes_nobody_where_nothing_waits(held):
    held.sleeper()

    release(held)

    assert held.take_woken() == []


def test_release_wakes_nobody_where_nobody_sleeps(held):
    held.submit_background()
    held.worker()

    release(held)

    assert held.take_woken() == []


def test_without_a_store_nothing_is_held():
    rig = QueueRig(QueueRules(has_store=False))
    handle = rig.receipt(rig.client(), background()).handle

    rig.queue.hold_stored()

    assert rig.grab(rig.worker()) == handle


def test_job_whose_acceptance_is_refused_is_a_foreground_job_again_and_passes(held):
    client = held.client()
    held.submit_background()
    handle = held.submit(client, unique=b"u1")
    held.receipt(client, background(unique=b"u1"))
    worker = held.worker()
    held.grab(worker)
    held.queue.pre_sleep(worker, now=NOW)

    held.refuse()

    assert held.take_woken() == [worker]
    assert held.drain(worker) == [handle]


def test_job_whose_acceptance_is_refused_wakes_nobody_where_nothing_is_held(rig):
    client = rig.client()
    rig.submit(client, unique=b"u1")
    rig.receipt(client, background(unique=b"u1"))
    rig.sleeper()
    rig.sleeper()
    called = rig.take_woken()

    rig.refuse()

    assert (len(called), rig.take_woken()) == (2, [])


def test_run_of_a_held_job_may_be_resumed(held):
    held.queue.restore([make_stored(b"H:8"), make_stored(b"H:9")], now=NOW)
    worker = held.worker()
    held.grab(worker)

    assert held.resume(worker, b"H:9") == "accepted"

    release(held)
    assert held.drain(worker) == [b"H:8"]


def test_held_job_that_is_cancelled_does_not_come_back(held):
    first, second = held.submit_background(), held.submit_background()
    worker = held.worker()
    held.grab(worker)
    held.queue.cancel_job(first, now=NOW)

    release(held)

    assert held.drain(worker) == [second]
