"""What a server knows of its own lease, and so whether it may judge the leases of others. Pure: times come in.

When the database was away, or its clock was moved, every lease looks run out although every server lives. Whoever saw
such a gap must first give the others time to renew: only a lease that was in hand without a gap for two renewals makes
a judge. The watch also tells how much of what the database's clock says of the past this server can vouch for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

#: How far the database's clock may differ from this machine's between two renewals: calls last, clocks are slewed.
CLOCK_TOLERANCE_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class LeaseTimes:
    """The numbers of a lease; every server of a database should have the same.

    Raises:
        ValueError: there is no room for two lost renewals within a lease.
    """

    #: Seconds a lease lasts from its renewal on.
    ttl_s: float = 10.0
    #: Seconds between two renewals.
    renewal_s: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < 3 * self.renewal_s <= self.ttl_s:
            raise ValueError(f"a lease must last three renewals, got {self.ttl_s} s and {self.renewal_s} s")


class LeaseWatch:
    """The history of one lease, on this machine's monotonic clock.

    Args:
        times: the numbers of the lease.
    """

    def __init__(self, times: LeaseTimes) -> None:
        self._times = times
        self._steady_since = math.inf
        self._vouched_since = -math.inf
        self._sent_at = -math.inf
        self._came_at = -math.inf
        self._clock_s = 0.0

    def note_renewal(self, sent_at: float, came_at: float, *, clock_s: float) -> float:
        """Note that the lease was renewed; return by how many seconds the database's clock was moved, 0 usually.

        Args:
            sent_at: when the database was asked.
            came_at: when it had answered.
            clock_s: what its clock said in between.
        """
        step_s = self._step_s(sent_at, came_at, clock_s=clock_s)
        if step_s:
            self._vouched_since = came_at
        if step_s or sent_at >= self._sent_at + self._times.ttl_s:
            self._steady_since = came_at
        self._sent_at, self._came_at, self._clock_s = sent_at, came_at, clock_s
        return step_s

    def note_gap(self, now: float) -> None:
        """Note that the lease had run out, and nobody had taken it."""
        self._steady_since = now

    def is_renewal_due(self, now: float) -> bool:
        """Tell whether it is time to renew."""
        return now >= self._sent_at + self._times.renewal_s

    def is_steady(self, now: float) -> bool:
        """Tell whether the lease is in hand and has been without a gap for two renewals."""
        is_in_hand = now < self._sent_at + self._times.ttl_s
        return is_in_hand and now >= self._steady_since + 2 * self._times.renewal_s

    def vouched_s(self, now: float) -> float:
        """Return for how many seconds the database's clock is known to have gone like this machine's."""
        return now - self._vouched_since

    def _step_s(self, sent_at: float, came_at: float, *, clock_s: float) -> float:
        """Return what the clock advanced beyond what it could have between the calls, negative where it fell short."""
        if self._sent_at == -math.inf:
            return 0.0
        advance_s = clock_s - self._clock_s
        least_s, most_s = sent_at - self._came_at, came_at - self._sent_at
        if advance_s < least_s - CLOCK_TOLERANCE_S:
            return advance_s - least_s
        if advance_s > most_s + CLOCK_TOLERANCE_S:
            return advance_s - most_s
        return 0.0
