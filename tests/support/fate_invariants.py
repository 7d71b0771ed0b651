"""The promises of terms and cancels: never too late, never again after a loss that was to be the last, never after all.

What becomes of limits is in `limit_invariants`. The checks are called by `invariants`; the events are `journal`'s.
"""

from __future__ import annotations

from gearjobs.core.terms import OnLoss
from tests.support.journal import RETRIED, Breach, CancelAnswered, HandedOut, JournalView, RowAppeared
from tests.support.run_invariants import PastRuns

#: What a client hears of a job that does not run again.
_TAKEN_BACK = frozenset({"cancelled", "asked"})


def expired_jobs_do_not_start(view: JournalView) -> list[Breach]:
    """I12: no job is handed out after it has expired, by its server's clock."""
    return [
        Breach("I12", event.handle, f"was handed out at {event.wall:.3f}, and had expired at {event.expires_at:.3f}")
        for event in view.all(HandedOut)
        if 0 < event.expires_at <= event.wall and not event.is_resumed
    ]


def cancelled_jobs_do_not_start(view: JournalView) -> list[Breach]:
    """I13: a job is not handed out any more once a client was told that it is cancelled, or is to stop.

    Excepted: the job had no row then. Whoever submitted it has heard nothing of it yet, and may do so once more.
    """
    answered: dict[bytes, float] = {}
    stored: set[bytes] = set()
    breaches = []
    for event in view.events:
        if isinstance(event, RowAppeared):
            stored.add(event.handle)
        elif isinstance(event, CancelAnswered) and event.verdict in _TAKEN_BACK and event.handle in stored:
            answered.setdefault(event.handle, event.at)
        elif isinstance(event, HandedOut) and event.handle in answered and not event.is_resumed:
            sentence = f"was handed out at {event.at:.3f}, and taken back at {answered[event.handle]:.3f}"
            breaches.append(Breach("I13", event.handle, sentence))
    return breaches


def lost_jobs_do_not_run_twice(view: JournalView) -> list[Breach]:
    """I14: a job that is not to run again after a loss does so only by its worker's wish.

    Excepted: a server was lost before it had committed the one hand-out, or its worker got the other late from one that
    was lost; or the two runs keep two promises.
    """
    once = {row.handle for row in view.all(RowAppeared) if row.terms.on_lost is OnLoss.FAIL}
    past = PastRuns(view)
    breaches = []
    for earlier, later in past.repetitions():
        # One that began as a foreground job had no terms then.
        if earlier.handle not in once or not earlier.is_background or not past.was_committed(earlier):
            continue
        if past.is_another_promise(earlier, later) or past.came_late(later):
            continue
        end = past.ends.get(earlier.run)
        if end is None or end.how != RETRIED:
            breaches.append(Breach("I14", earlier.handle, f"ran at {earlier.at:.3f} and again at {later.at:.3f}"))
    return breaches
