"""The backport's signals on a Django that has tasks of its own: what is sent by Django's is sent by those, too.

Libraries that were written for the django-tasks backport connect to `django_tasks.signals`. Where a project has
`django_tasks` in INSTALLED_APPS on Django 6 or newer, its decorator makes our tasks, but nobody would send its signals.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

import django
from django.apps import apps
from django.dispatch import Signal

from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.django_tasks import task_enqueued, task_finished, task_started


def forward_signals() -> None:
    """Have the backport's signals sent for our jobs, if the project has the backport beside Django's own tasks."""
    if django.VERSION < (6, 0) or not apps.is_installed("django_tasks"):
        return
    signals = import_module("django_tasks.signals")
    for name, signal in (("enqueued", task_enqueued), ("started", task_started), ("finished", task_finished)):
        forward = partial(_forward, getattr(signals, f"task_{name}"))
        signal.connect(forward, weak=False, dispatch_uid=f"gearjobs.backport.{name}")


def _forward(to: Signal, *, sender: object, task_result: Any, **_: object) -> None:
    if isinstance(sender, type) and issubclass(sender, GearmanBackend):
        to.send_robust(sender=sender, task_result=task_result)
