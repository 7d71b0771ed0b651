"""Handles for the jobs this process enqueues: made here, so that an id is valid before a server saw the job.

One incarnation for each process; a fork begins a new one, since two processes counting on from the same number would
name two jobs alike. What a handle looks like stands in `core/handles`; here are the clock, the chance and the lock.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from typing import Final

from gearjobs.core.handles import RANDOM_BITS, HandleMaker, default_prefix, make_incarnation


class _HandleSource:
    def __init__(self) -> None:
        self.start_anew()

    def start_anew(self) -> None:
        self._lock = threading.Lock()
        self._maker: HandleMaker | None = None

    def next_handle(self) -> str:
        with self._lock:
            if self._maker is None:
                incarnation = make_incarnation(time.time(), secrets.randbits(RANDOM_BITS))
                self._maker = HandleMaker(default_prefix(socket.gethostname()), incarnation)
            return self._maker.next_handle().decode("ascii")


_source: Final = _HandleSource()
# In the child: another thread may have held the lock at the moment of the fork.
os.register_at_fork(after_in_child=_source.start_anew)


def next_handle() -> str:
    """Return a handle no process ever returned."""
    return _source.next_handle()
