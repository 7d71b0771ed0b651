"""The log of those who failed to show who they are: each is counted, few are logged."""

from __future__ import annotations

import pytest

from gearjobs.server.entrance.refusal_log import LOGGED_EACH, WINDOW_S, Failure, RefusalLog


@pytest.fixture
def clock():
    return [1_000.0]


@pytest.fixture
def log(clock):
    return RefusalLog(lambda: clock[0])


def test_failure_is_logged_with_who_and_where_and_why(log, caplog):
    log.note(Failure.PROOF, "the proof is wrong", address="10.0.0.7:5121", claimed="web")

    assert caplog.messages == ["refuse identity peer=10.0.0.7:5121 claimed='web': 'the proof is wrong'"]


def test_flood_is_counted_and_told_as_a_number(log, clock, caplog):
    for _ in range(LOGGED_EACH + 5):
        log.note(Failure.PROOF, "no", address="10.0.0.7:1")
    assert len(caplog.messages) == LOGGED_EACH

    clock[0] += WINDOW_S
    log.note(Failure.SILENCE, "no", address="10.0.0.7:1")

    assert caplog.messages[LOGGED_EACH] == "refuse identity more=5 in the minute before"
    assert len(caplog.messages) == LOGGED_EACH + 2
    assert log.counts == {Failure.PROOF: LOGGED_EACH + 5, Failure.SILENCE: 1}


def test_peer_cannot_forge_a_line_of_the_log(log, caplog):
    log.note(Failure.PROOF, "no\nWARNING forged", address="10.0.0.7:1", claimed="web\nforged")

    assert "\n" not in caplog.messages[0]
