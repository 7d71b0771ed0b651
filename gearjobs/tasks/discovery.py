"""Finding the tasks of a project: the `tasks` module of every installed application.

Only what needs all tasks asks for it: worker processes, and a reader of a result whose task this process has not seen.
Web processes import the tasks they enqueue by themselves.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import Any

from django.apps import apps
from django.utils.module_loading import autodiscover_modules

from gearjobs.tasks.django_tasks import Task
from gearjobs.tasks.task import GearTask


@cache
def discover_tasks() -> None:
    """Import the `tasks` module of every installed application, once for the process."""
    autodiscover_modules("tasks")


def plain_tasks() -> list[Task[..., Any]]:
    """Return the tasks in the applications' `tasks` modules that are no GearTasks: another backend's declarations."""
    names = [f"{app.name}.tasks" for app in apps.get_app_configs()]
    found = [value for name in names if name in sys.modules for value in vars(sys.modules[name]).values()]
    return [value for value in found if isinstance(value, Task) and not isinstance(value, GearTask)]
