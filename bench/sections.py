"""What `python -m bench` measures, in four parts that can be asked for by themselves, each with a table and a chart.

| section | what |
|---|---|
| wire | job servers without a store, against gearmand |
| durable | job servers that keep what they acknowledge, store by store, against gearmand's modules |
| tasks | libraries that run tasks for Django |
| growth | what a job costs as jobs, workers, functions and payloads become more |
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import Final, Protocol

from bench.charts import Chart
from bench.disk import synchronised_write_s
from bench.durable_peers import GEARMAND_QUEUE, OUR_QUEUE, OUR_TABLE, STORES, durable_peers
from bench.gearjobs_peers import Gearjobs
from bench.growth_scenarios import growth_scenarios
from bench.load import LoadGenerator
from bench.peers import TUNED, Gearmand, OpenStackGear, Peer
from bench.readings import Reading
from bench.rounds import in_rounds, measurable, say, scenario_summaries
from bench.services import Services
from bench.tables import (
    END_TO_END,
    Row,
    growth_markdown,
    latency_markdown,
    lead_markdown,
    markdown,
    memory_markdown,
    ratios_markdown,
    tasks_markdown,
)
from bench.task_peers import TASK_PEERS, TaskPeer
from bench.task_rounds import measure_tasks
from bench.wire_scenarios import durable_scenarios, wire_scenarios

#: The library that Django projects are compared by.
CELERY: Final = "Celery, Redis + SQLite"


class Named(Protocol):
    """What can be chosen by a pattern."""

    @property
    def name(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    load: LoadGenerator
    services: Services
    rounds: int = 5
    scale: float = 1.0
    #: Patterns; none means all.
    scenarios: Sequence[str] = ()
    peers: Sequence[str] = ()
    #: Python that has the compiled wheel; "" where there is none.
    compiled_python: str = ""
    #: How many processes wanted to run in the minute before: with more than a few tenths of one, figures mean little.
    load_average: float = field(default_factory=lambda: os.getloadavg()[0])

    def wants_scenario(self, name: str) -> bool:
        return _matches(name, self.scenarios)

    def wants_peer(self, name: str) -> bool:
        return _matches(name, self.peers)


@dataclass(frozen=True, slots=True)
class Findings:
    """What one section found; `markdown` is empty where nothing was asked of it."""

    markdown: str
    charts: Mapping[str, Chart] = field(default_factory=dict)


#: Of a section that has no scenario that was asked for.
NOTHING: Final = Findings("")


def wire(wish: Wish) -> Findings:
    """Measure the servers without a store."""
    scenarios = [one for one in wire_scenarios(wish.scale) if wish.wants_scenario(one.name)]
    if not scenarios:
        return NOTHING
    peers = measurable([peer for peer in _wire_peers(wish.compiled_python) if wish.wants_peer(peer.name)])
    names = [peer.name for peer in peers]
    rivals = [name for name in names if name.startswith("gearmand")]
    ours = [name for name in names if name.startswith("gearjobs")]
    rows = [
        Row(one.title, one.memory_title, scenario_summaries(one, peers, wish.load, rounds=wish.rounds))
        for one in scenarios
    ]
    tables = [
        ratios_markdown(rows, rivals=rivals, ours=ours),
        markdown(rows, peers=names, rivals=rivals, ours=()),
        memory_markdown(rows, peers=names),
        latency_markdown(rows, peers=names),
        _settings(wish, [f"{peer.name}: {peer.version()}" for peer in peers]),
    ]
    chart = Chart("jobs/s as a multiple of gearmand's best setting", _ratios(rows, ours=ours, rivals=rivals), 1.0)
    return Findings(_joined(tables), {"wire": chart})


def durable(wish: Wish) -> Findings:
    """Measure the servers that keep what they acknowledge."""
    scenarios = [one for one in durable_scenarios(wish.scale) if wish.wants_scenario(one.name)]
    if not scenarios:
        return NOTHING
    rows, settings = list[Row](), list[str]()
    for store in STORES:
        asked = durable_peers(store, wish.services, python=wish.compiled_python or sys.executable)
        peers = measurable([peer for peer in asked if wish.wants_peer(peer.name)])
        settings += [f"{store}, {peer.name}: {peer.version()}" for peer in peers]
        for one in scenarios:
            titled = replace(one, title=f"{store}: {one.title}")
            found = scenario_summaries(titled, peers, wish.load, rounds=wish.rounds)
            rows.append(Row(titled.title, one.memory_title, found))
    names, ours = [GEARMAND_QUEUE, OUR_QUEUE, OUR_TABLE], [OUR_QUEUE, OUR_TABLE]
    table = markdown(rows, peers=names, rivals=[GEARMAND_QUEUE], ours=ours)
    ratios = _ratios(rows, ours=ours, rivals=[GEARMAND_QUEUE])
    chart = Chart("jobs/s as a multiple of gearmand's module", ratios, 1.0)
    return Findings(_joined([table, _settings(wish, settings)]), {"durable": chart})


def tasks(wish: Wish) -> Findings:
    """Measure the libraries that run tasks for Django."""
    if not wish.wants_scenario("tasks"):
        return NOTHING
    peers = {peer.name: peer for peer in _task_peers(wish)}

    def ask(name: str) -> Mapping[str, Reading]:
        return measure_tasks(peers[name], wish.services, wish.scale)

    found = in_rounds("tasks", list(peers), ask, rounds=wish.rounds)
    measured = [name for name in peers if any(name in of for of in found.values())]
    table = tasks_markdown(found, peers=measured, rival=CELERY)
    end_to_end = found.get(END_TO_END, {})
    lead = lead_markdown(end_to_end, ours=[name for name in measured if peers[name].is_ours])
    bars = {name: {"jobs/s, end to end": one.jobs_per_s} for name, one in end_to_end.items()}
    chart = Chart("jobs/s end to end, results recorded", bars, None)
    settings = [f"{name}: {peers[name].version()}" for name in measured]
    return Findings(_joined([table, lead, _settings(wish, settings)]), {"tasks": chart})


def growth(wish: Wish) -> Findings:
    """Measure what a job costs at several sizes."""
    questions = [one for one in growth_scenarios(wish.scale) if wish.wants_scenario(one.name)]
    if not questions:
        return NOTHING
    wanted = [
        Gearmand("gearmand tuned", "--threads=0", *TUNED),
        Gearjobs("gearjobs", "--queue-type=builtin", python=wish.compiled_python or sys.executable),
    ]
    peers = measurable([peer for peer in wanted if wish.wants_peer(peer.name)])
    sections = []
    for one in questions:
        found = {
            size: scenario_summaries(scenario, peers, wish.load, rounds=wish.rounds) for size, scenario in one.steps
        }
        sections.append(growth_markdown(one.title, found, peers=[peer.name for peer in peers]))
    settings = _settings(wish, [f"{peer.name}: {peer.version()}" for peer in peers])
    return Findings(_joined([*sections, settings]))


#: The sections in the order of the page.
SECTIONS: Final[Mapping[str, Callable[[Wish], Findings]]] = {
    "wire": wire,
    "durable": durable,
    "tasks": tasks,
    "growth": growth,
}


def _wire_peers(compiled_python: str) -> list[Peer]:
    peers: list[Peer] = [
        Gearmand("gearmand -t 4"),
        Gearmand("gearmand -t 0", "--threads=0"),
        Gearmand("gearmand tuned", "--threads=0", *TUNED),
        Gearmand("gearmand tuned -w 1", "--threads=0", *TUNED, "--worker-wakeup=1"),
        OpenStackGear("gear"),
        Gearjobs("gearjobs asyncio", "--queue-type=builtin", loop="asyncio"),
        Gearjobs("gearjobs uvloop", "--queue-type=builtin", loop="uvloop"),
        Gearjobs("gearjobs", "--queue-type=builtin"),
    ]
    if compiled_python:
        peers.append(Gearjobs("gearjobs compiled", "--queue-type=builtin", python=compiled_python))
    return peers


def _task_peers(wish: Wish) -> list[TaskPeer]:
    chosen = []
    for peer in TASK_PEERS:
        services = [*(["postgres"] if peer.database == "postgres" else []), *(["redis"] if peer.needs_redis else [])]
        absent = [reason for service in services if (reason := wish.services.why_absent(service))]
        if absent:
            say(f"NOT MEASURED: {peer.name}: {absent[0]}")
        elif wish.wants_peer(peer.name):
            chosen.append(peer)
    return chosen


def _ratios(rows: Iterable[Row], *, ours: Sequence[str], rivals: Sequence[str]) -> dict[str, dict[str, float]]:
    ratios: dict[str, dict[str, float]] = {}
    for row in rows:
        best = max((row.summaries[name].jobs_per_s for name in rivals if name in row.summaries), default=0.0)
        if best:
            ratios[row.title] = {name: row.summaries[name].jobs_per_s / best for name in ours if name in row.summaries}
    return ratios


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def _settings(wish: Wish, lines: Sequence[str]) -> str:
    release = platform.release().partition("-")[0]
    machine = f"{os.cpu_count()} processors, {platform.system()} {release}, {platform.machine()}"
    disk = f"the disk keeps 4 KB for good in {synchronised_write_s() * 1000:.2f} ms (fdatasync)"
    run = f"rounds: {wish.rounds}; scale: {wish.scale:g}; load average before the run: {wish.load_average:.1f}"
    return "\n".join(f"* {line}" for line in [machine, disk, run, *lines])


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part)
