"""Results as people read them: Markdown tables.

A cell says jobs a second and, in brackets, the server's processor time in microseconds a job. The ratio is to the best
of gearmand's settings in the same run: above 1, we are faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.readings import Summary

#: The measurement that libraries of tasks are compared by.
END_TO_END: Final = "end_to_end enqueue"


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


def ratios_markdown(rows: Sequence[Row], *, rivals: Sequence[str], ours: Sequence[str]) -> str:
    """Return the table of ratios alone, for many peers.

    Args:
        rows: the scenarios.
        rivals: those whose best the ratios refer to.
        ours: the columns.
    """
    if not rivals or not ours:
        return ""
    heads = [_line(["ratio jobs/s · CPU", *ours]), _line(["---", *["---:"] * len(ours)])]
    cells = [[_ratios(row.summaries.get(name), row.summaries, rivals) for name in ours] for row in rows]
    return "\n".join(heads + [_line([row.title, *of_row]) for row, of_row in zip(rows, cells, strict=True)])


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


def tasks_markdown(found: Mapping[str, Mapping[str, Summary]], *, peers: Sequence[str], rival: str) -> str:
    """Return the table of the libraries of tasks, one a line.

    Args:
        found: the summaries by measurement and peer.
        peers: the lines, in order.
        rival: the one whose end-to-end rate is 1.
    """
    end_to_end, latency = found.get(END_TO_END, {}), found.get("latency", {})
    rates = [END_TO_END, "end_to_end enqueue_many", "enqueue", "enqueue_many"]
    heads = [
        "",
        "end to end",
        "end to end ×100",
        "enqueue",
        "enqueue ×100",
        f"end to end / {rival}",
        "idle round trip p50 / p99, ms",
        "MB resident",
    ]
    lines = [_line(heads), _line(["---", *["---:"] * (len(heads) - 1)])]
    for name in peers:
        own, best, trip = end_to_end.get(name), end_to_end.get(rival), latency.get(name)
        ratio = f"{own.jobs_per_s / best.jobs_per_s:.1f}" if own and best else "–"
        trips = f"{trip.p50_us / 1000:,.1f} / {trip.p99_us / 1000:,.1f}" if trip else "–"
        memory = f"{own.memory_bytes / 1e6:,.0f}" if own else "–"
        cells = [_cell(found.get(measurement, {}).get(name)) for measurement in rates]
        lines.append(_line([name, *cells, ratio, trips, memory]))
    return "\n".join(lines)


def lead_markdown(end_to_end: Mapping[str, Summary], *, ours: Sequence[str]) -> str:
    """Say how many times as fast as the best of the others each of ours is, end to end."""
    others = {name: one.jobs_per_s for name, one in end_to_end.items() if name not in ours}
    if not others:
        return ""
    best = max(others, key=others.__getitem__)
    leads = [f"{name}: {end_to_end[name].jobs_per_s / others[best]:.1f}" for name in ours if name in end_to_end]
    return f"End to end, as a multiple of the best of the others ({best}): {'; '.join(leads)}."


def growth_markdown(title: str, found: Mapping[int, Mapping[str, Summary]], *, peers: Sequence[str]) -> str:
    """Return the table of one question at several sizes: processor time a job, and how many times that of the smallest.

    Args:
        title: what is asked.
        found: the summaries by size and peer, the smallest size first.
        peers: the lines, in order.
    """
    sizes = list(found)
    lines = [_line([title, *(f"{size:,}" for size in sizes)]), _line(["---", *["---:"] * len(sizes)])]
    for name in peers:
        first = found[sizes[0]].get(name)
        cells = []
        for size in sizes:
            own = found[size].get(name)
            times = (
                f" (×{own.cpu_us / first.cpu_us:.1f})" if own and first and first.cpu_us and size != sizes[0] else ""
            )
            cells.append(f"{own.cpu_us:,.1f}{times}" if own else "–")
        lines.append(_line([name, *cells]))
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
