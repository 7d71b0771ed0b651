"""What is asked of every library that runs tasks: a few measurements of one fresh site, in this order.

1. Idle latency: one client enqueues a job and waits for its result, again and again; workers have nothing else to do.
2. End to end: two clients enqueue as fast as they can, two worker processes run the jobs; it is over when every result
   is recorded, or when time is up, and then what is recorded counts.
3. Enqueue: one client enqueues one job after the other, as web requests do; no worker runs.

End to end and enqueue are there twice, the second time by calls that enqueue a hundred jobs each, where the library has
such calls.

Processor time is that of everybody who takes part: clients, servers, workers, database, Redis.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from bench.peers import PeerError
from bench.readings import Reading
from bench.services import Services
from bench.task_peers import TaskPeer
from bench.task_site import TaskSite

#: Jobs of each measurement, and the seconds it lasts at most.
TRIPS: Final = (100, 5.0)
END_TO_END: Final = (40_000, 6.0)
ENQUEUED: Final = (20_000, 3.0)
#: Seconds that the first jobs may take: workers are starting.
WARM_UP_S: Final = 60.0
CLIENTS: Final = 2
#: The ways to enqueue; the second is not every library's.
_COMMANDS: Final = ("enqueue", "enqueue_many")


def measure_tasks(peer: TaskPeer, services: Services, scale: float) -> dict[str, Reading]:
    """Return a reading of every measurement.

    Raises:
        PeerError: the library does not do what it is asked.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        site = TaskSite(peer, services, Path(directory))
        try:
            with site:
                return _readings(site, scale, commands=_COMMANDS if peer.enqueues_many else _COMMANDS[:1])
        except PeerError as error:
            raise PeerError(f"{error}\n{site.log()}") from error


def _readings(site: TaskSite, scale: float, *, commands: Sequence[str]) -> dict[str, Reading]:
    with site.workers():
        with site.driver("trips", 3, WARM_UP_S) as driver:
            driver.run()
        found = {"latency": _round_trips(site, scale)}
        for command in commands:
            found[f"end_to_end {command}"] = _end_to_end(site, command, scale)
    for command in commands:
        found[command] = _enqueue(site, command, scale)
    return found


def _round_trips(site: TaskSite, scale: float) -> Reading:
    with site.driver("trips", _count(TRIPS[0], scale), TRIPS[1]) as driver:
        driver.await_ready()
        cost = site.cost()
        before_s = cost.cpu_s()
        driver.begin()
        taken_us = driver.found()["taken_us"]
        jobs = len(taken_us)
        spent_s = cost.cpu_s() - before_s
    return Reading(
        jobs,
        sum(taken_us) / 1e6,
        spent_s,
        site.own_cost().memory_bytes(),
        taken_us[jobs // 2],
        taken_us[min(jobs - 1, int(jobs * 0.99))],
    )


def _end_to_end(site: TaskSite, command: str, scale: float) -> Reading:
    count, most_s = _count(END_TO_END[0], scale), END_TO_END[1]
    with ExitStack() as stack:
        watcher = stack.enter_context(site.driver("watch", count, most_s))
        clients = [stack.enter_context(site.driver(command, count // CLIENTS, most_s)) for _ in range(CLIENTS)]
        for driver in (watcher, *clients):
            driver.await_ready()
        cost = site.cost()
        before_s = cost.cpu_s()
        for driver in (watcher, *clients):
            driver.begin()
        found = watcher.found()
        if not found["jobs"]:
            raise PeerError("no job has ended in time")
        spent_s = cost.cpu_s() - before_s + sum(client.found()["cpu_s"] for client in clients)
    return Reading(found["jobs"], found["elapsed_s"], spent_s, site.own_cost().memory_bytes())


def _enqueue(site: TaskSite, command: str, scale: float) -> Reading:
    with site.driver(command, _count(ENQUEUED[0], scale), ENQUEUED[1]) as driver:
        driver.await_ready()
        cost = site.cost()
        before_s = cost.cpu_s()
        driver.begin()
        found = driver.found()
        spent_s = cost.cpu_s() - before_s + found["cpu_s"]
    return Reading(found["jobs"], found["elapsed_s"], spent_s, site.own_cost().memory_bytes())


def _count(jobs: int, scale: float) -> int:
    return max(20, int(jobs * scale))
