"""Which job a grabbing worker gets.

gearmand 2.0's rule: the most urgent job over all of the worker's functions; among functions whose first jobs are
equally urgent, the one that was served longest ago, a newly registered one before all others. Functions at which the
worker is benched (`quarantine`) are left out while it pauses.
"""

from __future__ import annotations

from gearjobs.core.jobs import Job
from gearjobs.core.peers import Ability, Peer


def take_job(peer: Peer) -> tuple[Job, Ability] | None:
    """Take the job the worker is to run from its queue, and let that function be asked last next time."""
    best_index = -1
    best_priority = 0
    for index, ability in enumerate(peer.abilities):
        if ability.resumes_at:
            continue
        priority = ability.queue.top_priority()
        if priority is not None and (best_index < 0 or priority > best_priority):
            best_index, best_priority = index, priority
    if best_index < 0:
        return None
    ability = peer.abilities.pop(best_index)
    peer.abilities.append(ability)
    return ability.queue.take_top(best_priority), ability
