"""The list of functions: what each has to do, who does it, what operators said of it, and how it went lately.

Put together of three things, each read once for the whole list: what the job servers say, the rows of operators'
words, and the figures of the last hour. A function that any of them knows is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from gearjobs.actions.live_snapshot import FunctionState, LiveSnapshot
from gearjobs.admin.activity_charts import seconds_text
from gearjobs.admin.charts import sparkline
from gearjobs.admin.live_view import running_now, waited_text
from gearjobs.models import QueueControl
from gearjobs.records.queue_controls import all_controls
from gearjobs.records.statistics.series import FunctionTotals, sparklines, totals

#: Rows of the list; more are for its search.
SHOWN_ROWS: Final = 300
_MINUTE_S: Final = 60
#: Seconds without an end in sight: more is "for ever" to whoever waits.
_LONGEST_ETA_S: Final = 100 * 86_400


@dataclass(slots=True)
class QueueRow:
    """One function."""

    name: str
    state: FunctionState
    control: QueueControl | None
    totals: FunctionTotals | None
    #: Workers that have a job of it.
    busy: int = 0
    sparkline: SafeString | str = ""

    @property
    def is_paused(self) -> bool:
        return self.state.is_paused or (self.control is not None and self.control.is_paused)

    @property
    def is_stuck(self) -> bool:
        """Whether jobs wait that nobody can do."""
        return self.state.waiting > 0 and not self.state.workers and not self.is_paused

    @property
    def is_unused(self) -> bool:
        """Whether it is only remembered."""
        state = self.state
        return not (state.waiting or state.running or state.scheduled or state.workers or self.is_paused)

    @property
    def failed(self) -> int:
        return self.totals.failed if self.totals is not None else 0

    @property
    def oldest(self) -> str:
        return waited_text(self.state.oldest_queued_at if self.state.waiting else None)

    @property
    def rates(self) -> str:
        """Jobs a minute that come and that go."""
        if not (self.state.entered_per_s or self.state.taken_per_s):
            return ""
        return f"{_rate(self.state.entered_per_s)} / {_rate(self.state.taken_per_s)}"

    @property
    def eta(self) -> str:
        return eta_text(self.state)

    @property
    def limits(self) -> list[str]:
        return limit_words(self.control)


def queue_rows(live: LiveSnapshot, *, search: str = "", order: str = "") -> tuple[list[QueueRow], int]:
    """Return the functions of the list, and how many were left out.

    Args:
        live: what the servers say.
        search: what their names contain; empty for all.
        order: a key of ORDERS; by name for any other.
    """
    states = {state.name: state for state in live.functions}
    controls = {row.function: row for row in all_controls()}
    past = {row.function: row for row in totals()}
    busy = running_now(live)
    names = [name for name in states.keys() | controls.keys() | past.keys() if search.casefold() in name.casefold()]
    rows = [
        QueueRow(name, states.get(name) or FunctionState(name), controls.get(name), past.get(name), busy.get(name, 0))
        for name in sorted(names)
    ]
    if order in ORDERS:
        rows.sort(key=ORDERS[order][1])
    shown = rows[:SHOWN_ROWS]
    pictures = sparklines([row.name for row in shown])
    for row in shown:
        row.sparkline = sparkline(pictures[row.name], ended_words(sum(pictures[row.name])))
    return shown, len(rows) - len(shown)


def eta_text(state: FunctionState) -> str:
    """Return when what waits will be taken, as fast as it goes lately."""
    if not state.waiting or state.eta_s is None or state.eta_s > _LONGEST_ETA_S:
        return ""
    return seconds_text(max(1.0, state.eta_s))


def limit_words(control: QueueControl | None) -> list[str]:
    """Return the limits that operators set, a few words each."""
    if control is None:
        return []
    lanes = ((_("high"), control.max_high), (_("normal"), control.max_normal), (_("low"), control.max_low))
    words = [_("%(lane)s at most %(number)s") % {"lane": lane, "number": most} for lane, most in lanes if most]
    if control.concurrency:
        words.append(_("%(number)s at once") % {"number": control.concurrency})
    if control.rate and control.per_s:
        words.append(_("%(number)s in %(time)s") % {"number": control.rate, "time": seconds_text(control.per_s)})
    return words


def ended_words(number: int) -> str:
    """Return how many jobs ended in the hour that a sparkline shows."""
    shown = number_format(number, force_grouping=True)
    return ngettext("%(number)s ended in the last hour", "%(number)s ended in the last hour", number) % {
        "number": shown
    }


def _rate(per_s: float) -> str:
    per_minute = per_s * _MINUTE_S
    return number_format(per_minute, 0 if per_minute >= 10 or per_minute == int(per_minute) else 1, force_grouping=True)


#: Orders of the list by what its address says: the heading, and the key.
ORDERS: Final[Mapping[str, tuple[str | Promise, Callable[[QueueRow], Any]]]] = {
    "waiting": (gettext_lazy("Waiting"), lambda row: -row.state.waiting),
    "running": (gettext_lazy("Running"), lambda row: -row.state.running),
    "oldest": (
        gettext_lazy("Oldest"),
        lambda row: row.state.oldest_queued_at if row.state.oldest_queued_at and row.state.waiting else float("inf"),
    ),
    "failed": (gettext_lazy("Failed"), lambda row: -row.failed),
}
