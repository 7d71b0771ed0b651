"""The check of pauses finds what breaks them, and nothing else."""

from __future__ import annotations

from tests.support.journal import ControlsObeyed, HandedOut, JournalView, Promises
from tests.support.pause_invariants import paused_functions_rest


def handed_out(handle, at, *, server="s0.1", function=b"resize", is_resumed=False):
    return HandedOut(at, server, handle, function, 1, True, 0.0, is_resumed)


def obeyed(at, *paused, server="s0.1"):
    return ControlsObeyed(at, server, frozenset(paused))


def breaches(*events):
    return [breach.handle for breach in paused_functions_rest(JournalView(list(events), Promises()))]


def test_job_of_a_paused_function_that_starts_is_found():
    assert breaches(handed_out(b"1", 0.0), obeyed(1.0, b"resize"), handed_out(b"2", 2.0)) == [b"2"]


def test_job_that_starts_after_the_pause_is_none():
    assert breaches(obeyed(1.0, b"resize"), obeyed(2.0), handed_out(b"1", 3.0)) == []


def test_other_functions_and_other_servers_go_on():
    events = handed_out(b"1", 2.0, function=b"mail"), handed_out(b"2", 2.0, server="s1.1")

    assert breaches(obeyed(1.0, b"resize"), *events) == []


def test_run_that_a_worker_brought_back_is_none():
    assert breaches(obeyed(1.0, b"resize"), handed_out(b"1", 2.0, is_resumed=True)) == []
