"""The promise of a pause: once a server obeys it, it hands out no job of the function until it is told to go on.

A run that its worker has already, and goes on with, is no new one. The check is called by `invariants`; the events are
`journal`'s.
"""

from __future__ import annotations

from tests.support.journal import Breach, ControlsObeyed, HandedOut, JournalView


def paused_functions_rest(view: JournalView) -> list[Breach]:
    """P: no job of a function starts at a server that obeys its pause."""
    paused: dict[str, frozenset[bytes]] = {}
    breaches = []
    for event in view.events:
        if isinstance(event, ControlsObeyed):
            paused[event.server] = event.paused
        elif isinstance(event, HandedOut) and event.function in paused.get(event.server, frozenset()):
            text = f"was handed out at {event.at:.3f} though {event.function!r} is paused"
            breaches += [] if event.is_resumed else [Breach("P", event.handle, text)]
    return breaches
