"""The supervisor's look at its children: whose run is over time, who has had his share, of whom there are too few.

Runs that are past their deadline are looked for at every turn; the rest once a second. Decisions about shares and
numbers are `recycling`'s and `autoscaling`'s; here they meet the board and the kernel's books, and become words to the
pool: kill this one, tell that one to end, have one more.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.pool.autoscaling import LOOK_EVERY_S, GroupScaler, ProcessLoad, Scaling
from gearjobs.worker.pool.child_slot import ChildSlot, PoolGroup
from gearjobs.worker.pool.process_memory import rss_bytes
from gearjobs.worker.pool.recycling import reason_to_recycle

logger = logging.getLogger("gearjobs.worker")

#: Seconds a child has after its deadline to end by itself, and say why; with the pool's own looks, within the time by
#: which all deadlines are early (two seconds, less only where leases are very short).
GRACE_S = 0.2


class Governor(Protocol):
    """Who carries out what the watch finds; the pool."""

    def kill(self, slot: ChildSlot) -> None:
        """End the child at once."""

    def tell_to_end(self, slot: ChildSlot, reason: str) -> None:
        """Have the child end once its jobs have."""


class ChildrenWatch:
    """Looks at the children.

    Args:
        groups: all there are.
        governor: carries out what is found.
    """

    def __init__(self, groups: Iterable[PoolGroup], governor: Governor) -> None:
        self._governor = governor
        # Only groups that may grow or shrink are looked at.
        self._scalers = {
            group.name: GroupScaler(group.scale) for group in groups if group.scale.least < group.scale.most
        }
        self._look_at = 0.0

    def look(self, slots: Sequence[ChildSlot], elders: Sequence[ChildSlot], *, may_scale: bool) -> None:
        """Look once.

        Args:
            slots: of the children.
            elders: children of older code, which are being replaced.
            may_scale: whether their number may change now.
        """
        now = lease_now()
        for slot in (*slots, *elders):
            if slot.pid and slot.cell.is_over(now - GRACE_S):
                # Once is enough: the next one to fill the slot begins without a deadline.
                slot.cell.forget_deadlines()
                logger.error("Killing worker process past its deadline index=%s pid=%s", slot.index, slot.pid)
                self._governor.kill(slot)
            if slot.pid:
                # Often: a process that takes all memory may be killed soon.
                slot.rss_bytes = rss_bytes(slot.pid) or slot.rss_bytes
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_EVERY_S
            self._weigh((*slots, *elders))
            if may_scale:
                for name, scaler in self._scalers.items():
                    self._scale([slot for slot in slots if slot.group.name == name], scaler)

    def _weigh(self, slots: Iterable[ChildSlot]) -> None:
        for slot in slots:
            if not slot.pid:
                continue
            reason = reason_to_recycle(
                slot.limits,
                jobs=slot.cell.row.jobs_done,
                rss_bytes=slot.rss_bytes,
                age_s=time.monotonic() - slot.started_at,
            )
            if reason and not slot.is_told:
                self._governor.tell_to_end(slot, reason)

    def _scale(self, slots: Sequence[ChildSlot], scaler: GroupScaler) -> None:
        loads = [_load_of(slot) for slot in slots if slot.pid and not slot.is_told and slot.is_wanted]
        verdict, index = scaler.look(loads, load=os.getloadavg()[0])
        if verdict is Scaling.GROW:
            spare = next((slot for slot in slots if not slot.is_wanted and not slot.pid), None)
            if spare is not None:
                logger.info("Growing group=%s processes=%d: none of them is idle", spare.group.name, len(loads) + 1)
                spare.is_wanted = True
        elif verdict is Scaling.SHRINK:
            idle = next(slot for slot in slots if slot.index == index)
            idle.is_wanted = False
            self._governor.tell_to_end(idle, "it has had nothing to do, and its group is larger than it must be")


def _load_of(slot: ChildSlot) -> ProcessLoad:
    lanes = slot.cell.lanes
    idle_since = [lane.idle_since for lane in lanes if lane.idle_since]
    return ProcessLoad(
        slot.index,
        sum(lane.idle_turns for lane in lanes),
        len(idle_since),
        lease_now() - max(idle_since) if len(idle_since) == len(lanes) else 0.0,
        slot.cell.has_servers,
    )
