"""Whether this job server is able to do its work, for whoever asks over HTTP.

Alive is a server that answers at all: restarting helps against nothing else. Ready is one to which clients may be sent:
it is not about to stop, and its store commits. What is wrong is said in words, without anything that a stranger should
not know.
"""

from __future__ import annotations

from typing import Final

from gearjobs.server.commit.durability import Durability

#: Seconds a commit may take before the store counts as hanging. Submitters expect their answer within two.
SLOW_COMMIT_S: Final = 5.0
#: Seconds after a refused commit until clients may be sent here again. Without them nothing would be committed, and
#: nobody would ever learn that the store is back.
OUTAGE_S: Final = 10.0


def reasons_not_ready(durability: Durability, *, is_stopping: bool, now: float) -> list[str]:
    """Return why clients should not be sent here; nothing when they may.

    Args:
        durability: the server's.
        is_stopping: True once the server was asked to stop or to take no new connections.
        now: the loop's time in seconds.
    """
    reasons = []
    if is_stopping:
        reasons.append("the job server is stopping")
    outage_age_s = durability.outage_age_s(now)
    if outage_age_s is not None and outage_age_s < OUTAGE_S:
        reasons.append("the store refuses commits")
    elif durability.step_age_s(now) > SLOW_COMMIT_S:
        reasons.append(f"the store has not answered for more than {SLOW_COMMIT_S:g} s")
    elif not durability.is_lease_held:
        reasons.append("other job servers may own the background jobs of this one")
    return reasons
