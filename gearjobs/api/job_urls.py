"""The URLs of jobs.

Included by `gearjobs.urls`, in the namespace `gearjobs`: `gearjobs:job-list`, `gearjobs:job-detail` and what is below a
job. A project that wants other paths includes this module under its own prefix.
"""

from __future__ import annotations

from django.urls import path

from gearjobs.api import job_actions, job_parts
from gearjobs.api.enqueue_views import JobBulk
from gearjobs.api.event_stream import JobEvents, streaming
from gearjobs.api.job_item import JobItem
from gearjobs.api.job_list import JobChildren, JobList, JobStatuses
from gearjobs.api.job_logs import JobLogs
from gearjobs.api.job_views import JobStatusView
from gearjobs.api.long_poll import answering_late
from gearjobs.api.operation_views import JobBulkActions

urlpatterns = [
    path("", answering_late(JobList), name="job-list"),
    path("bulk/", JobBulk.as_view(), name="job-bulk"),
    path("actions/", JobBulkActions.as_view(), name="job-actions"),
    path("status/", JobStatuses.as_view(), name="job-statuses"),
    path("<str:handle>/", answering_late(JobItem), name="job-detail"),
    path("<str:handle>/status/", answering_late(JobStatusView), name="job-status"),
    path("<str:handle>/call/", job_parts.JobCall.as_view(), name="job-call"),
    path("<str:handle>/result/", job_parts.JobResult.as_view(), name="job-result"),
    path("<str:handle>/events/", streaming(JobEvents), name="job-events"),
    path("<str:handle>/attempts/", job_parts.JobAttempts.as_view(), name="job-attempts"),
    path("<str:handle>/logs/", JobLogs.as_view(), name="job-logs"),
    path("<str:handle>/children/", JobChildren.as_view(), name="job-children"),
    path("<str:handle>/timeline/", job_parts.JobTimeline.as_view(), name="job-timeline"),
    path("<str:handle>/cancel/", job_actions.JobCancel.as_view(), name="job-cancel"),
    path("<str:handle>/retry/", job_actions.JobRetry.as_view(), name="job-retry"),
    path("<str:handle>/run-now/", job_actions.JobRunNow.as_view(), name="job-run-now"),
    path("<str:handle>/duplicate/", job_actions.JobDuplicate.as_view(), name="job-duplicate"),
]
