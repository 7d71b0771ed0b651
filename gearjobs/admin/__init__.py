"""The screens in the Django admin: the overview, queues, jobs, failures, job servers, groups, schedules.

Found by Django's autodiscovery where `django.contrib.admin` is installed. A project with an AdminSite of its own
registers them there by `site.register(Job, JobAdmin)`. What an operator may do is in `actions`, and asked for
by POST alone.
"""

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
]

# The template tags are imported where there is no admin, too.
if apps.is_installed("django.contrib.admin"):
    admin.site.register(BulkOperation, BulkOperationAdmin)
    admin.site.register(FailureGroup, FailureGroupAdmin)
    admin.site.register(Job, JobAdmin)
    admin.site.register(JobGroup, JobGroupAdmin)
    admin.site.register(JobServer, JobServerAdmin)
    admin.site.register(OperatorAction, OperatorActionAdmin)
    admin.site.register(QueueControl, QueueAdmin)
    admin.site.register(Schedule, ScheduleAdmin)
