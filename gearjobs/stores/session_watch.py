"""Cuts off a database session that does not answer.

What a database refuses or lets wait too long, it says by itself: a session has limits for that. A database that hangs
says nothing: its machine is stopped, its disk stands still, a firewall forgot the connection. Drivers then wait for
ever, or as long as TCP does. A thread watches how long the present call lasts, and shuts the session's socket down; the
driver finds the connection broken, and the store opens another one when there is somebody to open it with.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import Any, Final

logger = logging.getLogger("gearjobs.stores")

#: Seconds between two looks.
_LOOK_S: Final = 0.1


class SessionWatch:
    """Watches the calls of one thread on one session.

    Args:
        name: of the database, for the log.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        #: A second descriptor of the session's socket: it can never be another socket's.
        self._socket: socket.socket | None = None
        self._deadline: float | None = None
        self._limit_s = 0.0
        self._is_over = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, session: Any) -> None:
        """Watch a driver's open connection, instead of an earlier one."""
        self._let_go()
        descriptor = _descriptor(session)
        if descriptor is None:
            return
        self._socket = socket.socket(fileno=socket.dup(descriptor))
        if self._thread is None:
            self._is_over.clear()
            self._thread = threading.Thread(target=self._look, name="gearjobs-session-watch", daemon=True)
            self._thread.start()

    def allow(self, limit_s: float) -> None:
        """Let the session take so long from now on, before it is cut off."""
        self._limit_s = limit_s
        self._deadline = time.monotonic() + limit_s

    def rest(self) -> None:
        """Nothing is asked of the session."""
        self._deadline = None

    def end(self) -> None:
        """Watch no more."""
        self.rest()
        self._let_go()
        if self._thread is not None:
            self._is_over.set()
            self._thread.join()
            self._thread = None

    def _look(self) -> None:
        while not self._is_over.wait(_LOOK_S):
            deadline, watched = self._deadline, self._socket
            if deadline is not None and watched is not None and time.monotonic() > deadline:
                self._deadline = None
                logger.error("cut off database=%s after=%.1fs without an answer", self._name, self._limit_s)
                try:
                    watched.shutdown(socket.SHUT_RDWR)
                except OSError:
                    # It is broken already, which is all that was wanted.
                    continue

    def _let_go(self) -> None:
        watched, self._socket = self._socket, None
        if watched is not None:
            watched.close()


def _descriptor(session: Any) -> int | None:
    """Return the descriptor of the session's socket; None where there is none, or the driver does not tell."""
    if hasattr(session, "fileno"):
        return int(session.fileno())
    # PyMySQL has no public name for it.
    inner = getattr(session, "_sock", None)
    return None if inner is None else int(inner.fileno())
