"""Everything of one run together: hosts, servers, workers, clients, the table, and who starts what anew.

The site is the operating systems and supervisors: it opens connections, starts a server or a worker that ended once
more, and notes for the journal what can be seen from outside of the processes.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from tests.simulation.job_script import read_script
from tests.simulation.network import Link, Network
from tests.simulation.server_parts import ServerHabits
from tests.simulation.shared_table import SharedTable
from tests.simulation.simulated_client import ClientLine, SimulatedClient, Way
from tests.simulation.simulated_server import SimulatedServer
from tests.simulation.simulated_worker import SimulatedWorker, StockWorker, WorkerHabits
from tests.simulation.store_line import StoreWeather
from tests.simulation.world import Host, Process, World
from tests.support.journal import Promised, Told, WorkerCut

_HEADER = struct.Struct(">4sII")
_ENDS = frozenset({PacketType.WORK_COMPLETE, PacketType.WORK_FAIL, PacketType.WORK_EXCEPTION})

#: Seconds between two looks of a server at what operators say.
LOOK_S = 1.0

Connected = Callable[[ServerAddress, "Link | None", bool], None]


@dataclass(slots=True)
class Habits:
    """What the parts could do wrong; the defaults are right."""

    server: ServerHabits = field(default_factory=ServerHabits)
    worker: WorkerHabits = field(default_factory=WorkerHabits)
    new_table: Callable[..., SharedTable] = SharedTable
    #: Whether a transaction that is rolled back leaves its row all the same.
    keeps_rolled_back: bool = False


@dataclass(slots=True)
class Shape:
    """How big a site is."""

    servers: int
    workers: int
    stock_workers: int
    is_exclusive: bool
    functions: tuple[bytes, ...]


class Site:
    """One site.

    Args:
        world: where it is.
        shape: how big it is.
        habits: what its parts do wrong.
    """

    def __init__(self, world: World, shape: Shape, habits: Habits) -> None:
        self.world = world
        self.shape = shape
        self.habits = habits
        self.network = Network(world)
        self.store_weather = StoreWeather()
        chance = world.chance
        self.table = habits.new_table(world, Host(world, "db"), is_exclusive=shape.is_exclusive)

        def host(name: str) -> Host:
            return Host(world, name, rate=1.0 + 0.01 * (2 * chance.random() - 1), wall_offset_s=chance.random())

        # The one server of an exclusive store has it on its own disk.
        self.server_hosts = [self.table.host if shape.is_exclusive else host(f"s{n}") for n in range(shape.servers)]
        self.worker_hosts = [host(f"w{n}") for n in range(shape.workers + shape.stock_workers)]
        self.addresses = [ServerAddress(f"s{n}", 4730) for n in range(shape.servers)]
        self._place = {address: n for n, address in enumerate(self.addresses)}
        self.servers: list[SimulatedServer] = []
        self.workers: list[SimulatedWorker] = []
        self.clients = [SimulatedClient(self, host(f"c{n}"), f"c{n}") for n in range(2)]
        #: Hosts that are gone for good.
        self.vanished: set[str] = set()
        self._lives = [0] * shape.servers
        self._promised: set[bytes] = set()
        #: Connections of servers whose host was lost.
        self._hanging: list[list[Link]] = [[] for _ in range(shape.servers)]
        #: Until when each server is not to be started.
        self._down_until = [0.0] * shape.servers
        self._worker_lives = [0] * len(self.worker_hosts)
        #: Numbers of the jobs that were submitted to the background.
        self.background_jobs: set[int] = set()
        #: Functions that an operator paused, as the table has them.
        self.paused: set[bytes] = set()

    def begin(self) -> None:
        """Start every process."""
        for place in range(self.shape.servers):
            self.servers.append(self._new_server(place))
        for place in range(len(self.worker_hosts)):
            self.workers.append(self._new_worker(place))
        for server in self.servers:
            server.begin()
        for worker in self.workers:
            self.world.call_in(self.world.chance.random(), worker, worker.begin)

    def is_background(self, payload: bytes) -> bool:
        """Whether the job of this payload was submitted to the background."""
        return read_script(payload).number in self.background_jobs

    def pause(self, function: bytes, *, is_paused: bool) -> None:
        """Let an operator pause a function, or let it go on; each server obeys when it next looks."""
        (self.paused.add if is_paused else self.paused.discard)(function)
        for server in self.servers:
            server.later(LOOK_S * self.world.chance.random(), server.obey)

    # --- starting anew

    def server_ended(self, server: SimulatedServer) -> None:
        """The supervisor starts it once more."""
        delay_s = 0.2 + 2.0 * self.world.chance.random()
        self.world.call_in(delay_s, None, self.restart_server, server.place)

    def keep_down(self, place: int, duration_s: float) -> None:
        """Do not start a server for so long once it has ended."""
        self._down_until[place] = max(self._down_until[place], self.world.now + duration_s)

    def restart_server(self, place: int) -> None:
        """Start a server, unless it runs; later, where it is to stay down for a while."""
        if self.servers[place].is_alive:
            return
        if self._down_until[place] > self.world.now:
            self.world.call_at(self._down_until[place], None, self.restart_server, place)
            return
        self.servers[place] = self._new_server(place)
        self.servers[place].begin()
        # A host that is back knows nothing of old connections, and says so.
        for link in self._hanging[place]:
            link.reset((0,))
        self._hanging[place].clear()

    def leave_hanging(self, place: int, links: list[Link]) -> None:
        """The other sides of these connections hear nothing before the server's host is back."""
        self._hanging[place] += links

    def worker_ended(self, worker: SimulatedWorker) -> None:
        """The supervisor starts it once more."""
        self.world.call_in(0.2 + self.world.chance.random(), None, self._restart_worker, worker.place)

    def _restart_worker(self, place: int) -> None:
        if self.workers[place].is_alive or self.worker_hosts[place].name in self.vanished:
            return
        self.workers[place] = self._new_worker(place)
        self.workers[place].begin()

    def _new_server(self, place: int) -> SimulatedServer:
        self._lives[place] += 1
        return SimulatedServer(self, self.server_hosts[place], place=place, life=self._lives[place])

    def _new_worker(self, place: int) -> SimulatedWorker:
        self._worker_lives[place] += 1
        kind = SimulatedWorker if place < self.shape.workers else StockWorker
        host, life = self.worker_hosts[place], self._worker_lives[place]
        return kind(self, host, place, life=life, functions=self.shape.functions)

    # --- connections

    def connect(self, process: Process, address: ServerAddress, timeout_s: float, then: Connected) -> None:
        """Let a process open a connection; `then` hears of it, or that it failed and whether in silence."""
        place = self._place[address]
        arrives_at = self.network.arrives_at(process.host, self.server_hosts[place])
        gives_up_at = self.world.now + timeout_s
        if arrives_at > gives_up_at:
            self.world.call_at(gives_up_at, process, then, address, None, True)
        else:
            self.world.call_at(arrives_at, None, self._knock, process, address, gives_up_at, then)

    def _knock(self, process: Process, address: ServerAddress, gives_up_at: float, then: Connected) -> None:
        server = self.servers[self._place[address]]
        back_at = self.network.arrives_at(server.host, process.host)
        if back_at > gives_up_at:
            self.world.call_at(gives_up_at, process, then, address, None, True)
        elif not (server.is_alive and server.is_listening):
            self.world.call_at(back_at, process, then, address, None, False)
        else:
            link = Link(self.network, process, server)
            # A stopped process has its kernel accept for it.
            self.world.call_at(self.world.now, server, server.accept, link)
            self.world.call_at(back_at, process, then, address, link, False)

    # --- what can be seen from outside

    def watch_output(self, server: SimulatedServer, link: Link, chunk: bytes) -> None:
        """A server passes bytes to a socket: what it promises or tells with them counts from now on."""
        line = link.ends[0]
        if not isinstance(line, ClientLine):
            return
        offset, has_created = 0, False
        while offset < len(chunk):
            _, kind, size = _HEADER.unpack_from(chunk, offset)
            body = chunk[offset + 12 : offset + 12 + size]
            offset += 12 + size
            submission = line.submission
            has_created = has_created or kind == PacketType.JOB_CREATED
            if kind == PacketType.JOB_CREATED and submission.way is not Way.FOREGROUND:
                promise = Promised(self.world.now, body, submission.function, submission.unique, submission.payload)
                self.world.journal.append(promise)
                self._promised.add(body)
            elif kind in _ENDS and not has_created:
                # Together they say that the job is another server's, for which the client cannot wait here.
                handle = body.split(b"\0", 1)[0]
                is_durable = handle in self._promised and self.table.is_known(handle)
                self.world.journal.append(Told(self.world.now, handle, is_durable))

    def watch_cut(self, server: SimulatedServer, link: Link) -> None:
        """A server lost a connection."""
        process = link.processes[0]
        if isinstance(process, SimulatedWorker):
            self.world.journal.append(WorkerCut(self.world.now, process.name, server.incarnation))

    def is_done(self) -> bool:
        """Whether nothing is left to do for anybody."""
        return not self.table.unfinished and not any(client.open for client in self.clients)

    def go_on(self) -> None:
        """Let everything go on that was stopped, and everything pass that was held up."""
        self.network.end_partitions()
        self._down_until = [0.0] * len(self._down_until)
        for place in range(len(self.servers)):
            self.restart_server(place)
        self.store_weather.down_until = 0.0
        self.store_weather.lost_share = self.store_weather.slow_share = 0.0
        self.network.weather.slow_share = 0.0
        for function in sorted(self.paused):
            self.pause(function, is_paused=False)
        for host in self.server_hosts:
            host.set_right()
        for process in (*self.servers, *self.workers):
            process.go_on()
