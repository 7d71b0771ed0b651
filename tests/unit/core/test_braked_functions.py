"""Whom functions wake that an operator pauses or limits."""

from __future__ import annotations

import pytest

from gearjobs.core.function_brake import NO_CONTROL, QueueControl
from tests.support.core_builders import NOW, RESIZE
from tests.support.core_stages import Hall

PAUSED = QueueControl(is_paused=True)
SLOW = QueueControl(rate=1, per_s=10.0)


@pytest.fixture
def hall():
    return Hall()


def test_job_of_a_paused_function_calls_nobody(hall):
    hall.sleeper(1)
    hall.abilities.control(RESIZE, PAUSED, now=NOW)

    hall.queue_job()

    assert hall.take_woken() == []


def test_worker_that_falls_asleep_at_a_paused_function_stays_asleep(hall):
    hall.abilities.control(RESIZE, PAUSED, now=NOW)
    hall.queue_job()

    hall.sleeper(1)

    assert hall.take_woken() == []


def test_function_may_be_paused_before_its_first_mention(hall):
    hall.abilities.control(RESIZE, PAUSED, now=NOW)

    assert hall.abilities.functions == {}
    assert hall.abilities.function(RESIZE).is_paused


def test_as_many_sleepers_as_jobs_are_called_when_a_function_goes_on(hall):
    hall.abilities.control(RESIZE, PAUSED, now=NOW)
    for number in (1, 2, 3):
        hall.sleeper(number)
    for _ in range(2):
        hall.queue_job()

    hall.abilities.control(RESIZE, NO_CONTROL, now=NOW)

    assert hall.take_woken() == [1, 2]


def test_nobody_is_called_for_a_function_that_goes_on_without_jobs(hall):
    hall.abilities.control(RESIZE, PAUSED, now=NOW)
    hall.sleeper(1)

    hall.abilities.control(RESIZE, NO_CONTROL, now=NOW)

    assert hall.take_woken() == []


def test_start_under_a_limit_calls_the_next_where_one_more_may_start(hall):
    hall.abilities.control(RESIZE, QueueControl(concurrency=2), now=NOW)
    hall.queue_job()
    hall.sleeper(1)
    hall.take_woken()
    hall.sleeper(2)
    hall.take_woken()
    queue = hall.abilities.function(RESIZE)
    queue.running = 1
    hall.sleeper(3)

    hall.abilities.note_start(queue, now=NOW)

    assert hall.take_woken() == [3]


def test_rate_that_opens_calls_a_sleeper(hall):
    hall.abilities.control(RESIZE, SLOW, now=NOW)
    hall.abilities.note_start(hall.abilities.function(RESIZE), now=NOW)
    hall.sleeper(1)
    hall.queue_job()

    hall.abilities.open_controls(NOW + 10)

    assert hall.take_woken() == [1]


def test_rate_of_a_function_that_is_gone_calls_nobody(hall):
    hall.abilities.control(RESIZE, SLOW, now=NOW)
    hall.abilities.note_start(hall.abilities.function(RESIZE), now=NOW)
    hall.abilities.functions.clear()

    hall.abilities.open_controls(NOW + 10)

    assert (hall.take_woken(), hall.abilities.functions) == ([], {})
