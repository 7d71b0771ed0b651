"""The backport django-tasks beside Django's own tasks, as projects have it whose libraries still use the backport."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import django
import pytest

from gearjobs import GearTask
from gearjobs.tasks.backport_signals import forward_signals
from gearjobs.tasks.django_tasks import task_enqueued
from tests.architecture.source_tree import ROOT
from tests.support.few_tasks import multiply
from tests.support.task_settings import GEARMAN

needs_both = pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has tasks of its own from 6.0 on")

#: Hears of a task by the backport's signals.
SCRIPT = """
import django
from django.conf import settings
settings.configure(
    SECRET_KEY="x",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_tasks", "gearjobs"],
    TASKS={"default": {"BACKEND": "gearjobs.tasks.backend.GearmanBackend", "QUEUES": []}},
)
django.setup()
from django_tasks.signals import task_enqueued, task_finished, task_started
for signal in (task_enqueued, task_started, task_finished):
    signal.connect(lambda sender, task_result, **_: print(sender.__name__, task_result.status), weak=False)
from gearjobs.testing import JobCapture
from tests.support.few_tasks import add
with JobCapture() as capture, capture.immediate():
    add.enqueue(1, 2)
"""


@needs_both
def test_decorator_of_the_backport_makes_our_tasks(settings):
    settings.TASKS = GEARMAN

    assert isinstance(import_module("django_tasks").task(multiply), GearTask)


@needs_both
def test_signals_of_the_backport_are_sent_too():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, cwd=ROOT, timeout=60)

    assert done.stdout.split() == [
        "GearmanBackend",
        "READY",
        "GearmanBackend",
        "RUNNING",
        "GearmanBackend",
        "SUCCESSFUL",
    ]


def test_project_without_the_backport_has_nothing_forwarded():
    before = len(task_enqueued.receivers)

    forward_signals()

    assert len(task_enqueued.receivers) == before
