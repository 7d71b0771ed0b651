"""How long this server may act as the owner of its jobs: the lease that its store gave it.

Pure. A lease counts from the moment it was asked for, not from the answer, and is let go a margin before its end, so
that no clock that runs a little slower can make two owners. Until it is in hand again nothing stored is handed out.
"""

from __future__ import annotations

import math
from typing import Final

#: A lease is asked for anew when this part of it is over, at the latest: some stores give shorter ones than others.
_LATEST_RENEWAL: Final = 0.25


class StoreLease:
    """When the lease ends and when it must be asked for again.

    Args:
        renew_interval_s: seconds between two renewals, at most.
        margin_s: seconds before its end from which on it counts as lost.
    """

    def __init__(self, *, renew_interval_s: float, margin_s: float) -> None:
        self._renew_interval_s = renew_interval_s
        self._margin_s = margin_s
        #: When it is lost; in the past until it was given. Infinite where the store has no other owner.
        self.ends_at = -math.inf
        #: When it is to be asked for; never where it does not end.
        self.renew_at = -math.inf

    def renewed(self, lasts_s: float, *, asked_at: float) -> None:
        """The store gave it for so long from the moment it was asked."""
        self.ends_at = asked_at + lasts_s - self._margin_s
        interval_s = min(self._renew_interval_s, lasts_s * _LATEST_RENEWAL)
        self.renew_at = asked_at + interval_s if math.isfinite(lasts_s) else math.inf

    def doubt(self) -> None:
        """Count it as lost, where it can be, until it was asked for again: nobody knows how much time has passed."""
        if math.isfinite(self.ends_at):
            self.ends_at = self.renew_at = -math.inf

    def is_held(self, now: float) -> bool:
        """Return whether this server surely is the owner."""
        return now < self.ends_at
