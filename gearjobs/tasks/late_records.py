"""Models by way of a late import: tasks are decorated before `django.setup()`, and models cannot be imported before it.

These modules may be imported from here at any time: the real one is imported when one of its attributes is first read.
Import checkers and mypy see a plain import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearjobs.late_module import LateModule

__all__ = [
    "group_rows",
    "job_attempts",
    "job_outputs",
    "job_queries",
    "retry_claims",
    "saved_schedules",
    "unowned_jobs",
]

if TYPE_CHECKING:
    from gearjobs.records import job_attempts, job_outputs, job_queries, retry_claims, unowned_jobs
    from gearjobs.records.groups import group_rows
    from gearjobs.tasks.schedules import saved_schedules
else:
    job_attempts = LateModule("gearjobs.records.job_attempts")
    group_rows = LateModule("gearjobs.records.groups.group_rows")
    job_outputs = LateModule("gearjobs.records.job_outputs")
    job_queries = LateModule("gearjobs.records.job_queries")
    retry_claims = LateModule("gearjobs.records.retry_claims")
    saved_schedules = LateModule("gearjobs.tasks.schedules.saved_schedules")
    unowned_jobs = LateModule("gearjobs.records.unowned_jobs")
