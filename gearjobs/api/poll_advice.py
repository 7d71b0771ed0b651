"""How long a client should wait before it asks for an unfinished job again.

A twentieth of the time the job has been under way: whoever follows it learns of the end at most 5 % late, and a job of
an hour is not asked for every second. A job that is not due yet is asked for when it is. Pure; times are unix seconds.
"""

from __future__ import annotations

from typing import Final

#: Bounds of the advice in seconds: a quick job is soon over, and half a minute is what a person will wait for a page.
SHORTEST_S: Final = 0.5
LONGEST_S: Final = 30.0
#: The share of the time under way.
SHARE: Final = 0.05


def poll_after_s(*, now: float, since: float, due_at: float | None) -> float:
    """Return the seconds to wait before the next poll.

    Args:
        now: the present.
        since: start of the running attempt, or when the job was enqueued.
        due_at: when the job may start, if it is waiting for that.
    """
    wait_s = due_at - now if due_at is not None and due_at > now else (now - since) * SHARE
    return round(min(LONGEST_S, max(SHORTEST_S, wait_s)), 3)
