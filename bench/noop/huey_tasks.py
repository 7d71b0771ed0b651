"""Huey: jobs and results in Redis; two worker processes.

`RedisHuey` waits for jobs by a blocking read, which is its default.
"""

from __future__ import annotations

import os

from huey import RedisHuey
from huey.api import Result

huey = RedisHuey("bench", url=os.environ["BENCH_REDIS"])


@huey.task()
def noop(number: int) -> int:
    """Do nothing."""
    return number


def enqueue(number: int) -> Result:
    """Enqueue one job."""
    return noop(number)


def wait(job: Result, timeout_s: float) -> object:
    """Return its result."""
    return job.get(blocking=True, timeout=timeout_s, backoff=1.0, max_delay=0.005)


def ended() -> int:
    """Count the results."""
    return int(huey.result_count())
