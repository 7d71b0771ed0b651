"""The deadline a supervisor is told."""

from __future__ import annotations

import math

import pytest

from gearjobs.worker.ending.end_deadline import LATE_S, EndDeadline


@pytest.fixture
def noted() -> list[float]:
    return []


@pytest.fixture
def deadline(noted) -> EndDeadline:
    deadline = EndDeadline()
    deadline.note = noted.append
    return deadline


def test_earlier_of_the_two_counts(deadline, noted):
    deadline.lease_ends(130.0)
    deadline.forced_end(110.0)
    deadline.lease_ends(140.0)
    deadline.forced_end(150.0)

    assert noted == [130.0, 110.0 + LATE_S, 110.0 + LATE_S, 140.0]


def test_run_that_ended_has_none(deadline, noted):
    deadline.lease_ends(130.0)
    deadline.forced_end(110.0)
    deadline.forced_end(math.inf)
    deadline.lease_ends(math.inf)

    assert noted[-1] == math.inf


def test_nobody_needs_to_listen():
    EndDeadline().lease_ends(1.0)
    EndDeadline().forced_end(1.0)
