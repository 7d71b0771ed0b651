"""Worker processes in the simulated world: ours, with the real grab loop and held work, and stock ones.

Played here is what the rota of servers and the loop around it do with sockets, poll and threads: connect, grab from one
server at a time, read, speak, end what must end. A worker of ours is a child of a supervisor on the same host: it ends
itself when its run is lost, and the supervisor ends it past its deadline where it cannot. What a worker could do wrong
is in `WorkerHabits`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearjobs.errors import WireError
from gearjobs.protocol.attributes import CANCELLED, FailureReport
from gearjobs.protocol.codec import Decoder, Packet, encode_request
from gearjobs.protocol.packets import RESPONSE_MAGIC, PacketType
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.grab_loop import GrabLoop, GrabState
from gearjobs.worker.holding.held_work import HeldWork
from gearjobs.worker.holding.outcome_packets import failure_packet, success_packet
from gearjobs.worker.holding.run_lease import RunVerdict
from gearjobs.worker.turn_taking import SEEKING_PAUSE_S, SEEKING_SILENT_PAUSE_S
from tests.simulation.job_script import RETRY_ATTEMPTS, RETRY_IN_S, Ending, read_script
from tests.simulation.network import OWN_KEEPALIVE_S, Link
from tests.simulation.world import Host, Process
from tests.support.journal import COMPLETED, FAILED, KILLED, RETRIED, STOPPED, RunEnded, RunStarted, WorkerDied

if TYPE_CHECKING:
    from tests.simulation.site import Site

#: Seconds to wait for a connection.
CONNECT_TIMEOUT_S = 2.0
#: Seconds after a run's deadline until it is surely over: by the child itself, and by the supervisor where it is stuck.
OWN_END_S = 0.05
SUPERVISOR_S = (0.2, 1.0)


@dataclass(slots=True)
class WorkerHabits:
    """What a worker could do wrong; the defaults are right."""

    new_held_work: Callable[[], HeldWork] = HeldWork
    #: Whether a run is ended when the law says so.
    ends_lost_runs: bool = True
    #: Whether the lease of a run is counted from the answer that brought the job, not from the question.
    counts_from_answer: bool = False
    #: Whether it stops what it is told to stop.
    heeds_cancels: bool = True
    #: Seconds of silence after which its servers' kernels give a connection up.
    keepalive_s: tuple[float, float] = OWN_KEEPALIVE_S


@dataclass(slots=True)
class Run:
    """What a worker runs."""

    name: bytes
    handle: bytes
    is_resumable: bool
    ending: Ending
    grab_loop: GrabLoop
    #: Its number, those that were lost not counted; 0 where the worker is not told.
    attempt: int = 0
    is_to_stop: bool = False


class ServerLine:
    """One connection of a worker: the real grab loop, and the bytes."""

    def __init__(self, worker: SimulatedWorker, address: ServerAddress, link: Link, grab_loop: GrabLoop) -> None:
        self.worker = worker
        self.address = address
        self.link = link
        self.grab_loop = grab_loop
        self.decoder = Decoder(expects=RESPONSE_MAGIC)
        link.ends[0] = self

    def received(self, link: Link, chunk: bytes) -> None:
        """Bytes came."""
        self.decoder.receive(chunk)
        self.worker.read(self)

    def broken(self, link: Link, *, is_reset: bool) -> None:
        """The server closed or reset it."""
        self.worker.drop(self, is_silent=not is_reset)
        self.worker.turn()


class SimulatedWorker(Process):
    """One life of a worker process.

    Args:
        site: what it is part of.
        host: where it runs.
        place: which of the site's workers it is.
        life: how many lives this one had before.
        functions: what it can do.
    """

    is_stock = False

    def __init__(self, site: Site, host: Host, place: int, *, life: int, functions: tuple[bytes, ...]) -> None:
        super().__init__(host, f"w{place}.{life}")
        self.site = site
        self.place = place
        self.functions = functions
        self.held = site.habits.worker.new_held_work()
        self.run: Run | None = None
        #: True time since which it has nothing to do and may be handed a job; None while it runs one.
        self.idle_since: float | None = None
        self.lines: dict[ServerAddress, ServerLine] = {}
        self._servers = ServerList(site.addresses)
        self._seek_at: dict[ServerAddress, float] = {}
        self._connecting: set[ServerAddress] = set()
        self._wakes_at = math.inf
        self._runs_started = 0
        #: What the supervisor sees of the run's deadline.
        self._shared_deadline = math.inf

    def begin(self) -> None:
        """Start working."""
        self.idle_since = self.world.now
        self.turn()

    def kill(self, *, loses_unsent: bool = False) -> None:
        """SIGKILL."""
        self._end_run(KILLED)
        self.die()
        self.world.journal.append(WorkerDied(self.world.now, self.name))
        for line in self.lines.values():
            line.link.lose(0, loses_unsent=loses_unsent)
        self.lines.clear()
        self.site.worker_ended(self)

    def vanish(self) -> None:
        """Be gone with the host, without a word to anybody."""
        self._end_run(KILLED)
        self.die()
        self.world.journal.append(WorkerDied(self.world.now, self.name))

    # --- turns

    def turn(self) -> None:
        """Connect, grab, speak, and see when there is something to do by itself."""
        if not self.is_alive:
            return
        now = self.host.monotonic()
        self._connect_ready(now)
        if self.run is None:
            self._grab_next(now)
        self._flush(now)
        self._shared_deadline = self.held.deadline
        self._sleep_until(self._due_at())

    def read(self, line: ServerLine) -> None:
        """Act on what came on a connection."""
        grab_loop, now = line.grab_loop, self.host.monotonic()
        was_introduced = grab_loop.state is GrabState.INTRODUCED
        try:
            while (packet := line.decoder.next_packet()) is not None:
                grab_loop.receive(packet, now)
        except WireError:
            self.held.hear(grab_loop, now)
            self.drop(line, is_silent=True)
            self.turn()
            return
        if not self.held.hear(grab_loop, now):
            self._leave(line)
        elif was_introduced and grab_loop.state is not GrabState.INTRODUCED:
            self._servers.succeeded(line.address)
        if self.run is None and grab_loop.state is GrabState.WORKING:
            self._begin_run(line)
        if self.run is not None and self._is_over_by_force(self.run):
            self.kill()
            return
        if self._is_run_lost(now):
            self._end_lost_run()
            return
        self.turn()

    def drop(self, line: ServerLine, *, is_silent: bool) -> None:
        """Close a connection that is of no use any more."""
        if self.lines.get(line.address) is line:
            del self.lines[line.address]
            line.link.close(0)
            now = self.host.monotonic()
            self.held.broke(line.grab_loop, now, is_silent=is_silent)
            self._pause(line.address, now, is_silent=is_silent)

    def _leave(self, line: ServerLine) -> None:
        """Close a connection so that its server has back what it believes to be here."""
        line.grab_loop.reset_abilities()
        line.link.send(0, line.grab_loop.take_outgoing())
        self.drop(line, is_silent=True)

    def _wake(self, wakes_at: float) -> None:
        if wakes_at != self._wakes_at:
            return
        self._wakes_at = math.inf
        now = self.host.monotonic()
        for line in list(self.lines.values()):
            line.grab_loop.wake_if_due(now)
            if line.grab_loop.is_overdue(now):
                self.drop(line, is_silent=True)
        self.held.outcomes.forget_old(now)
        if self._is_run_lost(now):
            self._end_lost_run()
        else:
            self.turn()

    def _due_at(self) -> float:
        grab_loops = [line.grab_loop for line in self.lines.values()]
        due_at = min((one.due_at for one in grab_loops), default=math.inf)
        due_at = min(due_at, self.held.due_at(grab_loops))
        for address in self._servers.addresses:
            if address not in self.lines and address not in self._connecting:
                due_at = min(due_at, self._retry_at(address))
        return due_at

    def _sleep_until(self, due_at: float) -> None:
        if due_at < self._wakes_at:
            now = self.host.monotonic()
            # A wake-up that comes a rounding too early must not come again and again.
            self._wakes_at = max(due_at, now + 0.001)
            self.later(self._wakes_at - now, self._wake, self._wakes_at)

    # --- connections

    def _connect_ready(self, now: float) -> None:
        for address in self._servers.addresses:
            if address in self.lines or address in self._connecting or self._retry_at(address) > now:
                continue
            self._connecting.add(address)
            self.site.connect(self, address, CONNECT_TIMEOUT_S, self._connected)

    def _connected(self, address: ServerAddress, link: Link | None, is_silent: bool) -> None:
        self._connecting.discard(address)
        now = self.host.monotonic()
        if link is None:
            self._pause(address, now, is_silent=is_silent)
        else:
            if not self.is_stock:
                link.keepalive_s = self.site.habits.worker.keepalive_s
            line = ServerLine(self, address, link, self._new_grab_loop())
            self.lines[address] = line
            self._introduce(line, now)
        self.turn()

    def _introduce(self, line: ServerLine, now: float) -> None:
        line.grab_loop.introduce(now)

    def _new_grab_loop(self) -> GrabLoop:
        return GrabLoop(dict.fromkeys(self.functions, 0.0), client_id=self.name.encode())

    def _pause(self, address: ServerAddress, now: float, *, is_silent: bool) -> None:
        self._servers.failed(address, now=now, is_silent=is_silent, chance=self.world.chance.random())
        self._seek_at[address] = now + (SEEKING_SILENT_PAUSE_S if is_silent else SEEKING_PAUSE_S)

    def _retry_at(self, address: ServerAddress) -> float:
        retry_at = self._servers.retry_at(address)
        return min(retry_at, self._seek_at.get(address, math.inf)) if self.held.seeks_server else retry_at

    def _grab_next(self, now: float) -> None:
        if any(line.grab_loop.state is GrabState.GRABBING for line in self.lines.values()):
            return
        for line in self.lines.values():
            if line.grab_loop.state is GrabState.AWAKE:
                line.grab_loop.grab_job(now)
                self.lines[line.address] = self.lines.pop(line.address)
                return

    def _flush(self, now: float) -> None:
        for line in self.lines.values():
            self.held.speak(line.grab_loop, now)
            outgoing = line.grab_loop.take_outgoing()
            if outgoing:
                line.link.send(0, outgoing)

    # --- runs

    def _begin_run(self, line: ServerLine) -> None:
        assignment = line.grab_loop.held()
        script = read_script(assignment.payload)
        if self.site.habits.worker.counts_from_answer:
            line.grab_loop.grabbed_at = self.host.monotonic()
        is_resumable = bool(self.held.begin_run(line.grab_loop))
        if is_resumable and self._is_too_late():
            # The assignment was under way for so long that the job may be somebody else's.
            self.held.lose_run()
            self._leave(line)
            return
        self._runs_started += 1
        name = b"run-%b-%d" % (self.name.encode(), self._runs_started)
        said = assignment.attributes
        attempt = said.attempt - said.lost if line.grab_loop.has_extensions else 0
        self.run = Run(name, assignment.handle, is_resumable, script.ending, line.grab_loop, attempt)
        self.idle_since = None
        self.world.journal.append(
            RunStarted(
                self.world.now,
                name,
                assignment.handle,
                assignment.attributes.attempt if line.grab_loop.has_extensions else 0,
                self.name,
                line.link.processes[1].name,
                is_resumable,
                self.site.is_background(assignment.payload),
                assignment.payload,
            )
        )
        self.later(script.duration_s, self._finish, name)
        if is_resumable:
            self._supervise(name)

    def _finish(self, name: bytes) -> None:
        run = self.run
        if run is None or run.name != name:
            return
        now = self.host.monotonic()
        if self._is_run_lost(now):
            self._end_lost_run()
            return
        if run.ending is Ending.POISON:
            self.kill()
            return
        is_good = run.ending is Ending.COMPLETE or (run.ending is Ending.RETRY and run.attempt >= RETRY_ATTEMPTS)
        is_good = is_good and not run.is_to_stop
        report = FailureReport(message=name.decode())
        if run.is_to_stop:
            report.outcome = CANCELLED
        elif run.ending is Ending.RETRY and run.attempt:
            report.retry_in_s = RETRY_IN_S
        self._end_run(COMPLETED if is_good else FAILED if report.retry_in_s is None else RETRIED)
        if run.is_resumable:
            packet = success_packet(run.handle, name) if is_good else failure_packet(run.handle, report)
            self.held.end_run(packet, now)
        elif any(line.grab_loop is run.grab_loop for line in self.lines.values()):
            if is_good:
                run.grab_loop.work_complete(name)
            else:
                run.grab_loop.work_fail(report)
        self.turn()

    def _is_over_by_force(self, run: Run) -> bool:
        """Heed the cancels that came: a run that is to stop does so soon, one that is over ends with its process."""
        cancels = self.held.take_cancels(run.handle) if self.site.habits.worker.heeds_cancels else []
        if cancels and not run.is_to_stop:
            run.is_to_stop = True
            # Some tasks look only now and then.
            self.later(self.world.chance.random() * self.world.chance.choice((0.5, 20.0)), self._finish, run.name)
        return any(cancel.is_forced for cancel in cancels)

    def server_of_run(self) -> Process | None:
        """Return the server that the present run reports to, while it has a connection."""
        if self.run is not None:
            for line in self.lines.values():
                if line.grab_loop is self.run.grab_loop:
                    return line.link.processes[1]
        return None

    def _end_run(self, how: str) -> None:
        if self.run is not None:
            self.world.journal.append(RunEnded(self.world.now, self.run.name, how))
            self.run = None
            self.idle_since = self.world.now

    def _is_run_lost(self, now: float) -> bool:
        if self.run is None or not self.site.habits.worker.ends_lost_runs:
            return False
        return self.held.verdict(now) is not RunVerdict.GOES_ON

    def _is_too_late(self) -> bool:
        is_lost = self.held.verdict(self.host.monotonic()) is not RunVerdict.GOES_ON
        return self.site.habits.worker.ends_lost_runs and is_lost

    def _end_lost_run(self) -> None:
        """The child ends itself; it takes a moment, and the supervisor starts another."""
        self.world.call_in(OWN_END_S * self.world.chance.random(), self, self._end_by_itself, self.run)

    def _end_by_itself(self, run: Run | None) -> None:
        if self.run is run:
            self._end_run(STOPPED)
            self.kill()

    def _supervise(self, name: bytes) -> None:
        """Let the supervisor look at the run's deadline when it is over: it does not run in the child."""
        low, high = SUPERVISOR_S
        delay_s = (self._supervised_deadline() - self.host.monotonic()) / self.host.rate
        grace_s = low + (high - low) * self.world.chance.random()
        self.world.call_in(max(delay_s, 0.0) + grace_s, None, self._look_after, name)

    def _supervised_deadline(self) -> float:
        return (
            min(self._shared_deadline, self.held.deadline) if self._shared_deadline < math.inf else self.held.deadline
        )

    def _look_after(self, name: bytes) -> None:
        if not self.is_alive or self.run is None or self.run.name != name:
            return
        if not self.site.habits.worker.ends_lost_runs:
            return
        if self.host.monotonic() >= self._shared_deadline:
            self._end_run(STOPPED)
            self.kill()
        else:
            self._supervise(name)


class StockWorker(SimulatedWorker):
    """A worker of another library: it knows no extensions, no deadline, and keeps nothing."""

    is_stock = True

    def _introduce(self, line: ServerLine, now: float) -> None:
        line.grab_loop.introduce(now)
        line.grab_loop.take_outgoing()
        # Our grab loop without the extensions does what such a library does.
        line.grab_loop.receive(Packet(PacketType.ERROR, (b"UNKNOWN_OPTION", b"")), now)
        words = [encode_request(PacketType.SET_CLIENT_ID, self.name.encode())]
        words += [encode_request(PacketType.CAN_DO, function) for function in self.functions]
        line.link.send(0, b"".join(words))
