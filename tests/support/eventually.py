"""Waiting in tests: poll to a deadline instead of sleeping and hoping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

#: Seconds between two looks.
_INTERVAL_S = 0.005


def eventually(predicate: Callable[[], Found], timeout_s: float, what: str) -> Found:
    """Return the predicate's first true value.

    Raises:
        AssertionError: there was none in time; it names `what` was waited for.
    """
    deadline = time.monotonic() + timeout_s
    pause = threading.Event()
    while not (found := predicate()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout_s} s for {what}")
        pause.wait(_INTERVAL_S)
    return found
