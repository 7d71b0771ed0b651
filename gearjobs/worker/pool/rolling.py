"""In which order children of older code give place to new ones: one after the other, each when its jobs have ended.

Pure; `now` is monotonic seconds. The next one is told to end when the one before has and its heir serves. One that is
held up by a long job keeps the others waiting for a while only: it works on, and so do they.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gearjobs.worker.pool.child_slot import ChildSlot

#: Seconds the end of one child, or the start of its heir, is waited for before the next is told to end.
PATIENCE_S: Final = 5.0


class Rolling:
    """The replacement of children of older code.

    Args:
        elders: the children, in the order in which they are to go; who has ended is taken off here.
    """

    def __init__(self, elders: list[ChildSlot]) -> None:
        self.elders = elders
        self._told_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether all have ended."""
        return not self.elders

    def next_to_go(self, slots: Sequence[ChildSlot], now: float) -> ChildSlot | None:
        """Return who is to be told to end now, if anybody is.

        Args:
            slots: of the children of new code.
            now: the time.
        """
        rest = [elder for elder in self.elders if not elder.is_told]
        if not rest or (self._is_between(slots) and now < self._told_at + PATIENCE_S):
            return None
        self._told_at = now
        return rest[0]

    def _is_between(self, slots: Sequence[ChildSlot]) -> bool:
        """Whether somebody is just going, or coming."""
        kept = {elder.index for elder in self.elders}
        is_coming = any(
            slot.is_wanted and slot.index not in kept and not (slot.pid and slot.cell.has_servers) for slot in slots
        )
        return is_coming or any(elder.is_told for elder in self.elders)
