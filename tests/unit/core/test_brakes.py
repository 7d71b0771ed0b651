"""What operators say of all functions: which queues obey it, and when rates let one more start."""

from __future__ import annotations

import pytest

from gearjobs.core.brakes import QueueControls
from gearjobs.core.function_brake import NO_CONTROL, QueueControl
from gearjobs.core.function_queue import NO_LIMITS
from tests.support.core_builders import MAIL, NOW, RESIZE, make_queue

PAUSED = QueueControl(is_paused=True)
SLOW = QueueControl(rate=1, per_s=10.0)


@pytest.fixture
def controls():
    return QueueControls()


def obeying(controls, control):
    """Let `resize` have to obey this; return its queue."""
    queue = make_queue()
    controls.say(RESIZE, control, now=NOW)
    controls.fit(queue)
    return queue


def test_function_of_which_nothing_is_said_has_no_brake(controls):
    controls.say(MAIL, PAUSED, now=NOW)

    assert (controls.find(RESIZE), obeying(controls, NO_CONTROL).brake) == (NO_CONTROL, None)


def test_what_is_said_is_found_and_obeyed(controls):
    queue = obeying(controls, PAUSED)

    assert (controls.find(RESIZE), list(controls), queue.is_paused) == (PAUSED, [RESIZE], True)


def test_nothing_takes_back_what_was_said(controls):
    queue = obeying(controls, PAUSED)

    controls.say(RESIZE, NO_CONTROL, now=NOW)
    controls.fit(queue)

    assert (list(controls), queue.brake) == ([], None)


def test_limit_of_jobs_replaces_maxqueue_and_ends_with_it(controls):
    queue = obeying(controls, QueueControl(max_jobs=(3, 2, 1)))
    limits = queue.limits
    controls.say(RESIZE, PAUSED, now=NOW)
    controls.fit(queue)

    assert (limits, queue.limits) == ((3, 2, 1), NO_LIMITS)


def test_pause_leaves_maxqueue_as_it_was(controls):
    queue = make_queue()
    queue.limits = (1, 1, 1)
    controls.say(RESIZE, PAUSED, now=NOW)

    controls.fit(queue)

    assert queue.limits == (1, 1, 1)


def test_start_counts_for_the_rate(controls):
    queue = obeying(controls, SLOW)

    controls.note_start(queue, now=NOW)

    assert (controls.next_due(), queue.brake.holds(0)) == (NOW + 10, True)


def test_start_of_a_function_without_rate_is_not_counted(controls):
    controls.note_start(obeying(controls, PAUSED), now=NOW)
    controls.note_start(make_queue(name=MAIL), now=NOW)

    assert controls.next_due() is None


def test_rate_opens_at_its_time_and_not_before(controls):
    queue = obeying(controls, SLOW)
    controls.note_start(queue, now=NOW)

    assert controls.open_due(NOW + 9) == []
    assert controls.open_due(NOW + 10) == [RESIZE]
    assert (controls.next_due(), queue.brake.holds(0)) == (None, False)


def test_rate_that_was_exceeded_by_a_run_that_came_back_opens_later(controls):
    queue = obeying(controls, SLOW)
    controls.note_start(queue, now=NOW)
    controls.note_start(queue, now=NOW + 4)

    assert controls.open_due(NOW + 10) == []
    assert controls.next_due() == NOW + 14


def test_new_rate_counts_the_starts_that_the_old_one_knew(controls):
    controls.note_start(obeying(controls, SLOW), now=NOW)

    queue = obeying(controls, QueueControl(rate=1, per_s=20.0))

    assert (controls.next_due(), queue.brake.holds(0)) == (NOW + 20, True)


def test_higher_rate_opens_at_once(controls):
    controls.note_start(obeying(controls, SLOW), now=NOW)

    queue = obeying(controls, QueueControl(rate=2, per_s=10.0))

    assert (controls.next_due(), queue.brake.holds(0)) == (None, False)


def test_rate_without_a_predecessor_starts_empty(controls):
    obeying(controls, PAUSED)

    assert not obeying(controls, SLOW).brake.holds(0)


def test_clock_that_was_set_does_not_change_how_long_a_rate_holds(controls):
    obeying(controls, PAUSED)
    controls.say(MAIL, PAUSED, now=NOW)
    controls.note_start(obeying(controls, SLOW), now=NOW)

    controls.move(1000.0)

    assert controls.next_due() == NOW + 1010
    assert controls.open_due(NOW + 1010) == [RESIZE]
