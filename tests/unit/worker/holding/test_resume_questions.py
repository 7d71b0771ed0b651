"""Which server is asked for a run, and when again."""

from __future__ import annotations

import math

import pytest

from gearjobs.worker.holding.resume_questions import ResumeQuestions


@pytest.fixture
def questions() -> ResumeQuestions:
    return ResumeQuestions((0.5, 2.0))


def test_server_is_asked_at_once_and_not_again_before_it_answered(questions):
    assert questions.due_at("a") == -math.inf
    assert questions.ask("a", 10.0)

    assert questions.due_at("a") == math.inf
    assert not questions.ask("a", 99.0)


def test_another_server_is_asked_when_the_first_has_answered(questions):
    questions.ask("a", 10.0)
    assert not questions.ask("b", 10.1)

    assert questions.answered("a") == 10.0

    assert questions.ask("b", 10.1)


def test_silent_server_holds_the_others_up_for_a_moment_only(questions):
    questions.ask("a", 10.0)

    assert questions.due_at("b") == 10.5
    assert questions.ask("b", 10.5)


def test_server_that_broke_off_holds_nobody_up(questions):
    questions.ask("a", 10.0)

    questions.broke("a")

    assert questions.ask("b", 10.0)
    assert questions.answered("a") is None


def test_pause_between_two_questions_doubles_up_to_the_longest(questions):
    now, pauses_s = 10.0, []
    for _ in range(4):
        assert questions.ask("a", now)
        questions.answered("a")
        pauses_s.append(questions.due_at("a") - now)
        now = questions.due_at("a")

    assert pauses_s == [0.5, 1.0, 2.0, 2.0]


def test_answer_to_nothing_is_none(questions):
    assert questions.answered("a") is None

    questions.ask("a", 10.0)
    questions.answered("a")

    assert questions.answered("a") is None
