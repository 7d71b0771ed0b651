"""How a pool's places are made, and how children get from a supervisor to what it becomes by exec (`renewal`).

The new program makes places for children of its own, and takes those of the old one as elders: places that nobody is
to fill again. Each keeps its cell on the board it was started with.
"""

from __future__ import annotations

from collections.abc import Sequence

from gearjobs.worker.pool.autoscaling import ScaleRules
from gearjobs.worker.pool.child_slot import ChildSlot, PoolGroup
from gearjobs.worker.pool.renewal import Handover, KeptBoard, KeptChild
from gearjobs.worker.pool.work_board import ProcessCell, WorkBoard


def make_slots(groups: Sequence[PoolGroup], board: WorkBoard) -> list[ChildSlot]:
    """Return a place for each child there may be; of each group, the least number is wanted."""
    places = [(group, number) for group in groups for number in range(group.scale.most)]
    return [
        ChildSlot(index, group, number, board.cells[index], is_wanted=number < group.scale.least)
        for index, (group, number) in enumerate(places)
    ]


def take_over(left: Handover, boards: Sequence[WorkBoard]) -> list[ChildSlot]:
    """Return the places of the children that were left to this program."""
    return [_elder(child, boards[child.board].cells[child.cell]) for child in left.children]


def hand_over(
    boards: Sequence[WorkBoard], slots: Sequence[ChildSlot], elders: Sequence[ChildSlot], *, is_quiet: bool
) -> Handover:
    """Return what the next program must know."""
    # Whoever is older goes first.
    alive = [slot for slot in (*elders, *slots) if slot.pid]
    used = {id(slot.cell) for slot in alive}
    kept = [board for board in boards if any(id(cell) in used for cell in board.cells)]
    cells = {id(cell): (board, place) for board, one in enumerate(kept) for place, cell in enumerate(one.cells)}
    return Handover(
        tuple(KeptBoard(board.descriptor, board.lane_counts) for board in kept),
        tuple(
            KeptChild(slot.pid, slot.started_at, slot.group.name, slot.number, slot.index, *cells[id(slot.cell)])
            for slot in alive
        ),
        is_quiet,
    )


def _elder(child: KeptChild, cell: ProcessCell) -> ChildSlot:
    group = PoolGroup(child.group, ScaleRules(0, 0), lanes=len(cell.lanes))
    slot = ChildSlot(child.index, group, child.number, cell, is_wanted=False)
    slot.started(child.pid, child.started_at)
    return slot
