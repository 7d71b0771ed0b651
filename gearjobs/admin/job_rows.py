"""Jobs as rows of a table: the job list, and the lists of jobs on other pages.

Never reads a body but for the line that says what a job was called with, which is for the permission `view_payload`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.admin.call_summaries import call_summaries
from gearjobs.admin.job_cells import EMPTY, age, duration_text, peer_text, progress_bar, status_badge
from gearjobs.admin.screen_links import job_link
from gearjobs.models import Job
from gearjobs.records.joined_jobs import follow_joined


@dataclass(slots=True)
class JobRow:
    """One job of a table."""

    handle: str
    url: str
    name: SafeString | str
    queue: str
    #: What it was called with; empty where that is not shown.
    summary: str
    state: SafeString
    progress: SafeString | str
    priority: int
    took: str
    enqueued: SafeString | str
    started: SafeString | str
    worker: str
    #: What is said of its failure.
    error: str


def job_rows(jobs: Sequence[Job], *, may_see_bodies: bool) -> list[JobRow]:
    """Return the rows, of jobs that another one does the work of as that one stands.

    Args:
        jobs: without their bodies.
        may_see_bodies: whether the rows say what the jobs were called with.
    """
    follow_joined(list(jobs))
    summaries = call_summaries(jobs) if may_see_bodies and jobs else {}
    return [_row(job, summaries.get(job.handle, "")) for job in jobs]


def _row(job: Job, summary: str) -> JobRow:
    return JobRow(
        handle=job.handle,
        url=job_link(job.handle),
        name=peer_text(job.task or job.function),
        queue=job.queue,
        summary=summary,
        state=_state(job),
        progress="" if job.is_finished else progress_bar(job),
        priority=job.priority,
        took=duration_text(job.duration),
        enqueued=age(job.enqueued_at),
        started=EMPTY if job.started_at is None else age(job.started_at),
        worker=str(job.worker_ids[-1]) if job.worker_ids else "",
        error=_error(job),
    )


def _state(job: Job) -> SafeString:
    if job.attempt < 2:
        return status_badge(job)
    return format_html('{} <span class="quiet" title="{}">×{}</span>', status_badge(job), _("attempts"), job.attempt)


def _error(job: Job) -> str:
    if not job.error_class and not job.error_message:
        return ""
    kind = job.error_class.rpartition(".")[2]
    first = job.error_message.strip().partition("\n")[0][:200]
    return f"{kind}: {first}" if kind and first else kind or first
