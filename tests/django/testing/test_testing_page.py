"""docs/testing.md and docs/signals.md: their code is run as a project's, and they tell of all there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from django.dispatch import Signal

import gearjobs.signals
from gearjobs.testing import GearjobsTestMixin, JobCapture
from gearjobs.testing.conformance.conformance_stage import ConformanceStage
from tests.architecture.source_tree import ROOT

BLOCK = re.compile(r"```python\n# (?P<path>[\w/]+\.py)\n(?P<code>.*?)```", re.DOTALL)
TIMEOUT_S = 300.0
TESTING, SIGNALS = (ROOT / f"docs/{name}.md" for name in ("testing", "signals"))
SETTINGS = """
from pathlib import Path
SECRET_KEY = "only for tests"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "gearjobs", "shop"]
HERE = Path(__file__).parent
DATABASES = {"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": HERE / "db.sqlite3", "TEST": {"NAME": HERE / "test.sqlite3"}
}}
USE_TZ = True
"""


@pytest.fixture
def project(tmp_path):
    """The project of the pages, and how to run a program in it."""
    for page in (TESTING, SIGNALS):
        for found in BLOCK.finditer(page.read_text(encoding="utf-8")):
            path = tmp_path / found["path"]
            path.parent.mkdir(exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(found["code"])
    (tmp_path / "shop_settings.py").write_text(SETTINGS)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")

    def run(*words):
        outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        paths = os.pathsep.join([str(tmp_path), str(ROOT)])
        return subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**outside, "PYTHONPATH": paths, "DJANGO_SETTINGS_MODULE": "shop_settings"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )

    return run


@pytest.mark.slow
def test_code_of_the_page_runs_with_pytest(project):
    done = project("-m", "pytest", "-q", "--ds=shop_settings", "--ignore=shop/test_conformance.py", "shop")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_code_of_the_page_runs_with_djangos_runner(project):
    # Of files with pytest's fixtures, Django's runner would find no test cases.
    for pattern in ("test_orders.py", "test_at_once.py", "test_conformance.py"):
        done = project("-W", "error", "-m", "django", "test", "--pattern", pattern)

        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(r"Ran [1-9]\d* tests?", done.stderr)


def test_code_of_the_signals_page_runs(project):
    done = project("-c", "import django; django.setup(); import shop.receivers")

    assert done.returncode == 0, done.stderr


def test_every_way_to_use_caught_jobs_is_on_the_page():
    page = TESTING.read_text(encoding="utf-8")
    names = [name for name in vars(JobCapture) if not name.startswith("_") and name not in {"start", "stop"}]

    assert not [name for name in [*names, "performed"] if f"`{name}" not in page]
    assert "immediate_jobs" in vars(GearjobsTestMixin)
    assert "`immediate_jobs = True`" in page


def test_every_word_of_a_conforming_backend_is_on_the_page():
    page = TESTING.read_text(encoding="utf-8")

    assert not [name for name in ConformanceStage.__annotations__ if name != "tasks" and f"`{name}`" not in page]


def test_every_signal_is_on_its_page():
    page = SIGNALS.read_text(encoding="utf-8")
    signals = {name for name, value in vars(gearjobs.signals).items() if isinstance(value, Signal)}

    assert not [name for name in signals if f"| `{name}` |" not in page]
