"""Who can do what, who sleeps, and whom to wake.

Waking every sleeper for every job costs a server with hundreds of workers nearly all its time, so `wakeup_limit` are
called a job (0: all, gearmand's default). A call can go unheard: the worker runs another server's job, or its host is
gone. So a call is answered by a grab within `recall_after_s`, or the next sleepers are called, more of them each time;
and a called worker that leaves, or comes back and takes another function's job, passes its call on. The rule all this
keeps: where a job waits and an able worker sleeps, a call for that function is under way. A worker that pauses on the
bench (`quarantine`) is not able.
"""

from __future__ import annotations

from typing import Final

from gearjobs.core.brakes import QueueControls
from gearjobs.core.effects import Effect, Wake
from gearjobs.core.function_brake import QueueControl
from gearjobs.core.function_queue import FunctionQueue
from gearjobs.core.jobs import ConnectionId, FunctionName
from gearjobs.core.peers import Ability, Peer, Wakefulness

_AWAKE: Final = Wakefulness.AWAKE
_ASLEEP: Final = Wakefulness.ASLEEP
_CALLED: Final = Wakefulness.CALLED


class Abilities:
    """The functions, the connections, and the calls between them.

    Args:
        effects: the queue's list; Wake effects are appended to it.
        wakeup_limit: sleeping workers called for each queued job; 0 for all.
        recall_after_s: seconds after which an unanswered call is passed on.
    """

    def __init__(self, effects: list[Effect], *, wakeup_limit: int, recall_after_s: float) -> None:
        self.functions: dict[FunctionName, FunctionQueue] = {}
        self.peers: dict[ConnectionId, Peer] = {}
        #: What operators say of functions.
        self.controls = QueueControls()
        self._effects = effects
        self._wakeup_limit = wakeup_limit
        self._recall_after_s = recall_after_s
        self._holds_stored = False
        #: When each called worker was called, oldest first.
        self._calls: dict[ConnectionId, float] = {}

    def function(self, name: FunctionName) -> FunctionQueue:
        """Return the function's queue, made at its first mention."""
        queue = self.functions.get(name)
        if queue is None:
            queue = self.functions[name] = FunctionQueue(name)
            self.controls.fit(queue)
            if self._holds_stored:
                queue.hold_stored()
        return queue

    def add(self, peer: Peer, name: FunctionName, *, timeout_s: float, now: float) -> None:
        """Let the worker be asked for this function first; a repeated registration only renews the timeout.

        A sleeping worker is called where a job waits; gearmand lets both wait.
        """
        queue = self.function(name)
        if peer.connection in queue.workers:
            self.ability(peer, queue).timeout_s = timeout_s
            return
        queue.workers.add(peer.connection)
        peer.abilities.insert(0, Ability(queue, timeout_s))
        self.call_again(peer, queue, now=now)

    def remove(self, peer: Peer, queue: FunctionQueue, *, now: float) -> None:
        """Take one function from the worker; a call for it goes to the next sleeper."""
        if peer.connection not in queue.workers:
            return
        queue.workers.discard(peer.connection)
        queue.benched.discard(peer.connection)
        peer.abilities.remove(self.ability(peer, queue))
        self.pass_over(peer, queue, now=now)

    def pass_over(self, peer: Peer, queue: FunctionQueue, *, now: float) -> None:
        """Do not call the worker for this function; a call for it goes to the next sleeper."""
        queue.sleepers.pop(peer.connection, None)
        if peer.called_for is queue:
            peer.called_for = None
            self._pass_on(queue, now=now)

    def call_again(self, peer: Peer, queue: FunctionQueue, *, now: float) -> None:
        """Let the worker be called for this function, if it sleeps; where a job waits, at once."""
        if peer.wakefulness is _ASLEEP:
            queue.sleepers[peer.connection] = None
            self._pass_on(queue, now=now)

    def ability(self, peer: Peer, queue: FunctionQueue) -> Ability:
        """Return what the worker registered; it must have registered the function."""
        return next(ability for ability in peer.abilities if ability.queue is queue)

    def strip(self, peer: Peer, *, now: float) -> None:
        """Take every function from a worker whose connection is gone: nobody calls it any more."""
        for ability in list(peer.abilities):
            self.remove(peer, ability.queue, now=now)
        self._calls.pop(peer.connection, None)

    def fall_asleep(self, peer: Peer, *, is_asking: bool = False, now: float) -> None:
        """Note that the worker must be called, and call it at once where work already waits (the race rule).

        Args:
            peer: the worker.
            is_asking: whether it waits for the answer to its grab: it is called before those who really sleep.
            now: unix seconds.
        """
        for ability in peer.abilities:
            if not ability.resumes_at and ability.queue.top_priority() is not None:
                called_for = peer.called_for
                self._call(peer, ability.queue, now=now)
                if called_for is not None and called_for is not ability.queue:
                    self._pass_on(called_for, now=now)
                return
        self._calls.pop(peer.connection, None)
        peer.called_for = None
        peer.wakefulness = _ASLEEP
        for ability in peer.abilities:
            if not ability.resumes_at:
                ability.queue.sleepers[peer.connection] = None
                if is_asking:
                    ability.queue.sleepers.move_to_end(peer.connection, last=False)

    def awaken(self, peer: Peer) -> FunctionQueue | None:
        """Note that the worker asks for a job by itself; return the function it had been called for."""
        if peer.wakefulness is _AWAKE:
            return None
        self._stir(peer)
        peer.wakefulness = _AWAKE
        self._calls.pop(peer.connection, None)
        called_for, peer.called_for = peer.called_for, None
        return called_for

    def answer(self, called_for: FunctionQueue, taken: FunctionQueue | None, *, now: float) -> None:
        """Settle a call after the called worker's grab: it took from `taken`, or found nothing."""
        called_for.unheard_calls = 0
        if taken is not called_for:
            self._pass_on(called_for, now=now)

    def announce(self, queue: FunctionQueue, *, now: float) -> None:
        """Call sleepers for a job that was just queued."""
        # What is held up is nobody's to take.
        if queue.sleepers and not (queue.may_hold_up and queue.top_priority() is None):
            self._call_some(queue, self._wakeup_limit or len(queue.sleepers), now=now)

    def call_next(self, queue: FunctionQueue, *, now: float) -> None:
        """Call a sleeper, if there is any, for a job that may be taken and for which perhaps nobody was called."""
        self._pass_on(queue, now=now)

    def hold_stored(self) -> None:
        """Let no background job be taken; workers that are called for one find none."""
        self._holds_stored = True
        for queue in self.functions.values():
            queue.hold_stored()

    def release_stored(self, *, now: float) -> None:
        """Let background jobs be taken again, and call sleepers for all that wait."""
        self._holds_stored = False
        for queue in self.functions.values():
            queue.release_stored()
            self._call_for_all(queue, now=now)

    def control(self, name: FunctionName, control: QueueControl, *, now: float) -> None:
        """Let the function obey this from now on, be it there yet or not; call sleepers where jobs may start."""
        self.controls.say(name, control, now=now)
        queue = self.functions.get(name)
        if queue is not None:
            self.controls.fit(queue)
            self._call_for_all(queue, now=now)

    def open_controls(self, now: float) -> None:
        """Call sleepers for jobs that the rates which operators set allow to start by now."""
        for name in self.controls.open_due(now):
            queue = self.functions.get(name)
            if queue is not None:
                self._pass_on(queue, now=now)

    def note_start(self, queue: FunctionQueue, *, now: float) -> None:
        """Count a start of a function of which an operator says something.

        Where one more may start, perhaps nobody was called for it.
        """
        self.controls.note_start(queue, now=now)
        self._pass_on(queue, now=now)

    def rouse(self, connection: ConnectionId | None) -> None:
        """Wake the worker, if it sleeps, for what it has in its hands; it still counts as asleep."""
        if connection is not None and self.peers[connection].wakefulness is _ASLEEP:
            self._effects.append(Wake(connection))

    def recall(self, now: float) -> None:
        """Pass on the calls that nobody answered in time."""
        while self._calls:
            connection, called_at = next(iter(self._calls.items()))
            if called_at + self._recall_after_s > now:
                return
            del self._calls[connection]
            queue = self.peers[connection].called_for
            if queue is not None:
                queue.unheard_calls += 1
                if queue.top_priority() is not None:
                    self._call_some(queue, queue.unheard_calls, now=now)

    def move_calls(self, by_s: float) -> None:
        """Move the time of every call, for the clock it is told by was set."""
        self._calls = {connection: called_at + by_s for connection, called_at in self._calls.items()}

    def next_recall(self) -> float | None:
        """Return when `recall` has something to do, in unix seconds, or None."""
        for called_at in self._calls.values():
            return called_at + self._recall_after_s
        return None

    def _pass_on(self, queue: FunctionQueue, *, now: float) -> None:
        if queue.sleepers and queue.top_priority() is not None:
            self._call_some(queue, 1, now=now)

    def _call_for_all(self, queue: FunctionQueue, *, now: float) -> None:
        """Call sleepers for all that waits, if anything of it may be taken."""
        if queue.sleepers and queue.top_priority() is not None:
            calls = self._wakeup_limit * queue.waiting_total or len(queue.sleepers)
            self._call_some(queue, calls, now=now)

    def _call_some(self, queue: FunctionQueue, count: int, *, now: float) -> None:
        while count > 0 and queue.sleepers:
            count -= 1
            self._call(self.peers[next(iter(queue.sleepers))], queue, now=now)

    def _call(self, peer: Peer, queue: FunctionQueue, *, now: float) -> None:
        self._stir(peer)
        peer.wakefulness = _CALLED
        peer.called_for = queue
        # Deleted first, so that a repeated call stands at the end: the dict's order is the order of the calls.
        self._calls.pop(peer.connection, None)
        self._calls[peer.connection] = now
        self._effects.append(Wake(peer.connection))

    def _stir(self, peer: Peer) -> None:
        if peer.wakefulness is _ASLEEP:
            for ability in peer.abilities:
                ability.queue.sleepers.pop(peer.connection, None)
