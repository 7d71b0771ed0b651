"""A job server in the simulated world: the real queue, group commit, dispatch and connections, without loop and thread.

Only the shell is played here, in the order in which `job_server` and `durability` do things: packets are handled,
effects carried out, one step at a time asked of the store, replies let go, what is due done. No decision about jobs is
made; what may be decided wrongly is a parameter (`ServerHabits`), so that mutants can be planted.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

from gearjobs.core.changes import Accepted, Hastened, StoredJob
from gearjobs.core.function_brake import QueueControl
from gearjobs.core.handles import HandleMaker
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.jobs import ConnectionId, FunctionName, Job, JobHandle, JobState
from gearjobs.core.reattachment import REATTACH_S, ReattachRules
from gearjobs.errors import StoreError, StoreFenced, WireError
from gearjobs.protocol.codec import Packet
from gearjobs.protocol.packets import PacketType
from gearjobs.server.assignments import Assignments
from gearjobs.server.commit.batch_commit import Verdict, commit_batch
from gearjobs.server.commit.commit_steps import AdoptStep, CommitStep, RenewStep, Ruling
from gearjobs.server.commit.durability import Durability, abandoned_reply, joined_reply
from gearjobs.server.commit.group_commit import GroupCommit
from gearjobs.server.connection import Connection, HeldReply
from gearjobs.server.deliver import Deliver
from gearjobs.server.dispatch import Dispatch, error_packet
from gearjobs.server.memory_budget import MemoryBudget
from tests.simulation.network import Link
from tests.simulation.server_parts import BoundTable, LinkTransport
from tests.simulation.store_line import StoreLine
from tests.simulation.world import Host, Process
from tests.support.journal import CLOSED, DIED, ControlsObeyed, HandedOut, Ready, RunSettled, ServerBegan, ServerLost

if TYPE_CHECKING:
    from tests.simulation.site import Site

#: Seconds between two looks for jobs that nobody owns.
SWEEP_S = 1.0
MAX_PACKET_BYTES = 1 << 20
#: Seconds by which the wall clock must leave the monotonic one to have been set.
CLOCK_STEP_S = 0.5


class SimulatedServer(Process):
    """One life of a job server process.

    Args:
        site: what it is part of.
        host: where it runs.
        place: which of the site's servers it is.
        life: how many lives this one had before.
    """

    def __init__(self, site: Site, host: Host, *, place: int, life: int) -> None:
        super().__init__(host, f"s{place}.{life}")
        self.site = site
        self.place = place
        self.incarnation = self.name
        self.is_listening = False
        self.is_closing = False
        self._has_let_go = False
        #: Whether its end stands in the journal.
        self.is_over = False
        habits = site.habits.server
        self._habits = habits
        self._line = StoreLine(self, site.table, site.network, site.store_weather)
        self._table = site.table
        resumable_s = REATTACH_S if site.table.is_exclusive else ReattachRules().resumable_s
        reattach = ReattachRules(resumable_s=resumable_s)
        rules = QueueRules(reattach=reattach)
        self.queue = habits.new_queue(rules, cast("Any", self))
        self.group: GroupCommit[HeldReply] = habits.new_group_commit(habits.rules)
        self._connections: dict[ConnectionId, Connection] = {}
        self._by_link: dict[Link, Connection] = {}
        self._dirty: list[Connection] = []
        #: The queue begins as it would go on: nothing stored leaves before the lease is in hand.
        self._may_hand_out = True
        #: Jobs that the last adoption took, while it is not known to have happened.
        self._in_doubt: list[JobHandle] = []
        self._accepted = 0
        self._wall_ahead_s = host.wall() - host.monotonic()
        self._rings_at = float("inf")
        #: Since when each ready job waits; None where an operator had part in it.
        self._ready_at: dict[bytes, float | None] = {}
        self._handed_out: set[bytes] = set()
        #: Functions whose pause it obeys.
        self._paused: frozenset[bytes] = frozenset()
        #: Whose packet is being looked at, and whether it asks to go on with a run.
        self._speaker: Process | None = None
        self._speaks_since = 0.0
        self._is_resuming = False
        durability = cast("Durability", self)
        self._deliver = Deliver(self.queue.effects, self._connections, durability)
        self._dispatch = Dispatch(
            self.queue,
            durability,
            HandleMaker(f"H:s{place}", f"{life:014d}"),
            budget=MemoryBudget(1 << 40),
            assignments=Assignments(reattach),
        )

    # --- life

    def begin(self) -> None:
        """Open the store; listen when it has given the jobs."""
        self._line.call(self.incarnation, self._table.load, self._loaded)

    def kill(self, *, loses_unsent: bool) -> None:
        """SIGKILL."""
        self._end(DIED, loses_unsent=loses_unsent)

    def obey(self) -> None:
        """Read what operators say of functions; before the store is open there is nothing to do for it."""
        if self.is_listening:
            self._heed_controls()
            self._pump()

    def _heed_controls(self) -> None:
        paused = frozenset(self.site.paused)
        changed = paused ^ self._paused
        if not changed:
            return
        self._paused = paused
        self.world.journal.append(ControlsObeyed(self.world.now, self.incarnation, paused))
        controls = {FunctionName(function): QueueControl(is_paused=True) for function in sorted(paused)}
        self.queue.control_functions(controls, now=self.host.wall())
        # How long they waited is the operator's affair.
        for handle in self._ready_at:
            if self._is_of(handle, changed):
                self._ready_at[handle] = None

    def _is_of(self, handle: bytes, functions: frozenset[bytes]) -> bool:
        job = self.queue._life.jobs.get(JobHandle(handle))
        return job is not None and job.function in functions

    def vanish(self) -> None:
        """Be gone with the host, without a word to anybody."""
        links = list(self._by_link)
        self._by_link.clear()
        self._end(DIED, loses_unsent=False)
        self.site.leave_hanging(self.place, links)

    def end_in_order(self) -> None:
        """SIGTERM: take nothing more, commit, hand the jobs over, close."""
        if self.is_closing or not self.is_listening:
            return
        self.is_listening = False
        self.is_closing = True
        for connection in self._connections.values():
            connection.stop_reading()
        self.group.close()
        self._pump()

    def _loaded(self, jobs: list[StoredJob] | None, failure: StoreError | None) -> None:
        if failure is not None or jobs is None:
            self._end(DIED, loses_unsent=False)
            return
        self.world.journal.append(ServerBegan(self.world.now, self.incarnation))
        self.is_listening = True
        self._heed_controls()
        self._restore(jobs)
        self.later(SWEEP_S * self.world.chance.random(), self._sweep)
        self._pump()

    def _fenced(self) -> None:
        if self._habits.heeds_fence:
            self._end(CLOSED, loses_unsent=False)

    def _end(self, how: str, *, loses_unsent: bool) -> None:
        """Be gone; a fenced one has its end in the journal by what the table said."""
        self.is_listening = False
        self.die()
        self._table.dead.add(self.incarnation)
        if not self.is_over and how == DIED:
            self.world.journal.append(ServerLost(self.world.now, self.incarnation, DIED))
        for link in list(self._by_link):
            link.lose(1, loses_unsent=loses_unsent)
        self.site.server_ended(self)

    # --- what links say

    def accept(self, link: Link) -> None:
        """A peer connected."""
        if not self.is_listening:
            link.close(1)
            return
        self._accepted += 1
        connection = Connection(ConnectionId(self._accepted), cast("Any", self), max_packet_bytes=MAX_PACKET_BYTES)
        transport = LinkTransport(self, link)
        link.ends[1] = transport
        self._by_link[link] = connection
        connection.connection_made(cast("Any", transport))

    def came(self, link: Link, chunk: bytes) -> None:
        """Bytes came on a link."""
        connection = self._by_link.get(link)
        if connection is None:
            return
        self._heed_lease()
        self._speaker, self._speaks_since = link.processes[0], link.opened_at
        connection.data_received(chunk)
        self._speaker = None
        self._pump()

    def broken(self, link: Link, *, is_reset: bool) -> None:
        """The peer closed or is gone, or keepalive gave it up."""
        if is_reset or self._habits.has_keepalive:
            self.lost(link)

    def lost(self, link: Link) -> None:
        """The connection of a link is over."""
        self._heed_lease()
        connection = self._by_link.pop(link, None)
        if connection is not None:
            self.site.watch_cut(self, link)
            connection.connection_lost(None)
            self._pump()

    # --- what connections say (PacketHandler)

    def connected(self, connection: Connection) -> None:
        self._connections[connection.id] = connection
        self.queue.connect(connection.id, address=connection.address)

    def disconnected(self, connection: Connection) -> None:
        del self._connections[connection.id]
        self.queue.disconnect(connection.id, now=self.host.wall())

    def received(self, connection: Connection) -> None:
        now = self.host.wall()
        while not (connection.is_closed or connection.is_choked):
            try:
                packet = connection.decoder.next_packet()
                if packet is None:
                    return
                self._is_resuming = isinstance(packet, Packet) and packet.type == PacketType.RESUME_JOB
                self._dispatch.handle(connection, cast("Packet", packet), now)
                if self.queue.effects:
                    self._deliver.carry_out(sender=connection)
            except WireError as error:
                connection.send(error_packet(error.code, error.text))
                if error.is_fatal:
                    connection.close()
                    return

    def has_output(self, connection: Connection) -> None:
        self._dirty.append(connection)

    # --- what dispatch and deliver say (Durability)

    @property
    def is_lease_held(self) -> bool:
        return not self._habits.heeds_lease or self.group.lease.is_held(self.host.monotonic())

    def record(self, change: Any) -> None:
        if isinstance(change, Hastened) and change.handle in self._ready_at:
            function = self.queue._life.jobs[change.handle].function
            ready = Ready(self.world.now, self.incarnation, change.handle, function, change.priority)
            self.world.journal.append(ready)
        self.group.record(change, now=self.host.monotonic())

    def hold_created(
        self, connection: Connection, handle: Any, reply: bytes, *, refusal: bytes, may_join: bool = True
    ) -> None:
        if self._habits.holds_created:
            held = connection.hold(reply, refusal=refusal)
            held.only_for = b"" if may_join else handle
            self.group.hold_created(handle, held, now=self.host.monotonic())
        else:
            connection.send(reply)

    def hold_ended(self, connection: Connection, handle: Any, reply: bytes, *, refusal: bytes | None = None) -> None:
        self.group.hold_ended(handle, connection.hold(reply, refusal=reply if refusal is None else refusal))

    def hold_asked(self, connection: Connection, handle: Any, reply: bytes, *, is_new: bool) -> None:
        if is_new or self.group.is_asking(handle):
            self.group.hold_asked(handle, connection.hold(reply, refusal=reply))
        else:
            connection.send(reply)

    def hold_changed(self, connection: Connection, handle: Any, reply: bytes) -> None:
        self.group.hold_changed(handle, connection.hold(reply, refusal=reply))

    def adopt(self) -> None:
        self.group.want_adoption()

    # --- what the queue says (JobObserver)

    def job_submitted(self, job: Job) -> None:
        if not job.is_background:
            self._ready_at[job.handle] = self.world.now

    def job_started(self, job: Job, now: float) -> None:
        idle_wait_s = 0.0
        ready_at = self._ready_at.pop(job.handle, None)
        self._handed_out.add(job.handle)
        idle_since = getattr(self._speaker, "idle_since", None)
        if ready_at is not None and idle_since is not None:
            idle_wait_s = self.world.now - max(ready_at, idle_since, self._speaks_since)
        self.world.journal.append(
            HandedOut(
                self.world.now,
                self.incarnation,
                job.handle,
                job.function,
                job.attempt,
                job.is_background,
                # A limit may have held it up.
                0.0 if self._is_resuming or job.terms.limits else idle_wait_s,
                self._is_resuming,
                job.terms.limits,
                job.terms.expires_at,
                now,
            )
        )

    def job_requeued(self, job: Job) -> None:
        """Its wait begins anew; nobody measures it."""
        self.world.journal.append(RunSettled(self.world.now, self.incarnation, job.handle))

    def job_retried(self, job: Job, now: float) -> None:
        self.world.journal.append(RunSettled(self.world.now, self.incarnation, job.handle))

    def job_ended(self, job: Job, outcome: object, now: float) -> None:
        self._ready_at.pop(job.handle, None)
        self.world.journal.append(RunSettled(self.world.now, self.incarnation, job.handle))

    # --- turns

    def _heed_clock(self) -> None:
        offset_s = self.host.wall() - self.host.monotonic()
        if abs(offset_s - self._wall_ahead_s) > CLOCK_STEP_S:
            if self._habits.heeds_clock:
                self.queue.clock_set(offset_s - self._wall_ahead_s)
            self._wall_ahead_s = offset_s

    def _heed_lease(self) -> None:
        self._heed_clock()
        may = not self._habits.heeds_lease or self.group.may_hand_out(self.host.monotonic())
        if may != self._may_hand_out:
            self._may_hand_out = may
            if may:
                self.queue.release_stored(self.host.wall())
            else:
                self.queue.hold_stored()

    def _pump(self) -> None:
        """End a turn: carry out effects, ask the store, let replies leave, set the timer."""
        if not self.is_alive:
            return
        self._heed_lease()
        if self.queue.effects:
            self._deliver.carry_out()
        step = None if self._has_let_go else self.group.next_step(self.host.monotonic())
        if isinstance(step, CommitStep):
            batch = step.batch
            self._line.call(
                self.incarnation,
                lambda session: commit_batch(cast("Any", BoundTable(self._table, session)), batch),
                partial(self._committed, batch),
            )
        elif isinstance(step, RenewStep):
            self._line.call(self.incarnation, self._table.renew, self._renewed)
        elif isinstance(step, AdoptStep):
            limit = step.limit
            in_doubt = self._in_doubt
            self._line.call(
                self.incarnation, lambda session: self._table.adopt(session, limit, in_doubt), self._adopted
            )
        elif self.is_closing and self.group.is_done and not self._has_let_go:
            self._has_let_go = True
            self._line.call(self.incarnation, self._table.close, self._closed)
        self._flush()
        self._rearm()

    def _flush(self) -> None:
        if self._dirty:
            dirty, self._dirty = self._dirty, []
            for connection in dirty:
                connection.flush()

    def _committed(self, batch: list[Any], verdict: Verdict | None, failure: StoreError | None) -> None:
        if isinstance(failure, StoreFenced):
            self._fenced()
            return
        if verdict is None:
            verdict = Verdict(postponed=list(batch), error=failure)
        self._follow(self.group.settle(verdict, now=self.host.monotonic()))
        self._pump()

    def _renewed(self, lasts_s: float | None, failure: StoreError | None) -> None:
        if isinstance(failure, StoreFenced):
            self._fenced()
            return
        if failure is not None or lasts_s is None:
            self.group.failed(failure or StoreError("no answer", is_outage=True), now=self.host.monotonic())
        else:
            self.group.renewed(lasts_s, now=self.host.monotonic())
        self._pump()

    def _adopted(self, jobs: list[StoredJob] | None, failure: StoreError | None) -> None:
        if isinstance(failure, StoreFenced):
            self._fenced()
            return
        if failure is not None or jobs is None:
            self.group.failed(failure or StoreError("no answer", is_outage=True), now=self.host.monotonic())
        else:
            self._in_doubt.clear()
            self.group.adopted(jobs)
            self._restore(jobs)
        self._pump()

    def _closed(self, _answer: object, failure: StoreError | None) -> None:
        if failure is None:
            self.is_over = True
        for connection in list(self._connections.values()):
            connection.close()
        self._end(DIED, loses_unsent=False)

    def _follow(self, ruling: Ruling[HeldReply]) -> None:
        for reply in ruling.kept:
            reply.connection.release(reply, is_kept=True)
        for reply, handle in ruling.renamed:
            reply.refusal = joined_reply(handle, only_for=reply.only_for)
            reply.connection.release(reply, is_kept=False)
        for reply, handle in ruling.renamed_ends:
            reply.refusal = reply.refusal or abandoned_reply(handle)
            reply.connection.release(reply, is_kept=False)
        for reply in ruling.void:
            reply.connection.release(reply, is_kept=False)
        self._heed_clock()
        now = self.host.wall()
        for change in ruling.committed:
            if isinstance(change, Accepted):
                # Not the change's priority: it may be wanted sooner meanwhile.
                job = self.queue._life.jobs.get(change.handle)
                if job is not None and job.state is not JobState.ENDED and not job.terms.limits:
                    self._note_ready(change.handle, change.function, job.priority, is_due=not change.run_at)
            self.queue.committed(change, now=now)
        for refused in ruling.refused:
            self.queue.refused(refused, now=now)
        for change, into in ruling.joined:
            self.queue.joined(change, into, now=now)

    def _restore(self, jobs: list[StoredJob]) -> None:
        self._heed_clock()
        for job in jobs:
            # What is known already is being stored, or was taken before.
            is_new = not job.was_running and not job.attempt and not self.queue.get_status(job.handle).is_known
            # Those with limits come when these allow it.
            is_new = is_new and not job.terms.limits
            self._note_ready(job.handle, job.function, job.priority, is_due=is_new and not job.run_at)
        self.queue.restore(jobs, now=self.host.wall())

    def _note_ready(self, handle: bytes, function: bytes, priority: int, *, is_due: bool) -> None:
        # A foreground job that became a background one stands in its line already.
        if (
            is_due
            and handle not in self._ready_at
            and handle not in self._handed_out
            and self.queue.get_status(cast("Any", handle)).is_running is False
        ):
            self._ready_at[handle] = self.world.now
            self.world.journal.append(Ready(self.world.now, self.incarnation, handle, function, priority))

    def _sweep(self) -> None:
        self.later(SWEEP_S, self._sweep)
        if self._habits.sweeps:
            self.group.want_adoption()
        self._tick()

    def _tick(self) -> None:
        self._heed_lease()
        self.queue.tick(self.host.wall())
        self._follow(self.group.tick(self.host.monotonic()))
        self._pump()

    def _rearm(self) -> None:
        now, due_at = self.host.monotonic(), float("inf")
        if (queue_due := self.queue.next_due()) is not None:
            due_at = now + queue_due - self.host.wall()
        if (group_due := self.group.next_due()) is not None:
            due_at = min(due_at, group_due)
        if due_at < self._rings_at:
            self._rings_at = max(due_at, now + 0.001)
            self.later(self._rings_at - now, self._ring, self._rings_at)

    def _ring(self, rings_at: float) -> None:
        if rings_at == self._rings_at:
            self._rings_at = float("inf")
            self._tick()
