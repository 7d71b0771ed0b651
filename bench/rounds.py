"""Measures in rounds that alternate the peers, so that what else the machine does hits all of them alike.

A peer that cannot be measured here, or fails, is told of and left out of the table.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.load import LoadError, LoadGenerator
from bench.peer_venvs import VenvError
from bench.peers import Peer, PeerError
from bench.readings import Reading, Summary, summarise
from bench.wire_scenarios import Scenario

#: Asks one peer, by its name, for a reading of each measurement, by their names.
Ask = Callable[[str], Mapping[str, Reading]]


def say(text: str) -> None:
    """Tell whoever waits for the results how far it is."""
    sys.stderr.write(text + "\n")


def measurable(peers: Sequence[Peer]) -> list[Peer]:
    """Return those that can be measured here, and say why the others cannot."""
    for peer in peers:
        if reason := peer.why_absent():
            say(f"NOT MEASURED: {peer.name}: {reason}")
    return [peer for peer in peers if not peer.why_absent()]


def in_rounds(title: str, names: Sequence[str], ask: Ask, *, rounds: int) -> dict[str, dict[str, Summary]]:
    """Ask every peer once a round; return the summaries by measurement and peer.

    One that fails is not asked again: most of what fails has waited half a minute for it.
    """
    found: dict[str, dict[str, list[Reading]]] = {}
    failed: set[str] = set()
    for _ in range(rounds):
        for name in names:
            if name in failed:
                continue
            try:
                readings = ask(name)
            except (LoadError, PeerError, VenvError) as error:
                say(f"NOT MEASURED: {title}, {name}: {error}")
                failed.add(name)
                continue
            for measurement, reading in readings.items():
                say(f"{title}: {name}: {measurement} {reading.jobs_per_s:,.0f}/s, {reading.cpu_us:,.1f} µs a job")
                found.setdefault(measurement, {}).setdefault(name, []).append(reading)
    return {
        measurement: {name: summarise(readings) for name, readings in of_peers.items()}
        for measurement, of_peers in found.items()
    }


def scenario_summaries(
    scenario: Scenario, peers: Sequence[Peer], load: LoadGenerator, *, rounds: int
) -> dict[str, Summary]:
    """Return the summaries of one scenario, by the peers' names."""
    by_name = {peer.name: peer for peer in peers}

    def ask(name: str) -> dict[str, Reading]:
        with tempfile.TemporaryDirectory() as directory, by_name[name].running(Path(directory)) as server:
            return {"": scenario.measure(server, load)}

    return in_rounds(scenario.title, list(by_name), ask, rounds=rounds).get("", {})
