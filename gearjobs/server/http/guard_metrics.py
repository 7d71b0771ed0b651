"""What `/metrics` shows of those who guard the server: whom they kept out, and what connections hold in memory.

Kept out is who was turned away at the door, who failed to show who it is, and who was refused what it asked for. A
reason is shown from the start, with a 0, so that an alert on its growth sees the first case, too. What is counted, and
when, is the guards' own business; nothing here comes from a peer's words. Part of `metrics_page`, and like it imported
only where prometheus-client is installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gearjobs.server.entrance.admission import Admission, TurnedAway
from gearjobs.server.entrance.gatekeeper import Gatekeeper
from gearjobs.server.entrance.refusal_log import Failure, RefusalLog
from gearjobs.server.memory_budget import MemoryBudget
from gearjobs.server.operator_commands import OperatorCommands


@dataclass(slots=True)
class Guards:
    """Those of one server."""

    admission: Admission
    failures: RefusalLog
    gatekeeper: Gatekeeper
    operator: OperatorCommands
    budget: MemoryBudget


@dataclass(slots=True)
class GuardFigures:
    """A copy of what is shown of them, taken at one moment."""

    turned_away: Mapping[str, int]
    failures: Mapping[str, int]
    #: By reason and by what the request needed.
    refused: Mapping[tuple[str, str], int]
    unproven: int
    buffered_bytes: int
    budget_bytes: int
    strain: int
    held_off: int
    cut_off: int
    submits_refused: int


def take_guard_figures(guards: Guards) -> GuardFigures:
    """Return what is to be shown now."""
    budget = guards.budget
    refused = {(code.lower(), verb): count for (code, verb), count in guards.gatekeeper.refused.items()}
    refused["not_allowed", "admin"] = guards.operator.refused
    return GuardFigures(
        {reason: guards.admission.turned_away[reason] for reason in TurnedAway},
        {failure: guards.failures.counts[failure] for failure in Failure},
        refused,
        guards.admission.unproven,
        budget.total_bytes,
        budget.limit_bytes,
        budget.strain,
        budget.held_off,
        budget.cut_off,
        budget.submits_refused,
    )


def guard_metrics(figures: GuardFigures) -> Iterator[Metric]:
    """Yield the figures as Prometheus' client wants them."""
    yield _by_reason(
        "gearjobs_connections_turned_away",
        "Connections that were closed at once: all places taken, those of their host, those of peers that have not "
        "shown who they are, or no file descriptor left.",
        figures.turned_away.items(),
    )
    yield _by_reason(
        "gearjobs_authentication_failures", "Peers that failed to show who they are.", figures.failures.items()
    )
    refused = CounterMetricFamily(
        "gearjobs_requests_refused",
        "Packets and admin lines of peers that may not send them.",
        labels=["reason", "verb"],
    )
    for (reason, verb), count in figures.refused.items():
        refused.add_metric([reason, verb], count)
    yield refused
    yield GaugeMetricFamily(
        "gearjobs_connections_unproven", "Connections that have yet to show who they are.", value=figures.unproven
    )
    yield from _memory_metrics(figures)


def _memory_metrics(figures: GuardFigures) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "gearjobs_buffered_bytes",
        "What connections hold in packets that are not whole and answers that have not left.",
        value=figures.buffered_bytes,
    )
    yield GaugeMetricFamily(
        "gearjobs_buffer_budget_bytes", "What they may hold, see --buffer-budget-bytes.", value=figures.budget_bytes
    )
    yield GaugeMetricFamily(
        "gearjobs_buffer_strain",
        "What is done about it: 0 nothing, 1 the heaviest are not read from, 2 submits are refused.",
        value=figures.strain,
    )
    yield GaugeMetricFamily(
        "gearjobs_connections_held_off", "Connections that are not read from therefore.", value=figures.held_off
    )
    yield CounterMetricFamily(
        "gearjobs_buffer_submits_refused", "Submits refused for want of buffer memory.", value=figures.submits_refused
    )
    yield CounterMetricFamily(
        "gearjobs_buffer_connections_cut_off",
        "Connections cut off because they held most when the budget was used up.",
        value=figures.cut_off,
    )


def _by_reason(name: str, sentence: str, counts: Iterable[tuple[str, int]]) -> Metric:
    family = CounterMetricFamily(name, sentence, labels=["reason"])
    for reason, count in counts:
        family.add_metric([reason], count)
    return family
