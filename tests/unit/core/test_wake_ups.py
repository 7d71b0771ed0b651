"""That no wake-up is ever lost: calls that are answered, heard late, or never."""

from __future__ import annotations

import pytest

from gearjobs.core.jobs import ConnectionId
from gearjobs.core.peers import Wakefulness
from tests.support.core_builders import MAIL, NOW, RESIZE
from tests.support.core_stages import RECALL_AFTER_S, Hall, QueueRig


@pytest.fixture
def hall():
    return Hall()


def test_sleeper_that_grabs_by_itself_is_awake(hall):
    peer = hall.sleeper(1)

    hall.grab(peer)
    hall.queue_job()

    assert hall.take_woken() == []


def test_worker_that_woke_up_is_not_waited_for(hall):
    peer = hall.sleeper(1)
    hall.queue_job()

    hall.grab(peer)

    assert hall.abilities.next_recall() is None


def test_worker_that_woke_up_is_not_called_when_it_registers(hall):
    peer = hall.sleeper(1, MAIL)
    hall.grab(peer)
    hall.queue_job(RESIZE)

    hall.abilities.add(peer, RESIZE, timeout_s=0.0, now=NOW)

    assert hall.take_woken() == []


def test_called_worker_that_finds_nothing_passes_nothing_on(hall):
    called, awake = hall.sleeper(1), hall.worker(3)
    hall.sleeper(2)
    hall.queue_job()
    hall.grab(awake)
    hall.take_woken()

    hall.grab(called)

    assert hall.take_woken() == []


def test_call_is_given_its_time(hall):
    hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job()
    hall.take_woken()

    hall.abilities.recall(NOW + RECALL_AFTER_S - 0.001)

    assert hall.take_woken() == []


def test_each_unanswered_round_calls_more_sleepers(hall):
    for number in range(1, 8):
        hall.sleeper(number)
    hall.queue_job()
    rounds = [hall.take_woken()]

    for number in (1, 2):
        hall.abilities.recall(NOW + number * RECALL_AFTER_S)
        rounds.append(hall.take_woken())

    assert rounds == [[1], [2], [3, 4]]


def test_answered_call_begins_the_rounds_anew(hall):
    for number in range(1, 8):
        hall.sleeper(number)
    hall.queue_job()
    hall.abilities.recall(NOW + RECALL_AFTER_S)
    hall.grab(hall.abilities.peers[ConnectionId(2)])
    hall.queue_job(now=NOW + 1)
    hall.take_woken()

    hall.abilities.recall(NOW + 2)

    assert hall.take_woken() == [4]


def test_worker_that_hears_late_still_counts_as_called(hall):
    late = hall.sleeper(1)
    hall.queue_job()
    hall.abilities.recall(NOW + RECALL_AFTER_S)

    assert late.wakefulness is Wakefulness.CALLED


def test_nothing_is_recalled_where_nobody_was_called(hall):
    hall.sleeper(1)

    hall.abilities.recall(NOW + 1)

    assert hall.take_woken() == []


def test_repeated_call_is_waited_for_behind_the_others(hall):
    first = hall.sleeper(1)
    hall.sleeper(2)
    hall.queue_job(now=NOW)
    hall.queue_job(now=NOW + 1)

    hall.abilities.fall_asleep(first, now=NOW + 2)

    assert hall.abilities.next_recall() == NOW + 1 + RECALL_AFTER_S


def test_every_job_is_worked_off_by_sleepers_that_answer_their_calls():
    rig = QueueRig()
    for _ in range(3):
        rig.sleeper()
    for _ in range(10):
        rig.submit(rig.client())

    grabbed = 0
    while woken := rig.take_woken():
        for worker in woken:
            grabbed += len(rig.drain(worker))
            rig.queue.pre_sleep(worker, now=rig.now)

    assert grabbed == 10
