"""Counts those who failed to show who they are, and logs them, but no more than a few a minute.

A scanner, or a worker with an old certificate, comes back for ever: each failure is counted, the first of every minute
are logged with who, from where and why, and the rest of the minute as one number. Names and reasons come from the
peer, so they are logged as `repr` prints them.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from typing import Final

logger = logging.getLogger("gearjobs.server")

#: Seconds a count lasts.
WINDOW_S: Final = 60.0
#: Failures logged one by one in that time.
LOGGED_EACH: Final = 10


class Failure(StrEnum):
    """How a peer failed to show who it is."""

    #: A wrong proof of a secret, or a step of the exchange that is none.
    PROOF = "wrong_proof"
    #: No proof in time.
    SILENCE = "no_proof_in_time"
    #: A TLS certificate that is not believed, or none.
    CERTIFICATE = "certificate"
    #: No TLS handshake, or none in time.
    HANDSHAKE = "handshake"


class RefusalLog:
    """The failures of one server.

    Args:
        clock: seconds, of any origin.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        #: All failures since the start.
        self.counts: Counter[Failure] = Counter()
        self._clock = clock
        self._window_ends_at = float("-inf")
        self._in_window = 0

    def note(self, failure: Failure, reason: str, *, address: str, claimed: str = "") -> None:
        """Count a failure, and log it unless there are too many.

        Args:
            failure: of which kind it is.
            reason: what was wrong.
            address: host and port of the peer.
            claimed: who it said it was; "" where it said nothing.
        """
        now = self._clock()
        if now >= self._window_ends_at:
            self._close_window()
            self._window_ends_at = now + WINDOW_S
        self.counts[failure] += 1
        self._in_window += 1
        if self._in_window <= LOGGED_EACH:
            logger.warning("refuse identity peer=%s claimed=%r: %.200r", address, claimed, reason)

    def _close_window(self) -> None:
        untold = self._in_window - LOGGED_EACH
        if untold > 0:
            logger.warning("refuse identity more=%d in the minute before", untold)
        self._in_window = 0
