"""A job's progress on a page of one's own: `{% load gear_progress %}{% gear_progress job %}`.

It renders how the job stands (`templates/gearjobs/gear_progress.html`, which a project may have its own of), and names
the address at which `static/gearjobs/gear_progress.js` follows it from there; without that script the page is right as
of its making. What a reader may see is decided there, by the REST API: the tag itself shows state, progress and the
message of the job that the page's author put there.
"""

from __future__ import annotations

import json
from copy import copy
from datetime import timedelta
from typing import Any, Final

from django import template
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext, pgettext

from gearjobs.api.job_views import STATUS_FIELDS
from gearjobs.api.status_links import DEFAULT_AGE, signed_status_url
from gearjobs.models import Job, JobStatus, StatusDetail
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.joined_jobs import follow_joined
from gearjobs.tasks.django_tasks import TaskResult

#: What is read of a job that the page has only the id of.
_FIELDS: Final = (*STATUS_FIELDS, "error_class", "error_message")

register = template.Library()


@register.inclusion_tag("gearjobs/gear_progress.html")
def gear_progress(
    job: Job | TaskResult[..., Any] | str | None,
    label: str = "",
    *,
    signed: bool = False,
    max_age_s: float = DEFAULT_AGE.total_seconds(),
    namespace: str = "gearjobs",
) -> dict[str, Any]:
    """Render a live progress bar.

    Args:
        job: a row, which costs no query; or what `enqueue` returned, or its id, which cost one. Without one the bar
            stands still until a script gives it a `src`.
        label: what is under way, for those who do not see the page.
        signed: lets anybody who has the page follow the job, by a signed link to its state; else only who may read it.
        max_age_s: how long such a link works.
        namespace: where the project put `gearjobs.urls`.
    """
    row = _row_of(job)
    handle = "" if not job else job if isinstance(job, str) else job.handle if isinstance(job, Job) else job.id
    url = ""
    # One that has ended is not asked for.
    if handle and not (row is not None and row.is_finished):
        if signed:
            url = signed_status_url(handle, max_age=timedelta(seconds=max_age_s), namespace=namespace)
        else:
            url = reverse(f"{namespace}:job-detail", args=[handle])
    percent, words = _percent_of(row), _words()
    state = row.present_detail.value if row is not None else "unknown" if handle else ""
    is_running = row is not None and row.status == JobStatus.RUNNING
    return {
        "url": url,
        "state": state,
        "word": words.get(state, ""),
        "label": label or gettext("Progress"),
        # No value: nobody knows how long it takes.
        "value": "" if percent is None and is_running else f"{percent or 0:g}",
        "percent": "" if percent is None else f"{int(percent)}%",
        "message": _message_of(row, is_public=signed),
        "words_json": json.dumps(words, ensure_ascii=False),
        "module": static("gearjobs/gearjobs.js"),
    }


@register.inclusion_tag("gearjobs/gear_progress_script.html")
def gear_progress_script() -> dict[str, Any]:
    """Render the script and the style sheet that the bars of a page want, once in its head."""
    return {}


def _row_of(job: Job | TaskResult[..., Any] | str | None) -> Job | None:
    """Return how a job stands."""
    if isinstance(job, Job):
        # Of the caller's row a copy: it may yet be saved.
        row: Job | None = copy(job)
    else:
        handle = job if isinstance(job, str) else getattr(job, "id", "")
        row = all_jobs().filter(pk=handle).only(*_FIELDS).first() if handle else None
    if row is not None:
        follow_joined([row])
    return row


def _percent_of(job: Job | None) -> float | None:
    if job is None:
        return None
    return 100.0 if job.status == JobStatus.SUCCESSFUL else job.progress_percent


def _message_of(job: Job | None, *, is_public: bool) -> str:
    if job is None:
        return ""
    if job.status != JobStatus.FAILED:
        return job.progress_message
    if is_public:
        # Neither does a signed link tell why a job failed: that may be the site's business.
        return ""
    return ": ".join(filter(None, (job.error_class.rpartition(".")[2], job.error_message)))


def _words() -> dict[str, str]:
    """Return what the script calls the states in the reader's language."""
    return {
        **{detail.value: str(detail.label) for detail in StatusDetail},
        "trouble": gettext("The site does not answer. Asking again."),
        "unknown": pgettext("Job", "unknown"),
    }
