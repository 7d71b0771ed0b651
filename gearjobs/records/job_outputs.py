"""Reading what a job sent while it ran: data and warnings, in order.

How they are written, and how many of them, stands in `rows/output_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gearjobs.models import JobOutput
from gearjobs.settings import gearjobs_settings

#: Rows read at once: pieces may be large.
_AT_ONCE: Final = 100


def outputs_after(handle: str, since: int, *, using: str | None = None) -> Iterator[JobOutput]:
    """Yield the job's outputs with a number above `since`, at most a hundred."""
    rows = JobOutput.objects.using(using or gearjobs_settings().database)
    yield from rows.filter(job=handle, sequence__gt=since).order_by("sequence")[:_AT_ONCE]
