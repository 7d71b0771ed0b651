"""asyncio's loop with a short way for peers: their sockets are read in the loop's own wait, not by callbacks after it.

asyncio makes of every ready socket a key, a handle and a call through a context, some 5 µs before the first byte is
read; a peer's job costs the queue less than that. So `PeerSelector` has an epoll of its own: it calls the transports
of peers that are ready, one after the other, and goes back to waiting while nobody else wants the loop. All else, the
other sockets, timers, tasks, threads, is asyncio's as ever: its selector is one more descriptor in that epoll.

What is ready at once is a batch: the `BatchHandler` is called before the first peer of it and after the last, so that
what holds for a tick (the time, the replies to be written) is done once. Linux only.
"""

from __future__ import annotations

import asyncio
import select
import selectors
import socket
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final, Protocol, TypeVarTuple

from gearjobs.server.peer_transport import PeerTransport

Ts = TypeVarTuple("Ts")
_Ready = list[tuple[selectors.SelectorKey, int]]

#: Peers in a batch: so many that what is done once costs little, so few that the first has its reply soon.
BATCH_PEERS: Final = 128


class BatchHandler(Protocol):
    """Whoever is told of batches."""

    def batch_began(self) -> None:
        """The first of some peers is about to be read from."""

    def batch_ended(self) -> None:
        """All of them were."""


class _NoHandler:
    """Nobody is told."""

    def batch_began(self) -> None:
        pass

    def batch_ended(self) -> None:
        pass


class PeerSelector(selectors.BaseSelector):
    """Waits for peers, and for what asyncio waits for."""

    def __init__(self) -> None:
        self._others = selectors.EpollSelector()
        self._epoll = select.epoll()
        self._poll = self._epoll.poll
        self._others_fd = self._others.fileno()
        self._epoll.register(self._others_fd, select.EPOLLIN)
        self._peers: dict[int, Callable[[int], None]] = {}
        self.batch_handler: BatchHandler = _NoHandler()
        self.on_bug: Callable[[Exception], None] = _raise
        #: True once something was scheduled in the loop since the last `select` began.
        self.is_loop_wanted = False

    def watch(self, descriptor: int, events: int, on_events: Callable[[int], None]) -> None:
        """Call when any of these events, or an error, is there; instead of what was watched so far."""
        if descriptor in self._peers:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._peers[descriptor] = on_events

    def leave(self, descriptor: int) -> None:
        """Call no more."""
        if self._peers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def select(self, timeout: float | None = None) -> _Ready:
        """Serve peers until the loop has something else to do, or the time is over; return what it is."""
        self.is_loop_wanted = False
        ends_at = None if timeout is None else monotonic() + timeout
        wait_s = -1 if timeout is None else max(0.0, timeout)
        while ready := self._poll(wait_s, BATCH_PEERS):
            if self._serve(ready):
                return self._others.select(0)
            if self.is_loop_wanted:
                break
            if ends_at is not None:
                wait_s = ends_at - monotonic()
                if wait_s <= 0:
                    break
        return []

    def _serve(self, ready: list[tuple[int, int]]) -> bool:
        """Let the peers of a batch be read from; return whether something else is ready as well."""
        peers = self._peers
        are_others_ready = False
        if len(ready) == 1 and ready[0][0] == self._others_fd:
            # No peer, no batch.
            return True
        try:
            self.batch_handler.batch_began()
        except Exception as bug:  # noqa: BLE001 - as below: a bug must not end the loop
            self.on_bug(bug)
        for descriptor, events in ready:
            on_events = peers.get(descriptor)
            if on_events is not None:
                try:
                    on_events(events)
                except Exception as bug:  # noqa: BLE001 - the connection's wall, as asyncio has one
                    self.on_bug(bug)
            elif descriptor == self._others_fd:
                are_others_ready = True
            # Else it left in this very batch.
        try:
            self.batch_handler.batch_ended()
        except Exception as bug:  # noqa: BLE001 - as above
            self.on_bug(bug)
        return are_others_ready

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._others.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._others.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._others.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._others.get_map()

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        return self._others.get_key(fileobj)

    def close(self) -> None:
        self._epoll.close()
        self._others.close()


def _raise(bug: Exception) -> None:
    raise bug


class PeerLoop(asyncio.SelectorEventLoop):
    """The loop."""

    def __init__(self) -> None:
        self._peers = PeerSelector()
        super().__init__(self._peers)
        self._peers.on_bug = self._tell_bug

    def open_peer(self, protocol: asyncio.Protocol, sock: socket.socket) -> None:
        """Connect a protocol with a socket that was accepted, and does not block."""
        PeerTransport(sock, protocol, loop=self, poller=self._peers).open()

    def tell_batches(self, handler: BatchHandler | None) -> None:
        """Tell of batches from now on; None: nobody."""
        self._peers.batch_handler = handler or _NoHandler()

    def call_soon(self, callback: Callable[[*Ts], object], *args: *Ts, context: Any = None) -> asyncio.Handle:
        self._peers.is_loop_wanted = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Any = None
    ) -> asyncio.TimerHandle:
        self._peers.is_loop_wanted = True
        return super().call_at(when, callback, *args, context=context)

    def _tell_bug(self, bug: Exception) -> None:
        self.call_exception_handler({"message": "a bug met while peers were served", "exception": bug})
