"""What jobs were called with, in a line each, for lists: secrets masked, long payloads left out.

Payloads may be large, and a list has many: the database tells their lengths first, and gives none that is longer than
the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.db.models.functions import Length

from gearjobs.models import Job
from gearjobs.records.job_queries import all_jobs
from gearjobs.tasks.masked_calls import masked_call

#: Bytes of a payload that is read for its summary.
PAYLOAD_LIMIT: Final = 8_192
#: Characters of a summary.
SUMMARY_LIMIT: Final = 120


def call_summaries(jobs: Sequence[Job]) -> dict[str, str]:
    """Return a line for each job, by its handle; one query."""
    names = {job.handle: job for job in jobs}
    rows = all_jobs().filter(pk__in=names).annotate(payload_bytes=Length("payload"))
    payloads = dict(rows.filter(payload_bytes__lte=PAYLOAD_LIMIT).values_list("handle", "payload"))
    return {handle: _summary(job, payloads.get(handle)) for handle, job in names.items()}


def _summary(job: Job, payload: bytes | memoryview | None) -> str:
    if payload is None:
        return "…"
    if not payload:
        return ""
    return masked_call(bytes(payload), task=job.task, function=job.function).summary(SUMMARY_LIMIT)
