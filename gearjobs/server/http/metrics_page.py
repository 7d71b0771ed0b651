"""What `/metrics` shows: the queue's figures in the words of Prometheus.

A scrape takes a copy of the figures in the loop, which is a millisecond for a thousand functions, and makes the text in
a thread, which takes longer; scrapes that come while one is made share it. Functions are shown as `wire_text` writes
them, so that no name can forge a line. What is counted, and where that stops, is `core/tallies`'.

Needs prometheus-client (the extra `metrics`): only `job_server` imports this module, and only where that is installed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import FunctionName, Lane
from gearjobs.core.snapshot import FunctionLoad
from gearjobs.core.tallies import BUCKET_ENDS_S, FUNCTION_LIMIT, Durations, FunctionTally, JobTallies
from gearjobs.protocol.http_messages import HttpResponse
from gearjobs.protocol.wire_text import to_text
from gearjobs.server.commit.durability import Durability
from gearjobs.server.http.guard_metrics import GuardFigures, Guards, guard_metrics, take_guard_figures
from gearjobs.version import __version__

#: The label of all functions beyond the limit together. In parentheses, as nobody names a function.
OTHERS: Final = "(others)"

_BUCKET_NAMES: Final = [*(f"{end:g}" for end in BUCKET_ENDS_S), "+Inf"]


@dataclass(slots=True)
class StoreFigures:
    """How the store does."""

    is_up: bool = True
    is_lease_held: bool = True
    pending_changes: int = 0
    dropped_changes: int = 0


@dataclass(slots=True)
class Figures:
    """A copy of everything that is shown, taken at one moment."""

    loads: list[FunctionLoad]
    #: By the function's label.
    tallies: dict[str, FunctionTally]
    connections: int
    store: StoreFigures
    guards: GuardFigures
    #: Unix seconds.
    taken_at: float


class MetricsPage:
    """Makes the page.

    Args:
        queue: the queue.
        tallies: what its jobs did.
        durability: the store's side.
        guards: those who keep others out.
    """

    def __init__(self, queue: JobQueue, tallies: JobTallies, durability: Durability, *, guards: Guards) -> None:
        self._guards = guards
        self._queue = queue
        self._tallies = tallies
        self._durability = durability
        #: The functions of the last scrape.
        self._shown: set[FunctionName] = set()
        self._under_way: dict[str, asyncio.Future[HttpResponse]] = {}

    async def response(self, accept: str) -> HttpResponse:
        """Return the page in the form that an Accept header asks for."""
        under_way = self._under_way.get(accept)
        if under_way is None:
            loop = asyncio.get_running_loop()
            under_way = loop.run_in_executor(None, render_page, self._take_figures(), accept)
            self._under_way[accept] = under_way
            under_way.add_done_callback(lambda _: self._under_way.pop(accept))
        # Shielded: one scraper that leaves does not take the page from the others.
        return await asyncio.shield(under_way)

    def _take_figures(self) -> Figures:
        loads = self._queue.loads()
        # Not all that have no queue: the first job of a new function is counted before it is committed and queued.
        before, self._shown = self._shown, {load.name for load in loads}
        self._tallies.forget(before - self._shown)
        counted, others = self._tallies.copy()
        tallies = {to_text(name): tally for name, tally in counted.items()}
        if others.submitted:
            tallies[OTHERS] = others
        return Figures(
            _shortened(loads),
            tallies,
            connections=self._queue.connection_count(),
            store=StoreFigures(
                not self._durability.is_store_down,
                self._durability.is_lease_held,
                self._durability.pending_changes,
                self._durability.dropped_changes,
            ),
            guards=take_guard_figures(self._guards),
            taken_at=time.time(),
        )


def render_page(figures: Figures, accept: str) -> HttpResponse:
    """Return the figures in the form that an Accept header asks for."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(figures))
    ProcessCollector(registry=registry)
    encode, content_type = choose_encoder(accept)
    return HttpResponse(HTTPStatus.OK, encode(registry), (("Content-Type", content_type),))


class _Figures(Collector):
    """Figures as Prometheus' client wants them."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        yield from _server_metrics(self._figures)
        yield from guard_metrics(self._figures.guards)
        yield from _load_metrics(self._figures.loads, now=self._figures.taken_at)
        yield from _tally_metrics(self._figures.tallies)


def _server_metrics(figures: Figures) -> Iterator[Metric]:
    build = GaugeMetricFamily("gearjobs_build_info", "Which gearjobs this is.", labels=["version"])
    build.add_metric([__version__], 1)
    yield build
    yield GaugeMetricFamily("gearjobs_connections", "Clients and workers connected.", value=figures.connections)
    yield from _store_metrics(figures.store)


def _store_metrics(store: StoreFigures) -> Iterator[Metric]:
    yield GaugeMetricFamily("gearjobs_store_up", "Whether the store took the last commit: 1 or 0.", value=store.is_up)
    yield GaugeMetricFamily(
        "gearjobs_store_lease_held",
        "Whether this server surely owns its background jobs: 1 or 0. Without the lease none is handed out.",
        value=store.is_lease_held,
    )
    yield GaugeMetricFamily(
        "gearjobs_store_pending_changes", "Changes of jobs that wait for their commit.", value=store.pending_changes
    )
    yield CounterMetricFamily(
        "gearjobs_store_dropped_changes",
        "Progress and output that were not recorded, because the store was away for too long.",
        value=store.dropped_changes,
    )


def _load_metrics(loads: Sequence[FunctionLoad], *, now: float) -> Iterator[Metric]:
    waiting = GaugeMetricFamily(
        "gearjobs_jobs_waiting", "Jobs ready to run that no worker has taken.", labels=["function", "priority"]
    )
    throttled = GaugeMetricFamily(
        "gearjobs_jobs_throttled", "Those of them that a concurrency or rate limit holds up.", labels=["function"]
    )
    delayed = GaugeMetricFamily("gearjobs_jobs_delayed", "Jobs whose time has not come.", labels=["function"])
    running = GaugeMetricFamily("gearjobs_jobs_running", "Jobs that workers hold.", labels=["function"])
    workers = GaugeMetricFamily("gearjobs_workers", "Connections that can do the function.", labels=["function"])
    benched = GaugeMetricFamily(
        "gearjobs_workers_benched", "Those of them that fail fast and get 20 jobs a minute.", labels=["function"]
    )
    oldest = GaugeMetricFamily(
        "gearjobs_oldest_waiting_seconds",
        "For how long the job that waits longest is ready to run; 0 when none waits.",
        labels=["function"],
    )
    for load in loads:
        function = to_text(load.name)
        for lane in Lane:
            waiting.add_metric([function, lane.name.lower()], load.waiting[lane])
        throttled.add_metric([function], load.throttled)
        delayed.add_metric([function], load.delayed)
        running.add_metric([function], load.running)
        workers.add_metric([function], load.workers)
        benched.add_metric([function], load.benched)
        since = now if load.oldest_queued_at is None else load.oldest_queued_at
        oldest.add_metric([function], max(0.0, now - since))
    yield from (waiting, throttled, delayed, running, workers, benched, oldest)


def _tally_metrics(tallies: dict[str, FunctionTally]) -> Iterator[Metric]:
    submitted = CounterMetricFamily("gearjobs_jobs_submitted", "Jobs taken in.", labels=["function"])
    requeued = CounterMetricFamily(
        "gearjobs_jobs_requeued", "Runs cut short whose jobs wait again.", labels=["function"]
    )
    retried = CounterMetricFamily("gearjobs_jobs_retried", "Failed runs that are tried again.", labels=["function"])
    ended = CounterMetricFamily("gearjobs_jobs_ended", "Jobs that reached an outcome.", labels=["function", "outcome"])
    waits = HistogramMetricFamily(
        "gearjobs_job_wait_seconds", "From being ready to run to being handed to a worker.", labels=["function"]
    )
    runs = HistogramMetricFamily(
        "gearjobs_job_run_seconds", "From being handed to a worker to the outcome.", labels=["function"]
    )
    for function, tally in tallies.items():
        submitted.add_metric([function], tally.submitted)
        requeued.add_metric([function], tally.requeued)
        retried.add_metric([function], tally.retried)
        for outcome, count in tally.ended.items():
            ended.add_metric([function, outcome.value], count)
        waits.add_metric([function], _buckets(tally.waits), tally.waits.total_s)
        runs.add_metric([function], _buckets(tally.runs), tally.runs.total_s)
    yield from (submitted, requeued, retried, ended, waits, runs)


def _buckets(durations: Durations) -> list[tuple[str, float]]:
    return list(zip(_BUCKET_NAMES, accumulate(durations.counts), strict=True))


def _shortened(loads: list[FunctionLoad]) -> list[FunctionLoad]:
    """Add up what is beyond the limit."""
    if len(loads) <= FUNCTION_LIMIT:
        return loads
    rest = loads[FUNCTION_LIMIT:]
    high, normal, low = (sum(load.waiting[lane] for load in rest) for lane in Lane)
    others = FunctionLoad(
        FunctionName(OTHERS.encode()),
        (high, normal, low),
        sum(load.delayed for load in rest),
        sum(load.running for load in rest),
        sum(load.workers for load in rest),
        min((load.oldest_queued_at for load in rest if load.oldest_queued_at is not None), default=None),
        sum(load.benched for load in rest),
        sum(load.throttled for load in rest),
    )
    return [*loads[:FUNCTION_LIMIT], others]
