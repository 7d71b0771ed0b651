"""Finding the tasks of a project: the `tasks` module of every installed application, and `gearman_jobs`.

The second name is django-gearman's, for projects that come from there. Only what needs all tasks asks for them: worker
processes, system checks, and a reader of a result whose task this process has not seen. Web processes import the tasks
they enqueue by themselves.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any, Final

from django.apps import apps
from django.utils.module_loading import autodiscover_modules

from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.task import GearTask

#: Modules of an application that may declare tasks.
MODULE_NAMES: Final = ("tasks", "gearman_jobs")


@cache
def discover_tasks() -> None:
    """Import the modules with tasks of every installed application, once for the process."""
    autodiscover_modules(*MODULE_NAMES)


def plain_tasks() -> list[Task[..., Any]]:
    """Return the tasks in the applications' modules that are no GearTasks: another backend's declarations."""
    names = [f"{app.name}.{module}" for app in apps.get_app_configs() for module in MODULE_NAMES]
    found = [value for name in names if name in sys.modules for value in vars(sys.modules[name]).values()]
    return [value for value in found if isinstance(value, Task) and not isinstance(value, GearTask)]
