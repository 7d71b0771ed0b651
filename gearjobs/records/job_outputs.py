"""Reading what a job sent while it ran: data and warnings, in order.

How they are written, and how many of them, stands in `rows/output_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db.models import QuerySet

from gearjobs.models import JobOutput
from gearjobs.settings import gearjobs_settings

#: Rows read at once: pieces may be large.
_AT_ONCE: Final = 100


def outputs_after(handle: str, since: int, *, using: str | None = None) -> Iterator[JobOutput]:
    """Yield the job's outputs with a number above `since`, at most a hundred."""
    yield from _after(handle, since, using)[:_AT_ONCE]


def warnings_after(handle: str, since: int, *, using: str | None = None) -> Iterator[JobOutput]:
    """Yield those of the job's outputs that are warnings, logs among them, as `outputs_after` does."""
    yield from _after(handle, since, using).filter(is_warning=True)[:_AT_ONCE]


def _after(handle: str, since: int, using: str | None) -> QuerySet[JobOutput]:
    rows = JobOutput.objects.using(using or gearjobs_settings().database)
    return rows.filter(job=handle, sequence__gt=since).order_by("sequence")
