"""What goes wrong in a run, and what is asked of it: both drawn from the seed, each kind by chance of its own.

Swarm style: a seed draws which kinds of faults it has at all and how many of each, so that some runs have one kind
only, which others would hide. Faults are a list; a run without one of them is the same run but for that, as far as
chance allows, and that is how a failing seed is made smaller.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from random import Random
from typing import Final

from gearjobs.protocol.packets import PacketType
from tests.simulation.drawn_terms import DrawnTerms
from tests.simulation.job_script import Ending, JobScript
from tests.simulation.network import Link
from tests.simulation.simulated_client import Submission, Way
from tests.simulation.site import Shape, Site
from tests.simulation.world import Host
from tests.support.journal import LinkReset


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong at a time."""

    kind: str
    at: float
    #: Which server and which worker are meant, as far as the kind means any.
    server: int
    worker: int
    #: How long it lasts.
    duration_s: float
    #: A number from 0 to 1 that makes one of the kind differ from another.
    twist: float

    def __str__(self) -> str:
        return (
            f"{self.at:6.2f} {self.kind} server={self.server} worker={self.worker} "
            f"for {self.duration_s:.2f} s ({self.twist:.2f})"
        )


def _kill_server(site: Site, fault: Fault) -> None:
    server = site.servers[fault.server]
    if server.is_alive:
        server.kill(loses_unsent=fault.twist < 0.5)


def _stop_server(site: Site, fault: Fault) -> None:
    server = site.servers[fault.server]
    if server.is_alive:
        site.world.disturb(fault.duration_s, server.name)
        site.world.disturb(fault.duration_s, server.host.name)
        server.stop()
        site.world.call_in(fault.duration_s, None, server.go_on)


def _keep_server_down(site: Site, fault: Fault) -> None:
    site.keep_down(fault.server, fault.duration_s)
    _kill_server(site, fault)


def _lose_server_host(site: Site, fault: Fault) -> None:
    """Power loss: nobody is told; the host comes back after a while."""
    host = site.server_hosts[fault.server]
    if host is site.table.host:
        return
    site.keep_down(fault.server, fault.duration_s)
    for other in (*site.worker_hosts, site.table.host):
        site.network.block(host, other, fault.duration_s)
        site.network.block(other, host, fault.duration_s)
    if site.servers[fault.server].is_alive:
        site.servers[fault.server].vanish()


def _end_server(site: Site, fault: Fault) -> None:
    site.servers[fault.server].end_in_order()


def _kill_worker(site: Site, fault: Fault) -> None:
    worker = site.workers[fault.worker]
    if worker.is_alive:
        worker.kill(loses_unsent=fault.twist < 0.5)


def _stop_worker(site: Site, fault: Fault) -> None:
    worker = site.workers[fault.worker]
    if worker.is_alive:
        site.world.disturb(fault.duration_s, worker.host.name)
        worker.stop()
        site.world.call_in(fault.duration_s, None, worker.go_on)


def _lose_worker_host(site: Site, fault: Fault) -> None:
    worker, host = site.workers[fault.worker], site.worker_hosts[fault.worker]
    if site.shape.workers + site.shape.stock_workers - len(site.vanished) < 2:
        return
    site.vanished.add(host.name)
    for other in site.server_hosts:
        site.network.block(host, other, float("inf"))
        site.network.block(other, host, float("inf"))
    if worker.is_alive:
        worker.vanish()


def _part(site: Site, one: Host, other: Host, fault: Fault) -> None:
    if one is other:
        return
    if fault.twist < 0.7:
        site.network.block(one, other, fault.duration_s)
    if fault.twist < 0.4 or fault.twist >= 0.7:
        site.network.block(other, one, fault.duration_s)


def _part_worker(site: Site, fault: Fault) -> None:
    _part(site, site.worker_hosts[fault.worker], site.server_hosts[fault.server], fault)


def _pair_at_work(site: Site, fault: Fault) -> tuple[Host, Host]:
    """Return a worker's host and that of the server whose job it runs; the fault's own ones where nobody runs any."""
    for place in range(len(site.workers)):
        worker = site.workers[(fault.worker + place) % len(site.workers)]
        server = worker.server_of_run()
        if worker.is_alive and server is not None:
            return worker.host, server.host
    return site.worker_hosts[fault.worker], site.server_hosts[fault.server]


def _let_line_die_slowly(site: Site, fault: Fault) -> None:
    """What the server says comes late, and soon nothing comes to it any more."""
    worker, server = _pair_at_work(site, fault)
    site.network.block(server, worker, 6.0 + 3.5 * fault.twist)
    site.world.call_in(2.6, None, site.network.block, worker, server, 10.0 + fault.duration_s)


def _hold_up_assignment(site: Site, fault: Fault) -> None:
    """The next assignment to the worker comes late, and from then on nothing comes from the worker."""
    worker = site.workers[fault.worker]

    def trap(link: Link, chunk: bytes) -> None:
        if chunk[4:8] == _ASSIGNMENT:
            near, far = (process.host for process in link.processes)
            link.trap = None
            site.network.block(far, near, 5.0 + 2.5 * fault.twist)
            site.network.block(near, far, 10.0 + fault.duration_s)

    for link in site.network.links:
        if link.processes[0] is worker:
            link.trap = trap


def _reset_line(site: Site, fault: Fault) -> None:
    """Something in between (a firewall, a proxy) resets the connection to both sides."""
    worker, server = site.workers[fault.worker], site.servers[fault.server]
    for link in list(site.network.links):
        if link.processes == (worker, server):
            site.world.journal.append(LinkReset(site.world.now, worker.name))
            link.reset()


def _part_worker_from_all(site: Site, fault: Fault) -> None:
    for host in site.server_hosts:
        _part(site, site.worker_hosts[fault.worker], host, fault)


def _part_store(site: Site, fault: Fault) -> None:
    _part(site, site.server_hosts[fault.server], site.table.host, fault)


def _part_server(site: Site, fault: Fault) -> None:
    for host in (*site.worker_hosts, site.table.host):
        _part(site, site.server_hosts[fault.server], host, fault)


def _flap_store(site: Site, fault: Fault) -> None:
    for turn in range(6):
        site.world.call_in(turn * (0.5 + fault.duration_s / 6), None, _part_store, site, fault)


def _stop_store(site: Site, fault: Fault) -> None:
    duration_s = fault.duration_s
    site.store_weather.down_until = max(site.store_weather.down_until, site.world.now + duration_s)
    site.store_weather.hangs = fault.twist < 0.5
    # Afterwards everybody needs a moment: pauses between tries, two renewals before another's lease is judged.
    site.world.disturb(duration_s + 8.0)


def _lose_answers(site: Site, fault: Fault) -> None:
    site.store_weather.lost_share = 0.3 * fault.twist
    site.world.disturb(fault.duration_s + 8.0)
    site.world.call_in(fault.duration_s, None, setattr, site.store_weather, "lost_share", 0.0)


def _slow_store(site: Site, fault: Fault) -> None:
    site.store_weather.slow_share, site.store_weather.slow_s = 0.5 * fault.twist, 6.0
    site.world.disturb(fault.duration_s + 8.0)
    site.world.call_in(fault.duration_s, None, setattr, site.store_weather, "slow_share", 0.0)


def _slow_network(site: Site, fault: Fault) -> None:
    site.network.weather.slow_share, site.network.weather.slow_s = 0.4, 0.2 + 12.0 * fault.twist**3
    site.world.disturb(fault.duration_s + 14.0)
    site.world.call_in(fault.duration_s, None, setattr, site.network.weather, "slow_share", 0.0)


def _step_wall(site: Site, fault: Fault) -> None:
    by_s = 3600.0 if fault.twist < 0.35 else -3600.0 if fault.twist < 0.7 else 20.0
    site.server_hosts[fault.server].step_wall(by_s)


def _pause_function(site: Site, fault: Fault) -> None:
    """No fault, but an operator who means it; what waits for that may be late."""
    function = site.shape.functions[fault.server % len(site.shape.functions)]
    site.world.disturb(fault.duration_s + 8.0)
    site.pause(function, is_paused=True)
    site.world.call_in(fault.duration_s, None, partial(site.pause, function, is_paused=False))


#: The type of JOB_ASSIGN_EXT, as it stands in a packet's header.
_ASSIGNMENT: Final = int(PacketType.JOB_ASSIGN_EXT).to_bytes(4, "big")
#: Every kind: what it does, how long it lasts (least and most), how many of it there are at most.
KINDS: Final[dict[str, tuple[Callable[[Site, Fault], None], tuple[float, float], int]]] = {
    "server killed": (_kill_server, (0.0, 0.0), 4),
    "server stopped": (_stop_server, (0.5, 25.0), 3),
    "server killed and down": (_keep_server_down, (5.0, 40.0), 2),
    "server's host lost": (_lose_server_host, (5.0, 40.0), 1),
    "server ended in order": (_end_server, (0.0, 0.0), 3),
    "worker killed": (_kill_worker, (0.0, 0.0), 5),
    "worker stopped": (_stop_worker, (0.5, 30.0), 4),
    "worker's host lost": (_lose_worker_host, (0.0, 0.0), 1),
    "worker parted from server": (_part_worker, (0.5, 25.0), 4),
    "line dies slowly": (_let_line_die_slowly, (3.0, 20.0), 3),
    "assignment held up": (_hold_up_assignment, (3.0, 20.0), 2),
    "line reset": (_reset_line, (0.0, 0.0), 3),
    "worker parted from all": (_part_worker_from_all, (0.5, 25.0), 3),
    "server parted from store": (_part_store, (0.5, 60.0), 3),
    "server parted from all": (_part_server, (0.5, 25.0), 2),
    "store line flaps": (_flap_store, (0.3, 4.0), 2),
    "store down": (_stop_store, (0.3, 14.0), 2),
    "store answers lost": (_lose_answers, (1.0, 15.0), 2),
    "store slow": (_slow_store, (1.0, 15.0), 2),
    "network slow": (_slow_network, (1.0, 20.0), 2),
    "wall clock stepped": (_step_wall, (0.0, 0.0), 3),
}
#: What operators do, beside whatever goes wrong.
PAUSED: Final = "function paused"
_PAUSE_S: Final = (0.5, 12.0)
#: Share of the seeds in which they do, and how often at most.
_PAUSED_SHARE: Final = 0.3
_MOST_PAUSES: Final = 3
#: Most kinds that a seed has.
KINDS_AT_ONCE: Final = 5


@dataclass(slots=True)
class Plan:
    """What a seed makes of a run."""

    shape: Shape
    submissions: list[Submission]
    #: Scripts of the jobs by number.
    background_jobs: set[int]
    faults: list[Fault]
    #: True seconds until which faults may happen.
    quiet_at: float


class Theme(Enum):
    """What a seed's load is like."""

    #: Anything at any time.
    MIXED = "mixed"
    #: More jobs than workers, all at the beginning: there is always one waiting.
    CROWD = "crowd"
    #: Runs so long that even one whose server is kept from the store comes to its deadline.
    LONG = "long"


#: Seconds of each theme in which faults may happen, to choose from.
SPANS_S: Final = {Theme.MIXED: (12.0, 20.0, 30.0), Theme.CROWD: (30.0,), Theme.LONG: (75.0,)}


#: Ways of clients of ours; the others have no words for terms.
_SAYS_TERMS: Final = frozenset({Way.NAMED, Way.TRANSACTION, Way.ROLLED_BACK})


def draw_plan(seed: int) -> Plan:
    """Return what this seed means."""
    chance = Random(f"plan {seed}")
    theme = chance.choices(list(Theme), (16, 6, 1))[0]
    is_exclusive = theme is not Theme.LONG and chance.random() < 0.15
    servers = 1 if is_exclusive else 2 if theme is Theme.LONG else chance.choice((1, 2, 2, 2, 3))
    workers = chance.randint(1, 5) if theme is Theme.MIXED else chance.randint(2, 4)
    stock_workers = chance.choice((0, 0, 1, 2)) if workers > 1 else chance.choice((0, 1))
    functions = (b"reverse", b"resize")[: chance.choice((1, 1, 2))]
    shape = Shape(servers, workers, stock_workers, is_exclusive, functions)
    span_s = chance.choice(SPANS_S[theme])
    load = _Load(Random(f"load {seed}"), theme, shape, span_s)
    terms = DrawnTerms(seed)
    for submission in load.submissions:
        if submission.way in _SAYS_TERMS:
            submission.terms = terms.draw()
            submission.fate = terms.draw_fate()
    faults = sorted(_draw_faults(seed, shape, span_s) + _draw_pauses(seed, span_s), key=lambda fault: fault.at)
    if theme is Theme.LONG:
        faults.append(Fault("server parted from store", 6.0 + 6.0 * chance.random(), chance.randrange(2), 0, 55.0, 0.1))
        faults.sort(key=lambda fault: fault.at)
    return Plan(shape, load.submissions, load.background_jobs, faults, span_s)


def _draw_faults(seed: int, shape: Shape, span_s: float) -> list[Fault]:
    chance = Random(f"kinds {seed}")
    kinds = chance.sample(sorted(KINDS), chance.randint(1, KINDS_AT_ONCE))
    faults: list[Fault] = []
    for kind in kinds:
        own = Random(f"{kind} {seed}")
        _, (shortest_s, longest_s), most = KINDS[kind]
        for _ in range(own.randint(1, most)):
            # Early ones more often: what follows of them takes its time.
            at = 1.0 + (span_s - 1.0) * own.random() ** 1.4
            duration_s = _draw_duration_s(own, shortest_s, longest_s)
            server, worker = own.randrange(shape.servers), own.randrange(shape.workers + shape.stock_workers)
            faults.append(Fault(kind, at, server, worker, duration_s, own.random()))
    return sorted(faults, key=lambda fault: fault.at)


def _draw_pauses(seed: int, span_s: float) -> list[Fault]:
    chance = Random(f"pauses {seed}")
    if chance.random() >= _PAUSED_SHARE:
        return []
    return [
        Fault(
            PAUSED,
            # From the beginning on, so that some are there before the function is.
            span_s * chance.random() ** 1.4,
            chance.randrange(2),
            0,
            _draw_duration_s(chance, *_PAUSE_S),
            chance.random(),
        )
        for _ in range(chance.randint(1, _MOST_PAUSES))
    ]


def _draw_duration_s(chance: Random, shortest_s: float, longest_s: float) -> float:
    """Return short ones as often as long ones, and many of the longest: they are past every deadline."""
    if not shortest_s:
        return 0.0
    if chance.random() < 0.3:
        return longest_s * (0.6 + 0.4 * chance.random())
    return float(shortest_s * (longest_s / shortest_s) ** chance.random())


_OLD_ENDINGS: Final = (Ending.COMPLETE, Ending.FAIL, Ending.POISON)


class _Load:
    """The submits of a run."""

    def __init__(self, chance: Random, theme: Theme, shape: Shape, span_s: float) -> None:
        self.submissions: list[Submission] = []
        #: Numbers of the jobs that are submitted to the background.
        self.background_jobs: set[int] = set()
        self._chance = chance
        self._theme = theme
        self._shape = shape
        self._span_s = span_s
        # Many submits of one unique, or few.
        uniques = ((b"",), (b"", b"", b"", b"u1", b"u2"), (b"", b"", b"", b"u1", b"u2"), (b"", b"u1"))
        self._uniques: tuple[bytes, ...] = chance.choice(uniques)
        least, most = {Theme.MIXED: (4, 14), Theme.CROWD: (10, 14), Theme.LONG: (3, 5)}[theme]
        for number in range(chance.randint(least, most)):
            self._add(number)

    def _add(self, number: int) -> None:
        chance = self._chance
        way = chance.choices(list(Way), (4, 4, 2, 2, 1))[0]
        is_foreground = way is Way.FOREGROUND
        if not is_foreground:
            self.background_jobs.add(number)
        # A poison job in the foreground is handed out for ever, as gearmand does.
        ending = chance.choices(_OLD_ENDINGS, (12, 2, 0 if is_foreground else 1))[0]
        if ending is Ending.FAIL and not is_foreground and number % 2:
            ending = Ending.RETRY
        script = JobScript(number, 0.3 if ending is Ending.POISON else self._duration_s(), ending)
        is_transaction = way in {Way.TRANSACTION, Way.ROLLED_BACK}
        self.submissions.append(
            Submission(
                way,
                self._at(),
                chance.randrange(self._shape.servers),
                chance.choice(self._shape.functions),
                b"" if is_transaction else chance.choice(self._uniques),
                script.payload(),
                0 if is_foreground else chance.choice((0, 0, 0, 50, -50)),
                delay_s=0.0 if is_foreground else chance.choice((0.0, 0.0, 0.0, 3.0)),
                loses_nudge=chance.random() < 0.3,
            )
        )

    def _at(self) -> float:
        if self._theme is Theme.MIXED:
            return 0.5 + (self._span_s - 1.0) * self._chance.random()
        return 0.5 + 4.0 * self._chance.random()

    def _duration_s(self) -> float:
        if self._theme is Theme.LONG:
            return 60.0 + 30.0 * self._chance.random()
        usual = (
            (0.3, 2.0, 8.0, 8.0, 16.0) if self._theme is Theme.CROWD else (0.05, 0.3, 0.3, 2.0, 8.0, 8.0, 20.0, 30.0)
        )
        return self._chance.choice(usual) * (0.5 + self._chance.random())


def carry_out(site: Site, fault: Fault) -> None:
    """Let a fault happen."""
    happen = _pause_function if fault.kind == PAUSED else KINDS[fault.kind][0]
    happen(site, fault)
