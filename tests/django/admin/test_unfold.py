"""The screens in a project that uses django-unfold: of its classes and in its colours, whatever it does when imported.

That package is no dependency of ours, so a stand-in takes its place: an admin module that renders a form's field while
it is imported, as unfold's does. Django then imports every template tag, ours among them, before its class is there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent

UNFOLD_ADMIN = """
from django import forms
from django.contrib import admin

rendered = forms.CheckboxInput().render("tick", False)


class ModelAdmin(admin.ModelAdmin):
    pass
"""

URLS = """
from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
"""

PROJECT = """
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF="project_urls", STATIC_URL="/static/", USE_TZ=True,
    GEARJOBS={"SERVERS": ["127.0.0.1:1"]},
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "project.sqlite3"}},
    INSTALLED_APPS=[
        *APPS, "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
        "django.contrib.messages", "django.contrib.staticfiles", "gearjobs",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
        "OPTIONS": {"context_processors": [
            "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
        ]},
    }],
)
django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from gearjobs.admin import JobAdmin, ScheduleAdmin

call_command("migrate", verbosity=0)
client = Client()
client.force_login(User.objects.create_superuser("root"))
page = client.get("/admin/gearjobs/job/").content.decode()
changelist = client.get("/admin/gearjobs/schedule/").content.decode()
bases = [base.__module__ for one in (JobAdmin, ScheduleAdmin) for base in one.__mro__]
print(bases.count("unfold.admin"), page.count("gearjobs/unfold.css"), changelist.count("gearjobs/unfold.css"))
# Above the page as Django has it, and within it as unfold does.
print(page.count('class="gearjobs-tabs"'))
"""


@pytest.mark.parametrize(("apps", "said"), [(["unfold"], ["2 1 1", "2"]), ([], ["0 0 0", "1"])])
def test_screens_are_of_unfold_where_the_project_has_it(tmp_path, apps, said):
    (tmp_path / "unfold").mkdir()
    (tmp_path / "unfold" / "__init__.py").touch()
    (tmp_path / "unfold" / "admin.py").write_text(UNFOLD_ADMIN)
    (tmp_path / "project_urls.py").write_text(URLS)
    (tmp_path / "project.py").write_text(PROJECT.replace("*APPS", ", ".join(map(repr, apps)) if apps else "*()"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    environment.pop("DJANGO_SETTINGS_MODULE", None)

    done = subprocess.run(
        [sys.executable, str(tmp_path / "project.py")],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:2] == said
