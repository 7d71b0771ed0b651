"""Dramatiq: jobs in Redis, results by its own middleware in Redis; its defaults otherwise, eight threads a process.

Results have a database of Redis of their own, whose size says how many there are.
"""

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

results = RedisBackend(url=f"{os.environ['BENCH_REDIS']}/1")
broker = RedisBroker(url=os.environ["BENCH_REDIS"])
broker.add_middleware(Results(backend=results, store_results=True))
dramatiq.set_broker(broker)


@dramatiq.actor
def noop(number: int) -> int:
    """Do nothing."""
    return number


def enqueue(number: int) -> dramatiq.Message:
    """Enqueue one job."""
    return noop.send(number)


def wait(job: dramatiq.Message, timeout_s: float) -> object:
    """Return its result."""
    return job.get_result(block=True, timeout=int(timeout_s * 1000))


def ended() -> int:
    """Count the results."""
    return int(results.client.dbsize())
