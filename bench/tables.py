"""Results as people read them: Markdown tables, and a plot where matplotlib is installed.

A cell says jobs a second and, in brackets, the server's processor time in microseconds a job. The ratio is to the best
of gearmand's settings in the same run: above 1, we are faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.readings import Summary


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario: the summary of every peer that was measured, by its name."""

    title: str
    memory_title: str
    summaries: Mapping[str, Summary]


def markdown(rows: Sequence[Row], *, peers: Sequence[str], rivals: Sequence[str], ours: Sequence[str]) -> str:
    """Return the table.

    Args:
        rows: the scenarios.
        peers: the columns, in order.
        rivals: those whose best the ratios refer to.
        ours: those that get a ratio.
    """
    heads = ["", *peers, *(f"{name}: ratio jobs/s · CPU" for name in ours)]
    lines = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    for row in rows:
        cells = [_cell(row.summaries.get(name)) for name in peers]
        ratios = [_ratios(row.summaries.get(name), row.summaries, rivals) for name in ours]
        lines.append(_line([row.title, *cells, *ratios]))
    return "\n".join(lines)


def memory_markdown(rows: Sequence[Row], *, peers: Sequence[str]) -> str:
    """Return the table of memory, for the scenarios whose memory says something of its own."""
    told = [row for row in rows if row.memory_title != "MB resident"]
    if not told:
        return ""
    lines = [_line(["", *peers]), _line(["---", *["---:"] * len(peers)])]
    for row in told:
        cells = [f"{found.memory_bytes:,.0f}" if (found := row.summaries.get(name)) else "–" for name in peers]
        lines.append(_line([f"{row.title}: {row.memory_title}", *cells]))
    return "\n".join(lines)


def latency_markdown(rows: Sequence[Row], *, peers: Sequence[str]) -> str:
    """Return the table of latencies, for the scenarios that keep them."""
    told = [row for row in rows if any(found.p50_us for found in row.summaries.values())]
    if not told:
        return ""
    lines = [_line(["p50 / p99, µs", *peers]), _line(["---", *["---:"] * len(peers)])]
    for row in told:
        found = [row.summaries.get(name) for name in peers]
        lines.append(_line([row.title, *(f"{one.p50_us:,.0f} / {one.p99_us:,.0f}" if one else "–" for one in found)]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(summary: Summary | None) -> str:
    return f"{summary.jobs_per_s:,.0f} ({summary.cpu_us:.1f})" if summary else "–"


def _ratios(own: Summary | None, all_of: Mapping[str, Summary], rivals: Sequence[str]) -> str:
    present = [all_of[name] for name in rivals if name in all_of]
    if own is None or not present:
        return "–"
    rate = own.jobs_per_s / max(rival.jobs_per_s for rival in present)
    least_us = min(rival.cpu_us for rival in present)
    cpu = f"{least_us / own.cpu_us:.2f}" if own.cpu_us and least_us else "–"
    return f"{rate:.2f} · {cpu}"
