"""The board is written by one process and read by another."""

from __future__ import annotations

import math
import os

import pytest

from gearjobs.errors import UsageError
from gearjobs.worker.pool.work_board import Ending, HeldJob, WorkBoard


def in_a_child(act) -> None:
    """Do it in a process that ends then."""
    pid = os.fork()
    if pid == 0:
        act()
        os._exit(0)
    os.waitpid(pid, 0)


def test_process_without_a_deadline_is_never_over():
    assert not WorkBoard([1]).cells[0].is_over(1e12)


def test_deadline_of_any_lane_is_its_process_s_and_no_other_s():
    board = WorkBoard([1, 3])

    board.cells[1].lanes[2].deadline = 100.0

    assert not board.cells[1].is_over(99.9)
    assert board.cells[1].is_over(100.0)
    assert not board.cells[0].is_over(100.0)


def test_child_writes_what_its_parent_reads():
    cell = WorkBoard([2]).cells[0]

    def work() -> None:
        cell.row.jobs_done = 7
        cell.row.ending = Ending.RECYCLED
        cell.lanes[1].deadline = 100.0
        cell.lanes[1].begin("H:a:1", 3, server="127.0.0.1:4730")
        cell.lanes[0].turn(2, is_idle=True, now=50.0)

    in_a_child(work)

    assert (cell.row.jobs_done, cell.row.ending, cell.is_over(100.0)) == (7, Ending.RECYCLED, True)
    assert cell.held_jobs == [HeldJob("H:a:1", 3, "127.0.0.1:4730")]
    assert (cell.busy_lanes, cell.has_servers, cell.lanes[0].idle_since) == (1, True, 50.0)


def test_job_that_ended_is_not_held():
    cell = WorkBoard([1]).cells[0]
    cell.lanes[0].begin("H:a:1", 1, server="s")

    cell.lanes[0].end()

    assert cell.held_jobs == []
    assert cell.busy_lanes == 0


def test_lane_is_idle_since_it_first_heard_of_nothing():
    lane = WorkBoard([1]).cells[0].lanes[0]

    for now in (5.0, 6.0):
        lane.turn(1, is_idle=True, now=now)
    lane.turn(0, is_idle=False, now=7.0)

    assert (lane.idle_since, lane.idle_turns, lane.servers) == (5.0, 2, 0)
    lane.begin("H:a:1", 1, server="s")
    assert lane.idle_since == 0.0


def test_next_process_finds_a_clean_cell():
    cell = WorkBoard([1]).cells[0]
    cell.lanes[0].begin("H:a:1", 1, server="s")
    cell.lanes[0].deadline = 1.0
    cell.row.jobs_done = 9

    cell.clear()

    assert (cell.held_jobs, cell.row.jobs_done, cell.lanes[0].deadline) == ([], 0, math.inf)


def test_board_is_opened_again_by_its_descriptor():
    board = WorkBoard([1, 2])
    board.cells[1].lanes[1].begin("H:a:1", 1, server="s")

    again = WorkBoard.opened(board.descriptor, board.lane_counts)

    assert again.cells[1].held_jobs == [HeldJob("H:a:1", 1, "s")]


@pytest.mark.parametrize("counts", [[], [0]])
def test_board_for_nobody_is_refused(counts):
    with pytest.raises(UsageError, match="at least one process"):
        WorkBoard(counts)
