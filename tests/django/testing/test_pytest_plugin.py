"""The pytest plugin as an entry point, in projects of their own: with gearjobs, with Django only, with neither."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from textwrap import dedent

import pytest

from tests.architecture.source_tree import ROOT

TIMEOUT_S = 120.0
SETTINGS = """
SECRET_KEY = "only for tests"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", {apps}]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}}}
USE_TZ = True
"""


@pytest.fixture
def run_project(tmp_path):
    """Run pytest in a project that consists of one file of tests, and perhaps its settings."""

    def run(tests, *options, settings=""):
        (tmp_path / "test_project.py").write_text(dedent(tests))
        (tmp_path / "project_settings.py").write_text(dedent(settings))
        (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "PYTEST_"))}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *options],
            cwd=tmp_path,
            env={**outside, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )

    return run


def test_plugin_is_an_entry_point():
    (found,) = entry_points(group="pytest11", name="gearjobs")

    assert found.value == "gearjobs.testing.pytest_plugin"


def test_project_without_django_does_not_notice_the_plugin(run_project):
    done = run_project(
        """
        import sys

        def test_what_is_imported():
            heads = {"gearjobs", "django", "django_tasks", "rest_framework"}
            loaded = {name for name in sys.modules if name.partition(".")[0] in heads}
            assert loaded == {"gearjobs", "gearjobs.testing", "gearjobs.testing.pytest_plugin"}
        """,
        "-p",
        "no:django",
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_project_without_gearjobs_does_not_notice_the_plugin(run_project):
    done = run_project(
        """
        import sys
        from django.contrib.auth.models import User

        def test_what_is_imported(db):
            assert not User.objects.exists()
            assert "gearjobs.testing.job_capture" not in sys.modules
        """,
        "--ds=project_settings",
        settings=SETTINGS.format(apps=""),
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_fixtures_are_there_without_being_imported(run_project):
    done = run_project(
        """
        import pytest
        from gearjobs import gear_task

        @gear_task
        def add(a: int, b: int) -> int:
            return a + b

        @pytest.mark.django_db
        def test_caught(gearjobs):
            result = add.enqueue(1, 2)
            gearjobs.assert_enqueued(add, args=(1, 2))
            gearjobs.perform_enqueued()
            result.refresh()
            assert result.return_value == 3

        def test_at_once(gearjobs_immediate):
            assert add.enqueue(1, 2).return_value == 3
        """,
        "--ds=project_settings",
        settings=SETTINGS.format(apps='"gearjobs"'),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
