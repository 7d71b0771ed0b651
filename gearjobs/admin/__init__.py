"""The screens in the Django admin: the overview, queues, jobs, failures, job servers, groups, schedules.

Found by Django's autodiscovery where `django.contrib.admin` is installed. A project with an AdminSite of its own
puts them there by `register_screens(site)`. What an operator may do is in `actions`, and asked for by POST alone.
"""

from typing import Final

from django.apps import apps
from django.contrib import admin

from gearjobs.admin.audit_admin import OperatorActionAdmin
from gearjobs.admin.failure_admin import FailureGroupAdmin
from gearjobs.admin.group_admin import JobGroupAdmin
from gearjobs.admin.job_admin import JobAdmin
from gearjobs.admin.operation_admin import BulkOperationAdmin
from gearjobs.admin.queue_admin import QueueAdmin
from gearjobs.admin.schedule_admin import ScheduleAdmin
from gearjobs.admin.server_admin import JobServerAdmin
from gearjobs.models import (
    BulkOperation,
    FailureGroup,
    Job,
    JobGroup,
    JobServer,
    OperatorAction,
    QueueControl,
    Schedule,
)

__all__ = [
    "BulkOperationAdmin",
    "FailureGroupAdmin",
    "JobAdmin",
    "JobGroupAdmin",
    "JobServerAdmin",
    "OperatorActionAdmin",
    "QueueAdmin",
    "ScheduleAdmin",
    "register_screens",
]

_SCREENS: Final = (
    (BulkOperation, BulkOperationAdmin),
    (FailureGroup, FailureGroupAdmin),
    (Job, JobAdmin),
    (JobGroup, JobGroupAdmin),
    (JobServer, JobServerAdmin),
    (OperatorAction, OperatorActionAdmin),
    (QueueControl, QueueAdmin),
    (Schedule, ScheduleAdmin),
)


def register_screens(site: admin.AdminSite) -> None:
    """Put all screens into an AdminSite of the project; some of them it can register by itself."""
    for model, model_admin in _SCREENS:
        site.register(model, model_admin)


# The template tags are imported where there is no admin, too.
if apps.is_installed("django.contrib.admin"):
    register_screens(admin.site)
