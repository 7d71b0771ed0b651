"""Carries out the queue's effects: changes go to the store, news and wake-ups become packets, the rest is logged.

In the order of the effects, so that what must be recorded is recorded before anybody hears of it. Direct answers to a
packet are `dispatch`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from gearjobs.core.effects import Benched, CancelNotice, Effect, News, NewsKind, OutcomeSettled, Record, Wake
from gearjobs.core.jobs import ConnectionId
from gearjobs.protocol.codec import encode_response
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.wire_text import to_text
from gearjobs.server.commit.durability import Durability
from gearjobs.server.connection import Connection

logger = logging.getLogger("gearjobs.server")

_NOOP: Final = encode_response(PacketType.NOOP)
_NEWS: Final[dict[NewsKind, PacketType]] = {
    NewsKind.STATUS: PacketType.WORK_STATUS,
    NewsKind.DATA: PacketType.WORK_DATA,
    NewsKind.WARNING: PacketType.WORK_WARNING,
    NewsKind.COMPLETE: PacketType.WORK_COMPLETE,
    NewsKind.FAIL: PacketType.WORK_FAIL,
    NewsKind.EXCEPTION: PacketType.WORK_EXCEPTION,
}
#: News without an end.
_ENDLESS: Final = (NewsKind.STATUS, NewsKind.DATA, NewsKind.WARNING)


class Deliver:
    """Empties the queue's list of effects.

    Args:
        effects: the queue's own list.
        connections: the open connections.
        durability: where changes go.
        called: where workers are put that are called, and have a grab that is held.
    """

    def __init__(
        self,
        effects: list[Effect],
        connections: dict[ConnectionId, Connection],
        durability: Durability,
        *,
        called: Callable[[Connection], None] | None = None,
    ) -> None:
        self._effects = effects
        self._connections = connections
        self._durability = durability
        self._note_called = called

    def carry_out(self, sender: Connection | None = None) -> None:
        """Do what the queue wants done, and clear the list.

        Args:
            sender: whose packet it comes of; None where it comes of none.
        """
        # Taken out first: an effect that meets a bug must not be carried out a second time with the next packet.
        effects = self._effects.copy()
        self._effects.clear()
        for effect in effects:
            # The classes themselves: there are none below them, and a job has several effects.
            if type(effect) is News:
                self._pass_on(effect, sender)
            elif type(effect) is Record:
                self._durability.record(effect.change)
            elif type(effect) is Wake:
                self._call(effect)
            else:
                self._carry_out_rare(effect)

    def _call(self, wake: Wake) -> None:
        connection = self._connections[wake.connection]
        if connection.held_grab and self._note_called is not None:
            self._note_called(connection)
        else:
            connection.send(_NOOP)

    def _carry_out_rare(self, effect: Effect) -> None:
        if isinstance(effect, OutcomeSettled):
            self._settle(effect)
        elif isinstance(effect, CancelNotice):
            self._notify(effect)
        elif isinstance(effect, Benched):
            peer, function = self._connections[effect.connection].address, to_text(effect.function)
            logger.warning("bench peer=%s function=%s: it fails fast, and gets only some of its jobs", peer, function)

    def _settle(self, settled: OutcomeSettled) -> None:
        connection = self._connections.get(settled.connection)
        # Who left comes back, perhaps to another server, and asks.
        if connection is not None and connection.has_extensions:
            connection.send(encode_response(PacketType.OUTCOME_SETTLED, settled.handle))

    def _notify(self, notice: CancelNotice) -> None:
        connection = self._connections.get(notice.connection)
        if connection is not None:
            connection.send(encode_response(PacketType.CANCEL_NOTICE, notice.handle, b"%d" % notice.is_forced))

    def _pass_on(self, news: News, sender: Connection | None) -> None:
        connection = self._connections.get(news.connection)
        if connection is None:
            return
        packet = encode_response(_NEWS[news.kind], news.handle, *news.arguments)
        if news.awaits_store:
            self._durability.hold_ended(connection, news.handle, packet, refusal=b"" if news.awaits_created else None)
        else:
            connection.send(packet)
            if sender is not None and news.kind in _ENDLESS and connection.is_behind:
                _hold_back(connection, news, sender)


def _hold_back(connection: Connection, news: News, sender: Connection) -> None:
    """See to it that what a client does not read stays bounded."""
    if news.outlives_client:
        connection.cut_off_if_far_behind()
    else:
        connection.keep_waiting(sender)
