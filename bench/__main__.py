"""`python -m bench`: measures job servers side by side and prints what it found as Markdown.

Rounds alternate the peers within each scenario, so that what else the machine does hits all of them alike.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

from bench.load import LoadError, LoadGenerator
from bench.peers import Gearjobs, Gearmand, OpenStackGear, Peer, PeerError
from bench.readings import Reading, summarise
from bench.tables import Row, latency_markdown, markdown, memory_markdown
from bench.wire_scenarios import Scenario, wire_scenarios

TUNED = "--hashtable-buckets=1000003"


def wire_peers(compiled_python: str) -> list[Peer]:
    """Return the servers without a store."""
    peers: list[Peer] = [
        Gearmand("gearmand -t 4"),
        Gearmand("gearmand -t 0", "--threads=0"),
        Gearmand("gearmand tuned", "--threads=0", TUNED),
        Gearmand("gearmand tuned -w 1", "--threads=0", TUNED, "--worker-wakeup=1"),
        OpenStackGear("gear"),
        Gearjobs("gearjobs asyncio", "--queue-type=builtin", is_loop_plain=True),
        Gearjobs("gearjobs", "--queue-type=builtin"),
    ]
    if compiled_python:
        peers.append(Gearjobs("gearjobs compiled", "--queue-type=builtin", python=compiled_python))
    return peers


def main(words: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    asked = _parser().parse_args(words)
    scenarios = [one for one in wire_scenarios(asked.scale) if _is_wanted(one.name, asked.scenario)]
    peers = [one for one in wire_peers(asked.compiled_python) if _is_wanted(one.name, asked.peer)]
    present = [peer for peer in peers if not peer.why_absent()]
    for peer in peers:
        if reason := peer.why_absent():
            _say(f"NOT MEASURED: {peer.name}: {reason}")
    with tempfile.TemporaryDirectory() as scratch:
        load = LoadGenerator(Path(scratch))
        rows = [_measure(scenario, present, load, rounds=asked.rounds) for scenario in scenarios]
    _print(rows, present)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--scenario", action="append", metavar="PATTERN", help="only these, such as 'echo-*'")
    parser.add_argument("--peer", action="append", metavar="PATTERN", help="only these, such as 'gearjobs*'")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="readings of each (default: 5)")
    parser.add_argument("--scale", type=float, default=1.0, help="numbers of jobs, as a factor (default: 1)")
    parser.add_argument("--compiled-python", default="", metavar="PATH", help="Python that has the compiled wheel")
    return parser


def _is_wanted(name: str, patterns: Sequence[str] | None) -> bool:
    return not patterns or any(fnmatch(name, pattern) for pattern in patterns)


def _measure(scenario: Scenario, peers: Sequence[Peer], load: LoadGenerator, *, rounds: int) -> Row:
    found: dict[str, list[Reading]] = {peer.name: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            with tempfile.TemporaryDirectory() as directory:
                try:
                    with peer.running(Path(directory)) as server:
                        found[peer.name].append(scenario.measure(server, load))
                except (LoadError, PeerError) as error:
                    _say(f"{scenario.name}, {peer.name}: {error}")
    for name, readings in found.items():
        if readings:
            told = summarise(readings)
            _say(f"{scenario.name}: {name}: {told.jobs_per_s:,.0f}/s, {told.cpu_us:.1f} µs a job")
    summaries = {name: summarise(readings) for name, readings in found.items() if readings}
    return Row(scenario.title, scenario.memory_title, summaries)


def _print(rows: Sequence[Row], peers: Sequence[Peer]) -> None:
    names = [peer.name for peer in peers]
    rivals = [name for name in names if name.startswith("gearmand")]
    ours = [name for name in names if name.startswith("gearjobs")]
    memory, latency = memory_markdown(rows, peers=names), latency_markdown(rows, peers=names)
    sections = [markdown(rows, peers=names, rivals=rivals, ours=ours), memory, latency, _settings(peers)]
    sys.stdout.write("\n\n".join(section for section in sections if section) + "\n")


def _settings(peers: Sequence[Peer]) -> str:
    machine = f"{os.cpu_count()} processors, {platform.system()} {platform.release()}, {platform.machine()}"
    return "\n".join([f"* {machine}", *(f"* {peer.name}: {peer.version()}" for peer in peers)])


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
