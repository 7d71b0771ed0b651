"""What `show snapshot` answers, gathered: the queue's views, the store's state, the server's own facts, at one moment.

One pass over functions and connections, on the loop; what is shown one by one is bounded, the counts are whole. The
form of the answer is `protocol/server_snapshot`'s.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable
from functools import lru_cache

from gearjobs.core.flow_rates import FlowRate
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.snapshot import FunctionLoad, PeerView, RunView
from gearjobs.protocol.server_snapshot import (
    MAX_FUNCTIONS,
    MAX_PEERS,
    FunctionFigures,
    PeerFigures,
    RunFigures,
    ServerSnapshot,
)
from gearjobs.protocol.wire_text import to_text
from gearjobs.protocol.worker_report import WorkerReport, decode_report
from gearjobs.server.commit.durability import Durability
from gearjobs.version import __version__


class SnapshotLine:
    """Gathers what one server is doing.

    Args:
        queue: the queue.
        durability: the store's side.
        is_draining: tells whether no new connections are taken.
    """

    def __init__(self, queue: JobQueue, durability: Durability, *, is_draining: Callable[[], bool]) -> None:
        self._queue = queue
        self._durability = durability
        self._is_draining = is_draining
        self._started_at = time.time()

    def gather(self) -> ServerSnapshot:
        """Return what the server is doing now."""
        now, loop_now = time.time(), asyncio.get_running_loop().time()
        loads, peers = self._queue.loads(), self._queue.peers()
        workers = [peer for peer in peers if peer.functions or peer.runs or peer.report]
        loads.sort(key=_demand, reverse=True)
        peers.sort(key=_use, reverse=True)
        return ServerSnapshot(
            at=now,
            version=__version__,
            host=socket.gethostname(),
            pid=os.getpid(),
            started_at=self._started_at,
            is_draining=self._is_draining(),
            is_store_down=self._durability.is_store_down,
            store_busy_s=round(self._durability.step_age_s(loop_now), 3),
            is_lease_held=self._durability.is_lease_held,
            pending_changes=self._durability.pending_changes,
            connections=len(peers),
            workers=len(workers),
            busy_workers=sum(bool(peer.runs) for peer in workers),
            functions=tuple(_function(load, self._queue.rate(load.name, now)) for load in loads[:MAX_FUNCTIONS]),
            functions_left_out=max(0, len(loads) - MAX_FUNCTIONS),
            peers=tuple(map(_peer, peers[:MAX_PEERS])),
            peers_left_out=max(0, len(peers) - MAX_PEERS),
        )


def _demand(load: FunctionLoad) -> tuple[bool, int, int]:
    jobs = sum(load.waiting) + load.delayed + load.running
    return load.is_paused, jobs, load.workers


def _use(peer: PeerView) -> tuple[bool, bool]:
    return bool(peer.functions or peer.runs or peer.report), bool(peer.runs)


def _function(load: FunctionLoad, rate: FlowRate) -> FunctionFigures:
    high, normal, low = load.waiting
    return FunctionFigures(
        name=to_text(load.name),
        high=high,
        normal=normal,
        low=low,
        scheduled=load.delayed,
        running=load.running,
        workers=load.workers,
        benched=load.benched,
        throttled=load.throttled,
        is_paused=load.is_paused,
        oldest_queued_at=load.oldest_queued_at,
        entered_per_s=round(rate.entered, 3),
        taken_per_s=round(rate.taken, 3),
    )


def _peer(peer: PeerView) -> PeerFigures:
    return PeerFigures(
        client_id=peer.client_id,
        address=peer.address,
        functions=tuple(map(to_text, peer.functions)),
        benched=tuple(map(to_text, peer.benched)),
        runs=tuple(map(_run, peer.runs)),
        awaited=peer.awaited,
        report=_report(peer.report),
    )


def _run(run: RunView) -> RunFigures:
    return RunFigures(
        handle=to_text(run.handle), function=to_text(run.function), started_at=run.started_at, attempt=run.attempt
    )


@lru_cache(maxsize=MAX_PEERS)
def _report(body: bytes) -> WorkerReport | None:
    # It was read, and written anew, when it came; a worker that says nothing new is not read again.
    return decode_report(body) if body else None
