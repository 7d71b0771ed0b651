"""`manage.py jobs_enqueue`: enqueues one call of a task from the command line, and waits for it where asked to.

It says the job's handle; with `--wait`, the value as JSON instead. It exits with 1 where the job could not be enqueued
or did not succeed, and with 2 where it did not end in time.
"""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from difflib import get_close_matches
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.core.management.base import BaseCommand, CommandError, CommandParser

from gearjobs.errors import DeadlineExceeded, GearjobsError
from gearjobs.management.job_arguments import coming_moment
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.django_tasks import TaskException
from gearjobs.tasks.rebuilt_task import find_task
from gearjobs.tasks.registry import registered_tasks
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.task import GearTask


class Command(BaseCommand):
    """Enqueues a call of a task."""

    help = "Enqueue a call of a task."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("task", metavar="TASK", help="dotted path of the task, or its Gearman function")
        parser.add_argument(
            "--args",
            dest="positional",
            type=_json_list,
            default=[],
            metavar="JSON",
            help="positional arguments, such as '[1, \"two\"]'",
        )
        parser.add_argument(
            "--kwargs",
            dest="named",
            type=_json_object,
            default={},
            metavar="JSON",
            help="keyword arguments, such as '{\"a\": 1}'",
        )
        parser.add_argument("--priority", type=int, metavar="N", help="-100 to 100, higher first (the task's)")
        parser.add_argument("--queue-name", metavar="NAME", help="the queue (the task's)")
        parser.add_argument(
            "--run-after", type=coming_moment, metavar="WHEN", help="not before: 2026-01-31T14:00, or 2h"
        )
        parser.add_argument("--unique", metavar="KEY", help="calls with the same key are one job (the task's)")
        parser.add_argument(
            "--wait", type=float, nargs="?", const=-1.0, metavar="SECONDS", help="wait for the end, so long at most"
        )

    def handle(self, *args: object, **options: Any) -> None:
        task = _find(options["task"])
        try:
            called = task.using(
                priority=options["priority"],
                queue_name=options["queue_name"],
                run_after=options["run_after"],
                unique=_as_template(options["unique"]),
            )
            result = called.enqueue(*options["positional"], **options["named"])
        except (GearjobsError, TaskException, TypeError) as error:
            raise CommandError(f"{task.module_path} was not enqueued: {error}") from error
        if options["wait"] is None:
            self.stdout.write(result.id)
        else:
            self.stdout.write(json.dumps(_wait(result, options["wait"]), ensure_ascii=False))


def _wait(result: GearResult[Any], seconds: float) -> object:
    try:
        value: object = result.wait(None if seconds < 0 else seconds)
    except DeadlineExceeded as error:
        raise CommandError(str(error), returncode=2) from error
    except (GearjobsError, TaskException) as error:
        raise CommandError(f"the job {result.id} has no result: {error}") from error
    return value


def _as_template(key: str | None) -> str | None:
    """Return the template that means just this key."""
    return None if key is None else key.replace("{", "{{").replace("}", "}}")


def _find(name: str) -> GearTask[..., Any]:
    discover_tasks()
    try:
        task = find_task(name, function=name)
    except SuspiciousOperation as error:
        raise CommandError(str(error)) from error
    if not isinstance(task, GearTask):
        paths = [one.module_path for one in registered_tasks()]
        near = get_close_matches(name, paths, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(sorted(paths)) or 'none'}"
        raise CommandError(f"there is no task {name!r}; {hint}")
    return task


def _json_list(text: str) -> list[Any]:
    value = _json(text)
    if not isinstance(value, list):
        raise ArgumentTypeError(f"must be a JSON list, got {text!r}")
    return value


def _json_object(text: str) -> dict[str, Any]:
    value = _json(text)
    if not isinstance(value, dict):
        raise ArgumentTypeError(f"must be a JSON object, got {text!r}")
    return value


def _json(text: str) -> object:
    try:
        value: object = json.loads(text)
    except ValueError as error:
        raise ArgumentTypeError(f"must be JSON: {error}; got {text!r}") from error
    return value
