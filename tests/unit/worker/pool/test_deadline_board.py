"""The board is written by one process and read by another."""

from __future__ import annotations

import math
import os

import pytest

from gearjobs.errors import UsageError
from gearjobs.worker.pool.deadline_board import DeadlineBoard


def test_process_without_a_deadline_is_never_over():
    assert not DeadlineBoard(1).is_over(0, 1e12)


def test_deadline_of_one_process_is_not_anothers():
    board = DeadlineBoard(2)

    board.note(1, 100.0)

    assert not board.is_over(1, 99.9)
    assert board.is_over(1, 100.0)
    assert not board.is_over(0, 100.0)


def test_child_writes_what_its_parent_reads():
    board = DeadlineBoard(1)

    pid = os.fork()
    if pid == 0:
        board.note(0, 100.0)
        os._exit(0)
    os.waitpid(pid, 0)

    assert board.is_over(0, 100.0)
    board.note(0, math.inf)
    assert not board.is_over(0, 100.0)


def test_board_for_nobody_is_refused():
    with pytest.raises(UsageError, match="at least one process, got 0"):
        DeadlineBoard(0)
