"""The URLs a project includes: the REST API.

`path("api/", include("gearjobs.urls"))` makes it `api/jobs/`, `api/jobs/<handle>/` and so on. The screens of the admin
are not here: they hang off the project's own admin site.
"""

from __future__ import annotations

from django.urls import include, path

app_name = "gearjobs"

urlpatterns = [
    path("jobs/", include("gearjobs.api.job_urls")),
    path("", include("gearjobs.api.resource_urls")),
]
