"""How to fetch a job from a program: a command line for the REST API, Python for the project, and a test of it.

Names that come from a peer stand in them only where they are names; a handle always is one, for job servers make it.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from gearjobs.admin.job_test_snippet import test_snippet
from gearjobs.models import Job
from gearjobs.records.job_queries import has_permission

_TASK: Final = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*)\.(?P<name>[^\W\d]\w*)")


def job_snippets(job: Job, request: HttpRequest) -> list[tuple[str, str]]:
    """Return headings and texts."""
    found = []
    try:
        url = request.build_absolute_uri(reverse("gearjobs:job-detail", args=[job.handle]))
    except NoReverseMatch:
        # The project has no REST API of ours.
        url = ""
    if url:
        found.append(("curl", f"curl --user NAME {shlex.quote(url)}"))
    task = _TASK.fullmatch(job.task)
    if task is not None:
        lines = (
            f"from {task['module']} import {task['name']}",
            "",
            f"result = {task['name']}.get_result({job.handle!r})",
            "print(result.status)",
        )
    else:
        lines = (
            "from gearjobs.models import Job",
            "",
            f"job = Job.objects.get(pk={job.handle!r})",
            "print(job.status_detail)",
        )
    found.append(("Python", "\n".join(lines)))
    if has_permission(request.user, "view_payload") and (text := test_snippet(job)):
        found.append((_("As a test"), text))
    return found
