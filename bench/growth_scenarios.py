"""How cost grows: the same question at several sizes, asked of a fresh server each time.

What is told is the server's processor time a job. Where it stays the same from column to column, a job costs the same
however many there are; where it grew with the size itself, the whole would grow with its square.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from bench.wire_scenarios import MANY_JOBS_S, Measure, Scenario, drain, echo, submit


@dataclass(frozen=True, slots=True)
class Growth:
    """One question at several sizes."""

    name: str
    title: str
    #: Of each column, and what is measured there.
    steps: Sequence[tuple[int, Scenario]]


def growth_scenarios(scale: float) -> list[Growth]:
    """Return all questions.

    Args:
        scale: 1 for what is quoted; less asks fewer jobs, and of queues that are as much shorter.
    """

    def count(jobs: int) -> int:
        return max(200, int(jobs * scale))

    queue_sizes = [count(size) for size in (10_000, 100_000, 1_000_000)]
    payloads = (16, 1_024, 16_384, 131_072, 1_048_576)
    functions = (1, 10, 100, 1_000, 10_000)
    workers = (1, 10, 100, 1_000)
    return [
        _growth(
            "grow-submit",
            "submit so many jobs, 8 connections ×100 pipelined",
            [(size, partial(submit, jobs=size, connections=8, depth=100, seconds=MANY_JOBS_S)) for size in queue_sizes],
        ),
        _growth(
            "grow-drain",
            "drain so many jobs, 8 workers, 10 grabs ahead",
            [(size, partial(drain, jobs=size, workers=8, prefetch=10, seconds=MANY_JOBS_S)) for size in queue_sizes],
        ),
        _growth(
            "grow-workers",
            "echo 1×1, so many workers, all but one idle",
            [(size, partial(echo, jobs=count(3_000), clients=1, workers=size)) for size in workers],
        ),
        _growth(
            "grow-functions-submit",
            "submit to so many functions in turn, 8 connections ×100",
            [
                (size, partial(submit, jobs=count(100_000), connections=8, depth=100, functions=size))
                for size in functions
            ],
        ),
        _growth(
            "grow-functions-drain",
            "drain so many functions, 8 workers that know all of them",
            [(size, partial(drain, jobs=count(50_000), workers=8, functions=size)) for size in functions],
        ),
        _growth(
            "grow-payload",
            "echo 4×4, payloads of so many bytes",
            [(size, partial(echo, jobs=count(3_000), clients=4, workers=4, payload=size)) for size in payloads],
        ),
    ]


def _growth(name: str, title: str, steps: Sequence[tuple[int, Measure]]) -> Growth:
    return Growth(name, title, [(size, Scenario(f"{name}-{size}", f"{title}: {size:,}", ask)) for size, ask in steps])
