"""The addresses of the demo site: the albums, their login, the admin and the REST API over the jobs."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path

urlpatterns = [
    path("", include("demo_site.album.urls")),
    path("accounts/login/", LoginView.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("api/", include("gearjobs.urls")),
    path("admin/", admin.site.urls),
]
