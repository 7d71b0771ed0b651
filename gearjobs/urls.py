"""The URLs a project includes: the REST API.

`path("api/", include("gearjobs.urls"))` makes it `api/jobs/` and `api/jobs/<handle>/`. The screens of the admin are not
here: they hang off the project's own admin site.
"""

from __future__ import annotations

from django.urls import include, path

app_name = "gearjobs"

urlpatterns = [path("jobs/", include("gearjobs.api.job_urls"))]
