"""The thread beside a job server that reads again and again what operators say of functions, and writes what lines say.

It has a database session of its own with the limits of the store's, so that a pause is heard of while the writer is
busy, and shares nothing with the server's loop but the call that tells it of news. While the database is away what was
read last goes on holding, and lines are answered that they were not kept. Contract: `server/queue_desk.ControlKeeper`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from django.db import Error, connections

from gearjobs.core.function_brake import QueueControl
from gearjobs.core.jobs import FunctionName
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.queue_controls import read_controls, say_of_queue
from gearjobs.records.sessions.session_limits import SessionLimits
from gearjobs.records.side_thread import SideThread, keeps_rows
from gearjobs.server.queue_desk import PauseWish
from gearjobs.settings import gearjobs_settings

logger = logging.getLogger("gearjobs.records")

#: Seconds between two looks at the table: so late may a change be heard of whose server was not told.
LOOK_S: Final = 1.0
#: Least seconds between two looks, however often somebody wants one.
LEAST_S: Final = 0.05

Controls = dict[FunctionName, QueueControl]
#: Is told what is said now, and which wishes were carried out and whether they are kept.
OnNews = Callable[[Controls, list[tuple[PauseWish, bool]]], object]


class ControlWatch(SideThread):
    """Looks from `start` to `stop`; a ControlKeeper.

    Args:
        on_news: called in this thread when something else is said than before, or wishes were carried out.
    """

    def __init__(self, on_news: OnNews) -> None:
        super().__init__("gearjobs-controls")
        self._on_news = on_news
        self._wishes: list[PauseWish] = []
        self._guard = threading.Lock()
        self._is_wanted = threading.Event()
        self._controls: Controls = {}
        self._is_down = False

    def first_look(self) -> Controls:
        """Return what is said as the server starts; nothing where the database does not answer, which it says itself.

        To be called before `start`, in any thread.
        """
        alias = gearjobs_settings().database
        try:
            self._controls = read_controls(alias)
        except Error as error:
            logger.warning("cannot read what is said of queues error=%s", error)
        finally:
            connections[alias].close()
        return self._controls

    def look_soon(self) -> None:
        """Look before it is time."""
        self._is_wanted.set()

    def keep(self, wish: PauseWish) -> None:
        """Write this, look, and then say whether it was written."""
        with self._guard:
            self._wishes.append(wish)
        self._is_wanted.set()

    def _wake(self) -> None:
        self._is_wanted.set()

    def _run(self) -> None:
        alias = gearjobs_settings().database
        limits = SessionLimits(alias)
        while not self._stopping.is_set():
            self._is_wanted.clear()
            with self._guard:
                wishes, self._wishes = self._wishes, []
            if not self._is_looked_at(wishes, alias, limits):
                _close(alias, limits)
                if wishes:
                    self._on_news(self._controls, [(wish, False) for wish in wishes])
            self._stopping.wait(LEAST_S)
            self._is_wanted.wait(LOOK_S)
        _close(alias, limits)

    def _is_looked_at(self, wishes: list[PauseWish], alias: str, limits: SessionLimits) -> bool:
        """Carry out the wishes and look; return False where the database did not answer."""
        connection = connections[alias]
        try:
            if connection.connection is None:
                limits.open(connection)
            with limits.call():
                for wish in wishes:
                    say_of_queue(to_text(wish.function), {"is_paused": wish.is_paused})
                controls = read_controls(alias)
        except Error as error:
            if not self._is_down:
                logger.warning("cannot read what is said of queues until the database answers error=%s", error)
            self._is_down = True
            return False
        except Exception:
            # A wall: what operators say must be heard again when the next row can be read.
            logger.exception("stumble over what is said of queues")
            return False
        self._is_down = False
        if wishes or controls != self._controls:
            self._controls = controls
            self._on_news(controls, [(wish, True) for wish in wishes])
        return True


def make_control_watch(queue_type: str, on_news: OnNews) -> ControlWatch | None:
    """Return what reads the table beside a job server, not yet started; None for one that keeps jobs elsewhere."""
    return ControlWatch(on_news) if keeps_rows(queue_type) else None


def _close(alias: str, limits: SessionLimits) -> None:
    """Let go of the session, however it is."""
    with suppress(Error):
        connections[alias].close()
    limits.close(connections[alias])
