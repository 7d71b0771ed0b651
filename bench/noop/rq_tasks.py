"""RQ: jobs and results in Redis; workers that run jobs in their own process (`SimpleWorker`).

RQ's default worker forks for every job, which costs it most of its speed; this is its fastest setting.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from redis import Redis
from rq import Queue
from rq.job import Job

queue = Queue("bench", connection=Redis.from_url(os.environ["BENCH_REDIS"]))


def noop(number: int) -> int:
    """Do nothing."""
    return number


def enqueue(number: int) -> Job:
    """Enqueue one job."""
    return queue.enqueue(noop, number)


def enqueue_many(numbers: Iterable[int]) -> None:
    """Enqueue many jobs by one call."""
    queue.enqueue_many([Queue.prepare_data(noop, (number,)) for number in numbers])


def wait(job: Job, timeout_s: float) -> object:
    """Return its result."""
    result = job.latest_result(timeout=int(timeout_s))
    return result.return_value if result else None


def ended() -> int:
    """Count the results."""
    return int(queue.finished_job_registry.get_job_count(cleanup=False))
