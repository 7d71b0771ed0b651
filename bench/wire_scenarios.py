"""What is asked of every job server: one function a scenario, each a plain conversation of the Gearman protocol.

Jobs of the queue scenarios are background jobs, payloads have 16 bytes unless said. `wire_scenarios` are for servers
whose jobs no store keeps (`--queue-type=builtin`), `durable_scenarios` for those that keep what they acknowledge. A
scenario warms nothing up and measures one server that was started for it: what a server costs is the difference of its
processor time before and after the measured step.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.load import STEP_S, LoadError, LoadGenerator, LoadReport
from bench.peers import RunningServer
from bench.readings import Reading

#: Seconds that filling a queue may take before it is drained.
FILL_S: Final = 10
#: Seconds that many workers may take to connect.
CONNECT_S: Final = 30
#: Seconds that the fullest queue may take.
MANY_JOBS_S: Final = 60
#: One reading of a freshly started server.
Measure = Callable[[RunningServer, LoadGenerator], Reading]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named measurement.

    `memory_title` says what the memory of its readings is.
    """

    name: str
    title: str
    measure: Measure
    memory_title: str = "MB resident"


def submit(server: RunningServer, load: LoadGenerator, **asked: int) -> Reading:
    """Submit background jobs; `asked` are the load generator's options: `jobs`, `connections`, `depth` and so on."""
    before_s = server.cpu_s()
    report = load.run("submit", server.address, unique=1, **asked)
    return _reading(server, report, before_s=before_s)


def drain(
    server: RunningServer, load: LoadGenerator, *, workers: int, prefetch: int = 1, seconds: int = STEP_S, **asked: int
) -> Reading:
    """Let workers take and complete jobs that wait; filling the queue is not measured."""
    filled = load.run("submit", server.address, depth=100, unique=1, seconds=max(FILL_S, seconds), **asked)
    before_s = server.cpu_s()
    report = load.run(
        "work",
        server.address,
        jobs=filled.jobs,
        connections=workers,
        prefetch=prefetch,
        seconds=seconds,
        functions=asked.get("functions", 1),
        **server.work_options,
    )
    return _reading(server, report, before_s=before_s)


def echo(
    server: RunningServer, load: LoadGenerator, *, jobs: int, clients: int, workers: int, payload: int = 16
) -> Reading:
    """Let clients wait for the results of foreground jobs, one outstanding each; latency is from submit to result.

    With many more workers than clients it shows what workers cost that sleep.
    """
    with load.beside("work", server.address, jobs=0, connections=workers, **server.work_options):
        # The first job waits until the workers have connected.
        load.run("submit", server.address, jobs=1, foreground=True, seconds=CONNECT_S)
        before_s = server.cpu_s()
        report = load.run(
            "submit", server.address, jobs=jobs, connections=clients, foreground=True, payload=payload, latency=True
        )
        return _reading(server, report, before_s=before_s)


def idle_workers(server: RunningServer, load: LoadGenerator, *, workers: int) -> Reading:
    """Connect workers that register a function and sleep: jobs are workers here, memory is bytes a worker."""
    before_s, before_bytes = server.cpu_s(), server.memory_bytes()
    with load.beside("sleep", server.address, connections=workers, seconds=CONNECT_S) as process:
        elapsed_s = _until_asleep(process.stdout.readline() if process.stdout else "")
        # A last connection is answered after all of them.
        load.run("submit", server.address, jobs=1, function="other")
        each = (server.memory_bytes() - before_bytes) / workers
        return Reading(workers, elapsed_s, server.cpu_s() - before_s, each)


def queued_jobs(server: RunningServer, load: LoadGenerator, *, jobs: int, payload: int = 16) -> Reading:
    """Fill the queue: memory is bytes a job beyond its payload."""
    load.run("submit", server.address, jobs=1)
    before_s, before_bytes = server.cpu_s(), server.memory_bytes()
    report = load.run("submit", server.address, jobs=jobs, depth=100, payload=payload, unique=1, seconds=MANY_JOBS_S)
    each = (server.memory_bytes() - before_bytes) / report.jobs - payload
    return Reading(report.jobs, report.elapsed_s, server.cpu_s() - before_s, each)


def _reading(server: RunningServer, report: LoadReport, *, before_s: float) -> Reading:
    return Reading(
        report.jobs,
        report.elapsed_s,
        server.cpu_s() - before_s,
        server.memory_bytes(),
        report.p50_us,
        report.p99_us,
    )


def _until_asleep(line: str) -> float:
    if not line:
        raise LoadError("the sleeping workers could not connect")
    return float(json.loads(line)["elapsed_s"])


def _scenario(name: str, title: str, measure: Callable[..., Reading], **numbers: int) -> Scenario:
    return Scenario(name, title, partial(measure, **numbers))


def wire_scenarios(scale: float) -> list[Scenario]:
    """Return every scenario without a store.

    Args:
        scale: 1 for the numbers of jobs that are quoted, less for a quick look.
    """

    def count(jobs: int) -> int:
        return max(200, int(jobs * scale))

    return [
        _scenario("submit-1", "submit, 1 connection", submit, jobs=count(60_000)),
        _scenario("submit-16", "submit, 16 connections", submit, jobs=count(200_000), connections=16),
        _scenario("submit-64", "submit, 64 connections", submit, jobs=count(200_000), connections=64),
        _scenario("submit-pipelined", "submit pipelined ×100, 1 connection", submit, jobs=count(400_000), depth=100),
        _scenario(
            "submit-pipelined-8",
            "submit pipelined ×100, 8 connections",
            submit,
            jobs=count(800_000),
            connections=8,
            depth=100,
        ),
        _scenario(
            "submit-64k", "submit 64 KB, 16 connections", submit, jobs=count(20_000), connections=16, payload=65_536
        ),
        _scenario("drain-1", "drain, 1 worker", drain, jobs=count(60_000), workers=1),
        _scenario("drain-2", "drain, 2 workers", drain, jobs=count(100_000), workers=2),
        _scenario("drain-8", "drain, 8 workers", drain, jobs=count(200_000), workers=8),
        _scenario(
            "drain-8-prefetch", "drain, 8 workers, 10 grabs ahead", drain, jobs=count(200_000), workers=8, prefetch=10
        ),
        _scenario("drain-64k", "drain 64 KB, 8 workers", drain, jobs=count(10_000), workers=8, payload=65_536),
        _scenario("echo-1", "echo 1×1", echo, jobs=count(20_000), clients=1, workers=1),
        _scenario("echo-4", "echo 4×4", echo, jobs=count(50_000), clients=4, workers=4),
        _scenario("echo-16", "echo 16×16", echo, jobs=count(80_000), clients=16, workers=16),
        _scenario("echo-64", "echo 64×64", echo, jobs=count(80_000), clients=64, workers=64),
        _scenario("echo-64-8", "echo 64×8", echo, jobs=count(80_000), clients=64, workers=8),
        _scenario("echo-64k", "echo 64 KB, 4×4", echo, jobs=count(10_000), clients=4, workers=4, payload=65_536),
        _scenario("echo-200-idle", "echo 1×1 beside 200 idle workers", echo, jobs=count(3_000), clients=1, workers=201),
        _scenario("echo-500-idle", "echo 1×1 beside 500 idle workers", echo, jobs=count(1_500), clients=1, workers=501),
        Scenario(
            "idle-10000",
            "10,000 idle workers connect",
            partial(idle_workers, workers=count(10_000)),
            memory_title="bytes a worker",
        ),
        Scenario(
            "queued-1000000",
            "1,000,000 queued jobs",
            partial(queued_jobs, jobs=count(1_000_000)),
            memory_title="bytes a job",
        ),
    ]


def durable_scenarios(scale: float) -> list[Scenario]:
    """Return every scenario with a store.

    Args:
        scale: 1 for the numbers of jobs that are quoted, less for a quick look.
    """

    def count(jobs: int) -> int:
        return max(200, int(jobs * scale))

    return [
        _scenario("durable-submit-1", "submit, 1 connection", submit, jobs=count(20_000)),
        _scenario("durable-submit-16", "submit, 16 connections", submit, jobs=count(60_000), connections=16),
        _scenario("durable-submit-64", "submit, 64 connections", submit, jobs=count(100_000), connections=64),
        _scenario(
            "durable-submit-pipelined",
            "submit pipelined ×100, 8 connections",
            submit,
            jobs=count(200_000),
            connections=8,
            depth=100,
        ),
        _scenario(
            "durable-submit-64k",
            "submit 64 KB, 16 connections",
            submit,
            jobs=count(5_000),
            connections=16,
            payload=65_536,
        ),
        _scenario("durable-drain-8", "drain, 8 workers", drain, jobs=count(60_000), workers=8),
    ]
