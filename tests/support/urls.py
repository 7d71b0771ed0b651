"""The URLs of the tests' project: the admin, and the REST API where the README puts it."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("gearjobs.urls")),
]
