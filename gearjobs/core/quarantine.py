"""Benches a worker that fails fast at a function: it gets only a job now and then, and the others get the rest.

A worker whose disk is full or whose library is missing fails in a millisecond and asks for the next job, faster than
any healthy worker, and so empties the whole queue. It is told by its failures in a row, each right after the job's
start: one success, or one failure that took its time, and the worker is as good as any. A foreground job does not
count while no other worker could do it: its client waits, and the next one had better hear soon that it fails. A
benched worker is not told of it: its grabs find nothing and its sleep is longer. The bench is a connection's and a
function's, and ends with either.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from gearjobs.core.abilities import Abilities
from gearjobs.core.effects import Benched, Effect
from gearjobs.core.jobs import Job
from gearjobs.core.peers import Ability, Peer


@dataclass(slots=True)
class BenchRules:
    """Who is benched, and for how long."""

    #: Fast failures in a row that are forgiven; the next one benches. 0 benches nobody.
    failures: int = 20
    #: Seconds within which they must happen: a worker with little to do may fail as often as it likes.
    window_s: float = 60.0
    #: Seconds after its start within which a job's failure is a fast one.
    fast_s: float = 1.0
    #: Seconds from one job of a benched worker to its next: 20 a minute show soon enough that it works again.
    interval_s: float = 3.0


class Quarantine:
    """The bench, and who is on the way to it.

    Args:
        effects: the queue's list; Benched effects are appended to it.
        abilities: the functions and workers.
        rules: who is benched, and for how long.
    """

    def __init__(self, effects: list[Effect], abilities: Abilities, rules: BenchRules) -> None:
        self._effects = effects
        self._abilities = abilities
        self._rules = rules
        #: When each benched worker may have its next job; the number keeps equal times in their order.
        self._heap: list[tuple[float, int, Peer, Ability]] = []
        self._count = 0

    def note_grab(self, peer: Peer, ability: Ability, *, now: float) -> None:
        """A worker got a job: if it is benched, the next one is a while off."""
        if peer.connection in ability.queue.benched:
            self._pause(peer, ability, now=now)

    def note_failure(self, peer: Peer, job: Job, *, now: float) -> None:
        """A worker reported that a job failed."""
        if not self._rules.failures:
            return
        queue = self._abilities.function(job.function)
        if peer.connection not in queue.workers:
            # It came back to a run of a function that it has not registered here.
            return
        ability = self._abilities.ability(peer, queue)
        if now - job.started_at >= self._rules.fast_s:
            self._forgive(peer, ability, now=now)
            return
        if peer.connection in ability.queue.benched:
            return
        is_only_one = len(ability.queue.workers) - len(ability.queue.benched) == 1
        if is_only_one and not job.is_background:
            return
        peer.has_failures = True
        ability.failures = [time for time in ability.failures if now - time < self._rules.window_s]
        ability.failures.append(now)
        if len(ability.failures) > self._rules.failures:
            ability.queue.benched.add(peer.connection)
            self._effects.append(Benched(peer.connection, job.function))
            self._pause(peer, ability, now=now)
            self._abilities.pass_over(peer, ability.queue, now=now)

    def note_success(self, peer: Peer, job: Job, *, now: float) -> None:
        """A worker that has failures on record reported that a job succeeded."""
        for ability in peer.abilities:
            if ability.queue.name == job.function:
                self._forgive(peer, ability, now=now)

    def release_due(self, now: float) -> None:
        """Let the benched workers whose time has come have a job."""
        while self._heap and self._heap[0][0] <= now:
            due_at, _, peer, ability = heapq.heappop(self._heap)
            # Else it was forgiven, took the function back, or is gone.
            if ability.resumes_at == due_at and ability in peer.abilities:
                ability.resumes_at = 0.0
                self._abilities.call_again(peer, ability.queue, now=now)

    def next_due(self) -> float | None:
        """Return the unix seconds at which `release_due` has something to do, or None; never later than the truth."""
        return self._heap[0][0] if self._heap else None

    def move(self, by_s: float) -> None:
        """Move the end of every pause, for the clock it is told by was set."""
        for ability in {ability for due_at, _, _, ability in self._heap if ability.resumes_at == due_at}:
            ability.resumes_at += by_s
        self._heap = [(due_at + by_s, count, peer, ability) for due_at, count, peer, ability in self._heap]

    def _pause(self, peer: Peer, ability: Ability, *, now: float) -> None:
        self._count += 1
        ability.resumes_at = now + self._rules.interval_s
        heapq.heappush(self._heap, (ability.resumes_at, self._count, peer, ability))

    def _forgive(self, peer: Peer, ability: Ability, *, now: float) -> None:
        ability.failures = []
        peer.has_failures = any(one.failures for one in peer.abilities)
        if peer.connection in ability.queue.benched:
            ability.queue.benched.discard(peer.connection)
            ability.resumes_at = 0.0
            self._abilities.call_again(peer, ability.queue, now=now)
