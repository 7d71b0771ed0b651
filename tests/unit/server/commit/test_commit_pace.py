"""Commits that nobody waits for take turns; those that somebody waits for do not."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Accepted, Finished, Outcome, Started
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.server.commit.commit_pace import BURST, INTERVAL_S, CommitPace
from tests.support.commit_desk import CommitDesk

NOW = 1_000.0
JOB = JobHandle(b"H:1")
OTHER = JobHandle(b"H:2")


@pytest.fixture
def pace():
    return CommitPace()


def finished(handle: JobHandle = JOB, *, is_member: bool = False) -> Finished:
    change = Finished(handle, Outcome.SUCCEEDED, b"", NOW)
    change.is_member = is_member
    return change


def spend(pace, commits: int) -> None:
    """Let so many commits begin that nobody waits for."""
    for _ in range(commits):
        pace.note(finished())
        pace.began(now=NOW, is_all=True)


def test_lone_jobs_commits_begin_at_once(pace):
    spend(pace, BURST - 1)

    assert pace.begins_at() <= NOW


def test_many_commits_in_a_row_take_turns(pace):
    spend(pace, BURST + 1)

    assert pace.begins_at() == pytest.approx(NOW + INTERVAL_S)


def test_turn_comes_after_the_interval(pace):
    spend(pace, BURST + 1)
    pace.began(now=NOW + INTERVAL_S, is_all=True)

    assert pace.begins_at() == pytest.approx(NOW + 2 * INTERVAL_S)


@pytest.mark.parametrize(
    "change",
    [Accepted(JOB, FunctionName(b"resize"), b"", b"", 0, 0.0, NOW), finished(is_member=True)],
    ids=["acceptance", "end of a group's member"],
)
def test_what_somebody_waits_for_begins_at_once(pace, change):
    spend(pace, BURST + 1)

    pace.note(change)

    assert pace.is_urgent
    assert pace.begins_at() < NOW


def test_what_follows_an_urgent_commit_takes_turns_again(pace):
    spend(pace, BURST + 1)
    pace.hurry()
    pace.began(now=NOW, is_all=True)

    pace.note(Started(JOB, 1, (), NOW))

    assert pace.begins_at() > NOW


def test_rest_of_a_batch_that_was_too_large_begins_at_once(pace):
    spend(pace, BURST + 1)

    pace.began(now=NOW, is_all=False)

    assert pace.begins_at() < NOW


def test_ends_that_follow_each_other_closely_wait_for_their_turn():
    desk = CommitDesk()
    for number in range(BURST):
        desk.record(finished(JobHandle(b"H:%d" % number)))
        desk.go()
    desk.now += INTERVAL_S / 2
    desk.record(finished())
    desk.go()

    desk.record(finished(OTHER))

    assert desk.group.next_step(desk.now) is None
    assert desk.group.next_due() == pytest.approx(desk.now + INTERVAL_S / 2)
    desk.now += INTERVAL_S
    assert desk.begin_commit() == [finished(OTHER)]
