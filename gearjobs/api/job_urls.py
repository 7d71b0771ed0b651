"""The URLs of jobs.

Included by `gearjobs.urls`, in the namespace `gearjobs`: `gearjobs:job-list` and `gearjobs:job-detail`. What the views
do is `job_views`'s; a project that wants other paths includes this module under its own prefix.
"""

from __future__ import annotations

from django.urls import path

from gearjobs.api.job_views import JobDetail, JobList

urlpatterns = [
    path("", JobList.as_view(), name="job-list"),
    path("<str:handle>/", JobDetail.as_view(), name="job-detail"),
]
