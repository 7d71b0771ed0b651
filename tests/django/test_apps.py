"""The Django application: what `django.setup()` does for it, and what it leaves alone."""

from __future__ import annotations

import subprocess
import sys

from django.apps import apps
from django.utils import translation

from tests.architecture.source_tree import ROOT

#: Sets a project up where every connection is refused and no database can be asked.
SETUP = """
import socket, sys, django
from django.conf import settings
def refuse(*_): raise AssertionError("django.setup() must open no socket")
socket.socket.connect = socket.socket.connect_ex = refuse
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "gearjobs", "demo_site.album"],
    DATABASES={"default": {"ENGINE": "django.db.backends.dummy"}},
)
django.setup()
assert "demo_site.album.tasks" not in sys.modules
assert not [name for name in sys.modules if name.startswith("gearjobs.testing")]
from django.core.checks.registry import registry
print(sorted(check.__name__ for check in registry.registered_checks if check.__name__ == "check_tasks"))
"""


def test_application_has_its_names():
    app = apps.get_app_config("gearjobs")

    assert (app.name, app.label) == ("gearjobs", "gearjobs")
    assert app.default_auto_field == "django.db.models.BigAutoField"
    with translation.override("en"):
        assert str(app.verbose_name) == "Gearman jobs"


def test_setting_up_asks_nobody_and_imports_no_task():
    done = subprocess.run([sys.executable, "-c", SETUP], capture_output=True, text=True, cwd=ROOT, timeout=60)

    assert done.returncode == 0, done.stderr
    # Django registers its check of TASKS when its tasks are first imported: here.
    assert done.stdout.strip() == "['check_tasks']"
