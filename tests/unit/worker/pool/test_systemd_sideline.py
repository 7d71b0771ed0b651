"""What systemd hears of a pool."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gearjobs.systemd_notify import SystemdNotify
from gearjobs.worker.pool.pool_services import PoolState, PoolView
from gearjobs.worker.pool.systemd_sideline import START_PATIENCE_S, SystemdSideline

VIEW = PoolView(PoolState.RUNNING, wanted=2, running=2, serving=2, busy_lanes=1, lanes=2, jobs_done=9, jobs_failed=1)


class Words(SystemdNotify):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__("/nowhere")
        self.said: list[str] = []

    def _say(self, *lines: str) -> None:
        self.said += [line for line in lines if not line.startswith("MONOTONIC_USEC=")]


@pytest.fixture
def words() -> Words:
    return Words()


def test_each_state_is_told_once(words):
    sideline = SystemdSideline(words)

    for state in (PoolState.RUNNING, PoolState.RUNNING, PoolState.RELOADING, PoolState.RUNNING, PoolState.STOPPING):
        sideline.turn(replace(VIEW, state=state), 0.0)

    told = [word for word in words.said if not word.startswith("STATUS=")]
    assert told == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert words.said[1] == "STATUS=running: 2 of 2 processes, 2 of them connected; 1 of 2 jobs at once"


def test_pool_is_ready_when_its_processes_have_found_their_servers(words):
    sideline = SystemdSideline(words)

    sideline.turn(replace(VIEW, serving=1), 1.0)
    assert "READY=1" not in words.said
    sideline.turn(VIEW, 2.0)

    assert "READY=1" in words.said


def test_pool_without_a_server_is_ready_after_a_while(words):
    sideline = SystemdSideline(words)

    sideline.turn(replace(VIEW, serving=0), 1.0)
    sideline.turn(replace(VIEW, serving=0), 1.0 + START_PATIENCE_S)

    assert "READY=1" in words.said
