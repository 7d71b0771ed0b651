"""What a backend is before anything is enqueued: made early, checked, closed, and strict with tasks.

Source: `django.tasks` of Django 6.0 and 6.1 and django-tasks 0.12, `backends/base.py` and `base.py`.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any
from unittest import skipIf

import django
from django.conf import settings
from django.core.checks import CheckMessage
from django.utils import timezone

from gearjobs.tasks.django_tasks import BaseTaskBackend, InvalidTask, Task, task, task_backends
from gearjobs.testing.conformance.conformance_stage import ConformanceStage

#: Declares a task in a process where Django is not set up and every connection is refused.
_EARLY = """
import socket, sys
from django.conf import settings
def refuse(*_): raise AssertionError("a backend must open no socket when it is made")
socket.socket.connect = socket.socket.connect_ex = refuse
settings.configure(INSTALLED_APPS={apps!r}, DATABASES={databases!r}, TASKS={tasks!r})
from gearjobs.tasks.django_tasks import task
@task
def early(): pass
from django.apps import apps
assert not apps.ready
print(type(early).__name__)
"""
_PROCESS_TIMEOUT_S = 60.0


def module_level(context: object, word: str = "") -> None:
    """Be a function that a task can be made of."""


class DeclaringRules(ConformanceStage):
    """Rules for backends and for the tasks that are declared for them."""

    def make(self, function: Any, **options: Any) -> Task[..., Any]:
        """Return a task of the backend's own class, as the decorator makes it."""
        made: Task[..., Any] = task(**options)(function)
        return made

    def test_a_task_can_be_declared_before_django_is_set_up(self) -> None:
        databases = {alias: {"ENGINE": "django.db.backends.dummy"} for alias in settings.DATABASES}
        script = _EARLY.format(
            apps=list(settings.INSTALLED_APPS), databases=databases, tasks=_plain(self.tasks_setting)
        )
        outside = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}

        done = subprocess.run(  # noqa: S603 - this Python, with the script above
            [sys.executable, "-c", script],
            env={**outside, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=_PROCESS_TIMEOUT_S,
            check=False,
        )

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.strip(), self.backend.task_class.__name__)

    def test_the_decorator_makes_tasks_of_the_backends_class(self) -> None:
        made = self.make(module_level)

        self.assertIsInstance(made, self.backend.task_class)
        self.assertIsInstance(made, Task)
        self.assertIs(made.func, module_level)
        self.assertIs(made.get_backend(), self.backend)

    def test_using_returns_a_copy_of_the_same_class(self) -> None:
        made = self.make(module_level)

        other = made.using(queue_name="conformance")

        self.assertIs(type(other), type(made))
        self.assertEqual((made.queue_name, other.queue_name), ("default", "conformance"))
        self.assertEqual((other.name, other.module_path), (made.name, made.module_path))

    def test_tasks_can_be_compared_and_hashed(self) -> None:
        made = self.make(module_level)

        self.assertEqual(made, made.using())
        self.assertEqual(hash(made), hash(made.using()))
        self.assertNotEqual(made, made.using(queue_name="conformance"))

    @skipIf(django.VERSION < (6, 1), "tasks can be pickled from Django 6.1 on")
    def test_a_task_can_be_pickled(self) -> None:
        declared: Task[..., Any] = self.tasks.add

        copy = pickle.loads(pickle.dumps(declared.using(queue_name="conformance")))  # noqa: S301 - made just here

        self.assertIs(copy.func, declared.func)
        self.assertEqual(copy.queue_name, "conformance")

    def test_a_function_that_is_not_at_module_level_is_refused(self) -> None:
        def local() -> None:
            """Be out of reach for a worker."""

        with self.assertRaises(InvalidTask):
            self.make(local)

    def test_a_context_task_without_the_parameter_is_refused(self) -> None:
        self.assertTrue(self.make(module_level, takes_context=True).takes_context)
        with self.assertRaises(InvalidTask):
            self.make(self.tasks.add.func, takes_context=True)

    def test_a_queue_that_is_not_listed_is_refused(self) -> None:
        with self.assertRaises(InvalidTask):
            self.make(module_level, queue_name="nowhere")

    def test_a_priority_is_a_whole_number_within_its_bounds(self) -> None:
        for priority in (-101, 101, 1.5):
            with self.subTest(priority=priority), self.assertRaises(InvalidTask):
                self.make(module_level, priority=priority)

    def test_the_flag_for_priorities_is_true(self) -> None:
        if self.backend.supports_priority:
            self.assertEqual(self.make(module_level, priority=100).priority, 100)
        else:
            with self.assertRaises(InvalidTask):
                self.make(module_level, priority=1)

    def test_the_flag_for_coroutines_is_true(self) -> None:
        function = self.tasks.add_later.func
        if self.backend.supports_async_task:
            self.assertIs(self.make(function).func, function)
        else:
            with self.assertRaises(InvalidTask):
                self.make(function)

    def test_the_flag_for_delays_is_true(self) -> None:
        later = timezone.now() + timedelta(hours=1)
        if self.backend.supports_defer:
            self.assertEqual(self.make(module_level).using(run_after=later).run_after, later)
        else:
            with self.assertRaises(InvalidTask):
                self.make(module_level).using(run_after=later)

    def test_a_time_without_its_zone_is_refused(self) -> None:
        self.need("supports_defer")
        with self.settings(USE_TZ=True), self.assertRaises(InvalidTask):
            self.make(module_level).using(run_after=timezone.now().replace(tzinfo=None))

    def test_good_settings_pass_the_backends_checks(self) -> None:
        found = list(self.backend.check(app_configs=None, databases=None))

        self.assertEqual([message for message in found if message.is_serious()], [])
        self.assertTrue(all(isinstance(message, CheckMessage) for message in found))

    def test_each_thread_has_a_backend_of_its_own(self) -> None:
        found: list[BaseTaskBackend] = []
        thread = threading.Thread(target=lambda: found.append(task_backends["default"]))
        thread.start()
        thread.join(_PROCESS_TIMEOUT_S)

        self.assertIs(type(found[0]), type(self.backend))
        self.assertIsNot(found[0], self.backend)

    def test_all_backends_can_be_closed(self) -> None:
        self.assertIsNotNone(self.backend)

        task_backends.close_all()
        task_backends.close_all()


def _plain(setting: Any) -> Any:
    return {alias: dict(params) for alias, params in setting.items()}
