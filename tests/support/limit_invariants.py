"""The promise of limits: of one key never too many at once, and never too many within a time, at each server.

A run counts from its hand-out until its server counts it as over, be it an orphan meanwhile. What a worker had already
when it came back is counted, but is no breach: it ran before anybody was asked. The check is called by `invariants`;
the events are `journal`'s.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from gearjobs.core.terms import Limit
from tests.support.journal import Breach, HandedOut, JournalView, RunSettled

#: By how much a server's clock may go faster than the true time, and by how many seconds it may be set unnoticed.
_CLOCK_SHARE: Final = 0.97
_CLOCK_STEP_S: Final = 0.5


class _Server:
    """What one life of a server handed out."""

    def __init__(self) -> None:
        self.running: dict[bytes, tuple[Limit, ...]] = {}
        self.starts: defaultdict[str, list[float]] = defaultdict(list)

    def begin(self, event: HandedOut) -> list[str]:
        """Count a hand-out; return what it breaks."""
        broken = [] if event.is_resumed else [text for limit in event.limits if (text := self._breach(limit, event.at))]
        self.running[event.handle] = event.limits
        for key in {limit.key for limit in event.limits}:
            self.starts[key].append(event.at)
        return broken

    def _breach(self, limit: Limit, at: float) -> str:
        running = sum(any(limit.key == other.key for other in limits) for limits in self.running.values())
        surely_s = limit.per_s * _CLOCK_SHARE - _CLOCK_STEP_S
        started = sum(at - start < surely_s for start in self.starts[limit.key])
        if limit.concurrency and running >= limit.concurrency:
            return f"{running} jobs of {limit.key!r} ran, {limit.concurrency} are allowed"
        if limit.rate and started >= limit.rate:
            return f"{started} jobs of {limit.key!r} had started within {limit.per_s} s, {limit.rate} are allowed"
        return ""


def limits_are_kept(view: JournalView) -> list[Breach]:
    """L: nothing is handed out that one of its limits forbids."""
    servers: defaultdict[str, _Server] = defaultdict(_Server)
    breaches = []
    for event in view.events:
        if isinstance(event, HandedOut):
            texts = servers[event.server].begin(event)
            breaches += [Breach("L", event.handle, f"was handed out at {event.at:.3f} while {text}") for text in texts]
        elif isinstance(event, RunSettled):
            servers[event.server].running.pop(event.handle, None)
    return breaches
