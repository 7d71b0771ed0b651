"""Takes connections from a listening socket, as many as there are places for, and turns the others away.

asyncio's own accept loop waits a second when the process has no file descriptor left, and before that logs a traceback
and schedules a restart for every place in the backlog: 4,096 of each. Peers meanwhile hang, connected to nobody. Here
the connection in front is taken with a descriptor kept for that and closed, so that its peer tries another server; then
the socket is left alone for `PAUSE_S`, so that a storm of peers that come back at once costs next to nothing; and the
log says so once in `LOG_EVERY_S`. A bounded number is taken a turn of the loop, so that the peers already here are
served in between.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from gearjobs.server.entrance.admin_rights import UNIX_HOST
from gearjobs.server.entrance.admission import UNPROVEN_LIMIT, Admission, TurnedAway

logger = logging.getLogger("gearjobs.server")

#: Connections taken a turn of the loop: some 10 ms.
_BATCH: Final = 100
#: Seconds for which no connection is taken after one was turned away for want of a place. What comes meanwhile waits in
#: the backlog.
PAUSE_S: Final = 0.1
#: Least seconds between two log lines about connections turned away.
LOG_EVERY_S: Final = 10.0

_NO_FILES: Final = {errno.EMFILE, errno.ENFILE}


class Acceptor:
    """Takes the connections of one listening socket.

    Args:
        sock: listens already.
        make_peer: makes a connection's protocol.
        admission: knows the places; who leaves must be told to it by the owner of the protocols.
        open_peer: connects a protocol with a socket that was taken, or raises OSError; by default in plain.
        must_prove: whether peers have to show who they are; `Admission.prove` is told when one has.
    """

    def __init__(
        self,
        sock: socket.socket,
        make_peer: Callable[[], asyncio.Protocol],
        *,
        admission: Admission,
        open_peer: Callable[[asyncio.Protocol, socket.socket], Awaitable[object]] | None = None,
        must_prove: bool = False,
    ) -> None:
        self._sock = sock
        self._make_peer = make_peer
        self._admission = admission
        self._must_prove = must_prove
        self._loop = asyncio.get_running_loop()
        self._open_peer = open_peer or self._open_plain
        self._openings: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        #: Kept to be closed when there is no other, so that a connection can be taken to be turned away.
        self._spare: int | None = None
        self._turned_away = 0
        self._may_log_at = 0.0
        self._is_closed = False
        sock.setblocking(False)
        self._keep_spare()
        self._loop.add_reader(sock, self._accept_some)

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The socket while it listens."""
        return () if self._is_closed else (self._sock,)

    def close(self) -> None:
        """Listen no more; those who are in stay. May be called more than once."""
        if self._is_closed:
            return
        self._is_closed = True
        if self._pause is None:
            self._loop.remove_reader(self._sock)
        else:
            self._pause.cancel()
        self._sock.close()
        self._drop_spare()

    def _accept_some(self) -> None:
        has_place = True
        for _ in range(_BATCH):
            try:
                conn, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                break
            except ConnectionError:
                # It was gone before it was taken.
                continue
            except OSError as error:
                has_place = False
                if not self._turn_away_with_spare(error):
                    break
            else:
                # Peers of a Unix socket have no address, or a path.
                has_place = (
                    self._receive(conn, str(address[0]) if isinstance(address, tuple) else UNIX_HOST) and has_place
                )
        if not has_place:
            self._rest()

    def _receive(self, conn: socket.socket, host: str) -> bool:
        """Let a connection in, or close it; False when nobody else would be let in either."""
        reason = self._admission.reason_to_refuse(host, must_prove=self._must_prove)
        if reason is not None:
            conn.close()
            self._note_turned_away(reason, self._explain(reason, host))
            return reason is TurnedAway.HOST_FULL
        conn.setblocking(False)
        peer = self._make_peer()
        self._admission.enter(peer, host, must_prove=self._must_prove)
        # Kept: the loop holds tasks weakly.
        opening = self._loop.create_task(self._open(peer, conn))
        self._openings.add(opening)
        opening.add_done_callback(self._openings.discard)
        return True

    def _explain(self, reason: TurnedAway, host: str) -> str:
        if reason is TurnedAway.UNPROVEN_FULL:
            return f"{UNPROVEN_LIMIT} connections are open that have not shown who they are"
        if reason is TurnedAway.FULL:
            return f"{self._admission.limit} connections are open"
        return f"host {host} has as many connections open as one host may"

    async def _open(self, peer: asyncio.Protocol, conn: socket.socket) -> None:
        try:
            await self._open_peer(peer, conn)
        except OSError as error:
            # It was gone before it was opened.
            logger.debug("lose peer before its first byte: %s", error)
            conn.close()
            self._admission.leave(peer)

    async def _open_plain(self, peer: asyncio.Protocol, conn: socket.socket) -> None:
        await self._loop.connect_accepted_socket(lambda: peer, conn)

    def _turn_away_with_spare(self, error: OSError) -> bool:
        """Close the connection that could not be taken; False when there is none or it has to wait."""
        reason = f"cannot accept: {error.strerror or error}"
        if error.errno not in _NO_FILES or self._spare is None:
            self._note_turned_away(TurnedAway.CANNOT_ACCEPT, reason)
            return False
        self._drop_spare()
        try:
            conn, _ = self._sock.accept()
        except OSError:
            # Without a descriptor the system does not even say that nobody waits any more.
            return False
        else:
            conn.close()
            self._note_turned_away(TurnedAway.CANNOT_ACCEPT, reason)
            return True
        finally:
            self._keep_spare()

    def _rest(self) -> None:
        """Take nobody for a while: the system would say again and again that somebody waits."""
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(PAUSE_S, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._keep_spare()
        self._loop.add_reader(self._sock, self._accept_some)

    def _note_turned_away(self, reason: TurnedAway, sentence: str) -> None:
        self._admission.turned_away[reason] += 1
        self._turned_away += 1
        now = self._loop.time()
        if now >= self._may_log_at:
            self._may_log_at = now + LOG_EVERY_S
            logger.warning("turn away connections=%d: %s", self._turned_away, sentence)
            self._turned_away = 0

    def _keep_spare(self) -> None:
        if self._spare is None:
            # Else another was faster; the next rest's end tries again.
            with suppress(OSError):
                self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _drop_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None
