"""Outcomes are kept until they are committed, and offered wherever they may be taken."""

from __future__ import annotations

import math

import pytest

from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.worker.holding import kept_outcomes
from gearjobs.worker.holding.kept_outcomes import KEEP_S, KeptOutcomes

ACCEPTED, REFUSED, UNKNOWN = ResumeVerdict.ACCEPTED, ResumeVerdict.REFUSED, ResumeVerdict.UNKNOWN
H = b"H:a:1"


def keep(outcomes: KeptOutcomes, handle: bytes = H, attempt: int = 1, *, connection: str | None = "a") -> None:
    outcomes.keep(handle, attempt, packet=b"done", resume_s=28.0, connection=connection, now=100.0)


@pytest.fixture
def outcomes() -> KeptOutcomes:
    """One outcome, sent through `a`."""
    outcomes = KeptOutcomes()
    keep(outcomes)
    return outcomes


@pytest.fixture
def offered(outcomes: KeptOutcomes) -> KeptOutcomes:
    """Its connection broke at 100 s, and `b` was asked for it."""
    outcomes.broke("a", 100.0)
    outcomes.to_offer("b", 100.0)
    return outcomes


def test_settled_outcome_is_let_go_of(outcomes):
    outcomes.settled(H, "a")

    assert len(outcomes) == 0


@pytest.mark.parametrize(("handle", "connection"), [(b"H:a:2", "a"), (H, "b")])
def test_what_another_server_or_job_settles_is_kept(outcomes, handle, connection):
    outcomes.settled(handle, connection)

    assert len(outcomes) == 1


def test_outcome_that_was_sent_is_offered_to_nobody(outcomes):
    assert outcomes.to_offer("b", 100.0) == []
    assert not outcomes.is_offering
    assert outcomes.due_at(["b"]) == math.inf


def test_outcome_of_a_broken_connection_is_offered_and_sent_where_it_is_taken(outcomes):
    outcomes.broke("a", 100.0)
    assert outcomes.is_offering
    assert outcomes.to_offer("b", 100.0) == [(H, 1)]

    assert outcomes.answered("b", H, 1, verdict=ACCEPTED, now=100.1) == b"done"

    assert not outcomes.is_offering
    outcomes.settled(H, "b")
    assert len(outcomes) == 0


def test_outcome_of_a_run_whose_server_was_lost_is_offered(outcomes):
    keep(outcomes, b"H:a:2", 3, connection=None)

    assert outcomes.to_offer("b", 100.0) == [(b"H:a:2", 3)]


def test_refused_outcome_is_let_go_of_without_a_word(offered):
    assert offered.answered("b", H, 1, verdict=REFUSED, now=100.1) == b""

    assert (len(offered), offered.forgotten) == (0, [])


def test_late_refusal_does_not_harm_an_outcome_another_server_took(offered):
    offered.to_offer("c", 100.6)
    offered.answered("c", H, 1, verdict=ACCEPTED, now=100.7)

    offered.answered("b", H, 1, verdict=REFUSED, now=100.8)

    assert len(offered) == 1


def test_outcome_taken_twice_belongs_to_who_took_it_last(offered):
    offered.to_offer("c", 100.6)
    offered.answered("c", H, 1, verdict=ACCEPTED, now=100.7)

    assert offered.answered("b", H, 1, verdict=ACCEPTED, now=100.8) == b"done"

    offered.settled(H, "c")
    assert len(offered) == 1


def test_server_that_does_not_know_the_job_is_asked_again_until_its_time_is_over(offered):
    offered.answered("b", H, 1, verdict=UNKNOWN, now=100.1)
    assert offered.due_at(["b"]) == 100.5
    assert offered.to_offer("b", 100.5) == [(H, 1)]
    offered.answered("b", H, 1, verdict=UNKNOWN, now=120.0)

    offered.forget_old(128.0)
    assert len(offered) == 1
    offered.forget_old(128.1)

    assert (len(offered), offered.forgotten) == (0, [H])


def test_outcome_nobody_answers_for_is_let_go_of_in_the_end(offered):
    assert offered.due_at([]) == 100.0 + KEEP_S

    offered.forget_old(100.0 + KEEP_S)

    assert offered.forgotten == [H]


def test_broken_connection_can_be_followed_by_another_question(offered):
    offered.broke("b", 100.2)

    assert offered.to_offer("c", 100.2) == [(H, 1)]


@pytest.mark.parametrize(("connection", "attempt", "verdict"), [("b", 2, ACCEPTED), ("c", 1, REFUSED)])
def test_answer_to_what_was_not_asked_changes_nothing(offered, connection, attempt, verdict):
    assert offered.answered(connection, H, attempt, verdict=verdict, now=100.1) == b""

    assert offered.is_offering


def test_answer_for_a_job_long_settled_changes_nothing(outcomes):
    assert outcomes.answered("b", b"H:a:2", 1, verdict=ACCEPTED, now=100.0) == b""


def test_later_attempt_takes_the_place_of_an_earlier_one(offered):
    keep(offered, attempt=2)

    assert not offered.is_offering
    assert offered.answered("b", H, 1, verdict=REFUSED, now=100.1) == b""
    assert len(offered) == 1


@pytest.mark.parametrize(("bound", "number"), [("MAX_OUTCOMES", 1), ("MAX_OUTCOME_BYTES", 7)])
def test_oldest_outcome_gives_way_when_there_are_too_many(monkeypatch, outcomes, bound, number):
    monkeypatch.setattr(kept_outcomes, bound, number)

    keep(outcomes, b"H:a:2")

    assert (len(outcomes), outcomes.forgotten) == (1, [H])
