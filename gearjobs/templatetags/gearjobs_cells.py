"""Template tags that show single values as all screens do, and what stands on the page of one job.

That page is Django's own, which knows the job only when it renders; what depends on it is asked for by these tags.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from django import template
from django.template.context import Context
from django.utils.safestring import SafeString

from gearjobs.models import Job
from gearjobs.templatetags.late_screens import job_acts, job_cells
from gearjobs.templatetags.late_screens import job_snippets as snippets

if TYPE_CHECKING:
    from gearjobs.admin.job_acts import JobVerb

register = template.Library()


@register.simple_tag
def gearjobs_age(moment: datetime.datetime | None) -> SafeString | str:
    """Return how long ago something was, with the exact time for the mouse and for machines."""
    return job_cells.EMPTY if moment is None else job_cells.age(moment)


@register.simple_tag(takes_context=True)
def job_verbs(context: Context, job: Job) -> list[JobVerb]:
    """Return what the request's user may do to a job."""
    return job_acts.verbs_for(context["request"], job)


@register.simple_tag(takes_context=True)
def job_snippets(context: Context, job: Job) -> list[tuple[str, str]]:
    """Return how programs fetch a job."""
    return snippets.job_snippets(job, context["request"])
