"""gearjobs: `runjobserver` and `runworkers`, every job a row with its result.

The file is called `tasks` because that is where gearjobs looks; the other libraries are told where their tasks are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gearjobs import GearResult, gear_task
from gearjobs.models import Job


@gear_task
def noop(number: int) -> int:
    """Do nothing."""
    return number


def enqueue(number: int) -> GearResult[Any]:
    """Enqueue one job."""
    return noop.enqueue(number)


def enqueue_many(numbers: Iterable[int]) -> None:
    """Enqueue many jobs by one call."""
    noop.enqueue_many([((number,), {}) for number in numbers])


def wait(job: GearResult[Any], timeout_s: float) -> object:
    """Return its result."""
    return job.wait(timeout_s)


def ended() -> int:
    """Count the results."""
    return Job.objects.filter(status_detail="succeeded").count()
