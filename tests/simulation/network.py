"""The simulated network: connections that keep their order, and hosts between which nothing passes for a while.

A partition holds back what is under way, in one direction or both, and TCP delivers it afterwards: nobody is told. A
process that dies says so on each of its connections (FIN or RST), behind what it sent before; a host that vanishes says
nothing. Keepalive ends a connection at the server's side when the silence lasted, as the server's sockets are set.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from tests.simulation.world import Host, Process, World

#: Seconds until the kernel of a server gives up a connection on which nothing passes: of a worker that grabs by
#: GRAB_JOB_EXT (idle 4, interval 2, count 3; user timeout 10), and of any other (idle 30, interval 10, count 3).
OWN_KEEPALIVE_S = (10.0, 12.0)
STOCK_KEEPALIVE_S = (60.0, 70.0)
#: Seconds after a partition's end until what it held back arrives: TCP tries again with growing pauses.
_RETRY_S = (0.05, 0.8)


@dataclass(slots=True)
class Weather:
    """How long bytes travel."""

    #: Least and usual most seconds.
    delay_s: tuple[float, float] = (0.0005, 0.003)
    #: Share of the deliveries that take longer, and up to how long: a queue, a retransmission.
    slow_share: float = 0.0
    slow_s: float = 0.0


class LinkEnd(Protocol):
    """Who has one end of a connection."""

    def received(self, link: Link, chunk: bytes) -> None:
        """Bytes came."""

    def broken(self, link: Link, *, is_reset: bool) -> None:
        """The other side closed the connection or is gone, or the kernel gave it up (not is_reset)."""


class Network:
    """Who reaches whom, and how fast."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.weather = Weather()
        #: Until when nothing passes from one host to another.
        self._blocked: dict[tuple[str, str], float] = {}
        self.links: list[Link] = []
        #: True once nothing is to be held up any more.
        self.is_quiet = False

    def block(self, source: Host, target: Host, duration_s: float) -> None:
        """Let nothing pass in this direction for so long; infinity for a host that vanished."""
        if self.is_quiet:
            return
        now = self.world.now
        key = (source.name, target.name)
        self._blocked[key] = max(self._blocked.get(key, 0.0), now + duration_s)
        self.world.disturb(duration_s + _RETRY_S[1], source.name)
        self.world.disturb(duration_s + _RETRY_S[1], target.name)
        for link in self.links:
            if link.joins(source, target):
                link.watch_silence(now + duration_s)

    def arrives_at(self, source: Host, target: Host) -> float:
        """Return when something sent now arrives."""
        world, weather = self.world, self.weather
        chance = world.chance.random
        low, high = weather.delay_s
        at = world.now + low + (high - low) * chance()
        if weather.slow_share and chance() < weather.slow_share:
            at += weather.slow_s * chance()
        if self._blocked and (until := self._blocked.get((source.name, target.name), 0.0)) > world.now:
            at = max(at, until + _RETRY_S[0] + (_RETRY_S[1] - _RETRY_S[0]) * chance())
        return at

    def is_open(self, source: Host, target: Host) -> bool:
        """Whether anything passes in this direction at the moment."""
        return not self._blocked or self._blocked.get((source.name, target.name), 0.0) <= self.world.now

    def end_partitions(self) -> None:
        """Let everything pass again, but to and from hosts that vanished."""
        self.is_quiet = True
        self._blocked = {key: until for key, until in self._blocked.items() if until == math.inf}


class Link:
    """One TCP connection between a client or worker and a server.

    Args:
        network: what it goes through.
        near: the process that opened it.
        far: the server's process.
    """

    __slots__ = (
        "_free_at",
        "_is_dropping",
        "_is_open",
        "_network",
        "ends",
        "keepalive_s",
        "opened_at",
        "processes",
        "trap",
    )

    def __init__(self, network: Network, near: Process, far: Process) -> None:
        self._network = network
        self.processes = (near, far)
        #: What the bytes are handed to, set by both sides when they have the connection.
        self.ends: list[LinkEnd | None] = [None, None]
        self.keepalive_s = STOCK_KEEPALIVE_S
        self._is_open = [True, True]
        self._free_at = [0.0, 0.0]
        self._is_dropping = False
        #: Looks at what the server sends next, before it leaves; see `faults`.
        self.trap: Callable[[Link, bytes], None] | None = None
        #: True time.
        self.opened_at = network.world.now
        network.links.append(self)

    def is_open(self, side: int) -> bool:
        """Whether this side may still use it."""
        return self._is_open[side]

    def joins(self, one: Host, other: Host) -> bool:
        """Whether it is between these hosts."""
        near, far = self.processes
        return {near.host.name, far.host.name} == {one.name, other.name} and any(self._is_open)

    def send(self, side: int, chunk: bytes) -> None:
        """Send bytes from one side (0: who opened it, 1: the server)."""
        if self._is_open[side]:
            if self.trap is not None and side == 1:
                self.trap(self, chunk)
            self._pass(side, self._deliver, chunk)

    def close(self, side: int) -> None:
        """Close one side; the other hears of it behind everything sent before."""
        if self._is_open[side]:
            self._is_open[side] = False
            self._pass(side, self._hear_end, b"")
            self._forget()

    def lose(self, side: int, *, loses_unsent: bool) -> None:
        """The process of this side is gone: its kernel closes, and may throw away what had not been read."""
        if self._is_open[side]:
            if loses_unsent:
                # What was under way is dropped by the reset: the other side is told at once.
                self._free_at[side] = 0.0
                self._is_open[side] = False
                self._pass(side, self._hear_end, b"")
                self._forget()
            else:
                self.close(side)

    def reset(self, sides: tuple[int, ...] = (0, 1)) -> None:
        """Let something in between, or a host that was started anew, tell these sides that the other one is gone."""
        world = self._network.world
        for side in sides:
            if self._is_open[side]:
                self._is_open[side] = False
                end = self.ends[side]
                if end is not None:
                    world.call_in(0.001, self.processes[side], self._tell_broken, end, True)
        self._forget()

    def watch_silence(self, until: float) -> None:
        """Let the server's kernel give up if nothing passes until then."""
        low, high = self.keepalive_s
        world = self._network.world
        give_up_at = world.now + low + (high - low) * world.chance.random()
        if give_up_at < until:
            world.call_at(give_up_at, None, self._give_up)

    def _give_up(self) -> None:
        near, far = (process.host for process in self.processes)
        is_silent = not (self._network.is_open(near, far) and self._network.is_open(far, near))
        if self._is_open[1] and is_silent:
            self._is_open[1] = False
            # What was not acknowledged is sent no more.
            self._is_dropping = True
            self._forget()
            self._pass(1, self._hear_end, b"")
            end = self.ends[1]
            if end is not None:
                self._network.world.call_in(0.0, self.processes[1], self._tell_broken, end, False)

    def _tell_broken(self, end: LinkEnd, is_reset: bool) -> None:
        end.broken(self, is_reset=is_reset)

    def _pass(self, side: int, call: Callable[[int, bytes], None], chunk: bytes) -> None:
        source, target = self.processes[side], self.processes[1 - side]
        at = max(self._free_at[side], self._network.arrives_at(source.host, target.host))
        self._free_at[side] = at
        if at < math.inf:
            self._network.world.call_at(at, target, call, side, chunk)

    def _deliver(self, side: int, chunk: bytes) -> None:
        end = self.ends[1 - side]
        if not self._is_open[1 - side]:
            # The kernel answers with RST.
            if self._is_open[side]:
                self._pass(1 - side, self._hear_end, b"")
        elif end is not None and not (self._is_dropping and side == 1):
            end.received(self, chunk)

    def _hear_end(self, side: int, _chunk: bytes) -> None:
        if self._is_open[1 - side]:
            self._is_open[1 - side] = False
            self._forget()
            end = self.ends[1 - side]
            if end is not None:
                end.broken(self, is_reset=True)

    def _forget(self) -> None:
        if not any(self._is_open) and self in self._network.links:
            self._network.links.remove(self)
