"""What one measurement found, and what several of them say together.

A reading is one run of one scenario against one peer. The machine is shared and noisy, so nothing is quoted from a
single run: rounds alternate the peers, a summary takes the median of each figure, and peers are compared by ratios.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Reading:
    """One run: `jobs` in `elapsed_s` seconds, for `server_cpu_s` seconds of the server's processor time.

    `memory_bytes` is the server's resident memory at the end, or what the scenario says; latencies are 0 where they
    were not kept.
    """

    jobs: int
    elapsed_s: float
    server_cpu_s: float
    memory_bytes: float
    p50_us: float = 0.0
    p99_us: float = 0.0

    @property
    def jobs_per_s(self) -> float:
        return self.jobs / self.elapsed_s

    @property
    def cpu_us(self) -> float:
        """Processor time of the server, in microseconds a job."""
        return self.server_cpu_s * 1e6 / self.jobs


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of several readings of one scenario and peer."""

    rounds: int
    jobs_per_s: float
    #: The slowest and the fastest round, in jobs a second.
    range_per_s: tuple[float, float]
    cpu_us: float
    memory_bytes: float
    p50_us: float
    p99_us: float


def summarise(readings: Sequence[Reading]) -> Summary:
    """Return the medians of at least one reading."""
    rates = [reading.jobs_per_s for reading in readings]
    return Summary(
        rounds=len(readings),
        jobs_per_s=median(rates),
        range_per_s=(min(rates), max(rates)),
        cpu_us=median(reading.cpu_us for reading in readings),
        memory_bytes=median(reading.memory_bytes for reading in readings),
        p50_us=median(reading.p50_us for reading in readings),
        p99_us=median(reading.p99_us for reading in readings),
    )
