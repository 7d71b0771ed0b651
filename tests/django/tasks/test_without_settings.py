"""INSTALLED_APPS += ["gearjobs"] and nothing else: each test is a fresh interpreter, as a user's project starts it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent.parent

#: The least a project can be; the database is never opened.
PROJECT = """
import sys
import django
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["gearjobs"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    USE_TZ=True,
)
"""


def run_in_fresh_project(code: str) -> str:
    """Run the code after PROJECT, warnings as errors; return what it printed."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROJECT + textwrap.dedent(code)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_tasks_are_decorated_before_setup_without_models_or_sockets():
    printed = run_in_fresh_project("""
        import socket

        def refuse(*args, **kwargs):
            raise AssertionError("a socket was made")

        socket.socket.__init__ = refuse
        from tests.support import few_tasks as tasks

        print(type(tasks.add).__name__, tasks.add.get_backend().alias, tasks.add.using(queue_name="any").queue_name)
        print([name for name in sys.modules if name.startswith("gearjobs.models")])
        django.setup()
        print(tasks.add(1, 2))
    """)

    assert printed.split("\n")[:3] == ["GearTask default any", "[]", "3"]


def test_importing_gearjobs_imports_nothing_of_django():
    ended = subprocess.run(
        [sys.executable, "-c", "import gearjobs, sys; print('django' in sys.modules, 'gear_task' in dir(gearjobs))"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert ended.stdout.strip() == "False True"


def test_unknown_name_is_an_attribute_error():
    printed = run_in_fresh_project("""
        import gearjobs

        print(hasattr(gearjobs, "geartask"), [name for name in gearjobs.__all__ if not hasattr(gearjobs, name)])
    """)

    assert printed.strip() == "False []"


def test_override_settings_takes_effect_without_the_app_of_the_backport():
    printed = run_in_fresh_project("""
        from django.test import override_settings
        from tests.support.few_tasks import add
        from tests.support.task_settings import DUMMY

        django.setup()
        with override_settings(TASKS=DUMMY):
            print(type(add.get_backend()).__name__)
        print(type(add.get_backend()).__name__)
    """)

    assert printed.split() == ["DummyBackend", "GearmanBackend"]


def test_each_thread_has_a_backend_of_its_own_and_all_share_the_client():
    printed = run_in_fresh_project("""
        from concurrent.futures import ThreadPoolExecutor
        from threading import Barrier

        from gearjobs.tasks.job_client import client_of
        from tests.support.few_tasks import add

        barrier = Barrier(8)

        def look(_):
            barrier.wait(10)
            backend = add.get_backend()
            return backend, client_of(backend.servers)

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(look, range(8)))
        print(len({id(backend) for backend, _ in found}), len({id(client) for _, client in found}))
    """)

    assert printed.split() == ["8", "1"]


def test_check_of_the_setting_tasks_needs_no_further_app():
    printed = run_in_fresh_project("""
        from django.core.checks.registry import registry
        from tests.support.few_tasks import add

        django.setup()
        print([check.__module__ for check in registry.get_checks() if check.__name__ == "check_tasks"])
    """)

    package = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
    assert printed.strip() == f"['{package}.checks']"


def test_plain_task_decorator_gives_a_gear_task_under_our_backend():
    printed = run_in_fresh_project("""
        settings.TASKS = {"default": {"BACKEND": "gearjobs.tasks.backend.GearmanBackend"}}
        from gearjobs.tasks.django_tasks import task
        from tests.support.few_tasks import multiply

        decorated = task(priority=4)(multiply)
        print(type(decorated).__name__, decorated.function_name, decorated.priority)
    """)

    assert printed.split() == ["GearTask", "tests.support.few_tasks.multiply", "4"]


@pytest.mark.skipif((6, 0) <= django.VERSION < (6, 1), reason="Django 6.0's decorator takes no further options")
def test_plain_task_decorator_takes_our_options_under_our_backend():
    printed = run_in_fresh_project("""
        settings.TASKS = {"default": {"BACKEND": "gearjobs.tasks.backend.GearmanBackend"}}
        from gearjobs.tasks.django_tasks import task
        from tests.support.few_tasks import multiply

        decorated = task(name="times", aliases=["product"])(multiply)
        print(decorated.function_name, decorated.aliases)
    """)

    assert printed.strip() == "times ('product',)"
