"""The check of limits finds what breaks them, and nothing else."""

from __future__ import annotations

import pytest

from gearjobs.core.terms import Limit
from tests.support.journal import HandedOut, JournalView, Promises, RunSettled
from tests.support.limit_invariants import limits_are_kept

DESK, SITE = Limit("desk", concurrency=1), Limit("site", rate=1, per_s=10.0)


def handed_out(handle, at, *limits, server="s0.1", is_resumed=False):
    return HandedOut(at, server, handle, b"resize", 1, True, 0.0, is_resumed, limits)


def breaches(*events):
    return [breach.handle for breach in limits_are_kept(JournalView(list(events), Promises()))]


def test_second_run_of_a_key_is_one_too_many():
    assert breaches(handed_out(b"1", 0.0, DESK), handed_out(b"2", 1.0, DESK)) == [b"2"]


def test_run_after_the_end_of_the_first_is_not():
    ended = RunSettled(0.5, "s0.1", b"1")

    assert breaches(handed_out(b"1", 0.0, DESK), ended, handed_out(b"2", 1.0, DESK)) == []


@pytest.mark.parametrize(("at", "broken"), [(9.0, [b"2"]), (10.0, [])])
def test_start_within_the_time_of_another_is_one_too_many(at, broken):
    ended = RunSettled(0.5, "s0.1", b"1")

    assert breaches(handed_out(b"1", 0.0, SITE), ended, handed_out(b"2", at, SITE)) == broken


def test_servers_keep_their_own_limits():
    assert breaches(handed_out(b"1", 0.0, DESK), handed_out(b"2", 1.0, DESK, server="s1.1")) == []


def test_run_that_a_worker_brought_back_is_counted_and_no_breach():
    events = handed_out(b"1", 0.0, DESK), handed_out(b"2", 1.0, DESK, is_resumed=True), handed_out(b"3", 2.0, DESK)

    assert breaches(*events) == [b"3"]
