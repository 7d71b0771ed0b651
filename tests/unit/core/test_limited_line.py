"""Which of a function's jobs with limits comes first, and how closed limits keep the others away."""

from __future__ import annotations

import sys

import pytest

from gearjobs.core.jobs import JobState, move
from gearjobs.core.limited_line import LimitedLine
from gearjobs.core.limits import Throttles
from gearjobs.core.terms import JobTerms, Limit
from tests.support.core_builders import MAIL, NOW, RESIZE, make_job

DESK, PRESS = Limit("desk", concurrency=1), Limit("press", concurrency=1)


class Room:
    """Two lines under the same limits."""

    def __init__(self):
        self.throttles = Throttles()
        self.line = LimitedLine(RESIZE, self.throttles)
        self.other_line = LimitedLine(MAIL, self.throttles)

    def push(self, handle, *limits, priority=0, queued_at=NOW, line=None):
        line = line or self.line
        job = make_job(handle, priority=priority, terms=JobTerms(limits=limits or (DESK,)))
        move(job, JobState.WAITING)
        line.arrivals += 1
        job.place, job.queued_at = line.arrivals, queued_at
        line.push(job)
        return job

    def start(self, line=None):
        job = (line or self.line).take()
        move(job, JobState.RUNNING)
        self.throttles.begin(job.terms.limits, now=NOW)
        return job

    def end(self, job):
        self.throttles.end(job.terms.limits)

    def run_all(self):
        """Let one job after the other run; return them in their order."""
        handles = []
        while self.line.first_rank() is not None:
            job = self.start()
            handles.append(job.handle)
            self.end(job)
        return handles


class LooksAtJobs:
    """Counts how often it is looked whether a job still waits."""

    def __init__(self):
        self.count = 0

    def __enter__(self):
        sys.setprofile(self._note)

    def __exit__(self, *_):
        sys.setprofile(None)

    def _note(self, frame, event, _argument):
        if event == "call" and frame.f_code.co_name == "_waits":
            self.count += 1


@pytest.fixture
def room():
    return Room()


def leave(line, job):
    move(job, JobState.ENDED)
    line.withdraw(job)


def test_higher_priority_comes_first_then_the_older(room):
    room.push(b"low", priority=-50)
    room.push(b"first")
    room.push(b"second")
    room.push(b"high", priority=50)

    assert room.run_all() == [b"high", b"first", b"second", b"low"]


def test_rank_tells_priority_and_place(room):
    room.push(b"first")
    room.push(b"urgent", priority=7)

    assert room.line.first_rank() == (-7, 2)


def test_empty_line_has_no_rank(room):
    assert room.line.first_rank() is None


def test_nothing_starts_at_a_closed_limit(room):
    room.push(b"first")
    room.push(b"second")
    room.start()

    assert room.line.first_rank() is None


def test_taking_what_may_not_start_is_a_bug(room):
    with pytest.raises(AssertionError, match="a job of b'resize' was to be taken"):
        room.line.take()


def test_limit_that_opens_lets_the_next_one_start(room):
    room.push(b"first")
    room.push(b"second")
    room.end(room.start())

    assert room.start().handle == b"second"


def test_job_that_comes_to_a_closed_limit_waits_there(room):
    room.push(b"first")
    running = room.start()
    room.push(b"second", DESK, PRESS)
    assert room.line.first_rank() is None

    room.end(running)

    assert room.start().handle == b"second"


def test_closed_limit_does_not_hold_up_jobs_of_another(room):
    room.push(b"first")
    room.start()
    room.push(b"second")
    room.push(b"free", PRESS)

    assert room.start().handle == b"free"


def test_job_needs_all_of_its_limits(room):
    room.push(b"desk")
    desk = room.start()
    room.push(b"press", PRESS)
    press = room.start()
    room.push(b"both", PRESS, DESK)

    room.end(press)
    assert room.line.first_rank() is None
    room.end(desk)

    assert room.start().handle == b"both"


def test_job_moves_from_an_open_limit_to_the_closed_one(room):
    # Two jobs at the press, so that the third one is parked there first.
    room.push(b"press 1", PRESS)
    room.push(b"press 2", PRESS)
    room.push(b"both", DESK, PRESS, priority=50)
    room.push(b"desk", line=room.other_line)
    desk = room.start(room.other_line)

    assert room.run_all() == [b"press 1", b"press 2"]
    room.end(desk)

    assert room.run_all() == [b"both"]


def test_more_urgent_job_overtakes_those_parked_with_it(room):
    room.push(b"running")
    running = room.start()
    room.push(b"first")
    room.push(b"other limits", DESK, PRESS)
    room.push(b"urgent", priority=50)
    room.push(b"more urgent", DESK, PRESS, priority=60)

    room.end(running)

    assert room.run_all() == [b"more urgent", b"urgent", b"first", b"other limits"]


def test_job_that_left_is_passed_over(room):
    gone = room.push(b"gone")
    room.push(b"next")
    leave(room.line, gone)

    assert room.run_all() == [b"next"]


def test_last_job_that_left_leaves_nothing(room):
    gone = room.push(b"gone")
    leave(room.line, gone)

    assert room.line.first_rank() is None
    (throttle,) = room.throttles.find((DESK,))
    assert (throttle.waiting, throttle.gates) == (0, {})


def test_job_that_left_and_came_back_stands_at_its_new_place(room):
    job = room.push(b"again")
    room.push(b"second")
    room.line.withdraw(job)
    room.line.arrivals += 1
    job.place = room.line.arrivals
    room.line.push(job)

    assert room.run_all() == [b"second", b"again"]


def test_group_that_emptied_at_its_gate_is_passed_over(room):
    gone = room.push(b"gone", DESK, PRESS)
    room.push(b"next")
    leave(room.line, gone)

    assert room.run_all() == [b"next"]


def test_limit_opens_for_every_line(room):
    room.push(b"first")
    running = room.start()
    room.push(b"resize")
    room.push(b"mail", line=room.other_line)

    room.end(running)

    assert room.line.first_rank() == (0, 2)
    assert room.other_line.first_rank() == (0, 1)


def test_limit_that_another_line_used_up_is_closed(room):
    room.push(b"resize")
    room.push(b"mail", line=room.other_line)
    room.start(room.other_line)

    assert room.line.first_rank() is None


def test_jobs_at_closed_limits_are_throttled(room):
    room.push(b"running")
    room.push(b"second")
    room.push(b"third")
    room.push(b"free", PRESS)
    assert room.line.throttled() == 0

    room.start()

    assert room.line.throttled() == 2


def test_oldest_job_of_all_limits_is_told(room):
    room.push(b"new", queued_at=NOW + 5)
    room.push(b"old", PRESS, queued_at=NOW + 2)

    assert room.line.oldest_queued_at() == NOW + 2


def test_jobs_that_left_are_not_the_oldest(room):
    gone = room.push(b"gone")
    move(gone, JobState.ENDED)

    assert room.line.oldest_queued_at() is None


def test_sweeping_forgets_what_left_and_keeps_the_order(room):
    room.push(b"running")
    room.start()
    gone = [room.push(b"gone %d" % number) for number in range(50)]
    rare = [room.push(b"rare %d" % number, DESK, Limit(f"rare {number}", concurrency=1)) for number in range(50)]
    room.push(b"left", priority=-5)
    for job in (*gone, *rare):
        leave(room.line, job)

    room.line.sweep()

    (throttle,) = room.throttles.find((DESK,))
    gate = throttle.gates[RESIZE]
    assert (throttle.waiting, len(gate.groups._heap)) == (1, 1)


def test_hundred_thousand_parked_jobs_are_skipped_at_once(room):
    both = (DESK, PRESS)
    for number in range(100_000):
        room.push(b"%d" % number, *both)
    room.push(b"free", Limit("free", concurrency=1), priority=-50)
    room.push(b"mail", line=room.other_line)
    room.start(room.other_line)
    looks = LooksAtJobs()

    with looks:
        assert room.start().handle == b"free"

    assert looks.count < 20
