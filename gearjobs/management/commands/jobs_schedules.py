"""`manage.py jobs_schedules`: the schedules with their next runs; pausing them, letting them go on, running them now.

    manage.py jobs_schedules
    manage.py jobs_schedules nightly-report --disable
    manage.py jobs_schedules nightly-report --run-now

Times are shown in each schedule's own zone. With `--json` each schedule is one JSON object on a line of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from gearjobs.actions.pause_schedules import pause_schedules, resume_schedules
from gearjobs.actions.run_schedule import run_schedule
from gearjobs.errors import UsageError
from gearjobs.models import Schedule
from gearjobs.tasks.schedules.saved_schedules import all_schedules, next_runs
from gearjobs.tasks.schedules.schedule_words import state_words, when_words


class Command(BaseCommand):
    """Lists, pauses, resumes and runs schedules."""

    help = "List schedules with their next runs, pause them, let them go on, or run them now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("keys", nargs="*", metavar="KEY", help="only these schedules (all)")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--enable", action="store_true", help="let them fire from their next due time on")
        what.add_argument("--disable", action="store_true", help="let them fire no more until they are enabled")
        what.add_argument("--run-now", action="store_true", help="enqueue a job of each, and show its handle")
        parser.add_argument("--next", type=int, default=3, metavar="N", help="show so many of the next runs (3)")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: object, **options: Any) -> None:
        schedules = self._chosen(options["keys"])
        if (options["enable"] or options["disable"] or options["run_now"]) and not options["keys"]:
            raise CommandError("name the schedules that are meant: jobs_schedules KEY --enable")
        try:
            if options["enable"]:
                resume_schedules(schedules)
            elif options["disable"]:
                pause_schedules(schedules)
            elif options["run_now"]:
                self._run(schedules)
                return
        except UsageError as error:
            raise CommandError(str(error)) from error
        for schedule in schedules:
            self.stdout.write(
                _json_line(schedule, options["next"]) if options["json"] else _lines(schedule, options["next"])
            )

    def _chosen(self, keys: Sequence[str]) -> list[Schedule]:
        found = all_schedules().order_by("key")
        if not keys:
            return list(found)
        schedules = {schedule.key: schedule for schedule in found.filter(key__in=keys)}
        unknown = [key for key in keys if key not in schedules]
        if unknown:
            known = ", ".join(found.values_list("key", flat=True)[:20]) or "none"
            raise CommandError(f"there is no schedule {unknown[0]!r}; there are: {known}")
        return [schedules[key] for key in dict.fromkeys(keys)]

    def _run(self, schedules: list[Schedule]) -> None:
        for schedule in schedules:
            self.stdout.write(f"{schedule.key}  {run_schedule(schedule)}")


def _next_runs(schedule: Schedule, count: int) -> list[str]:
    if not schedule.is_active:
        return []
    return [run.isoformat(sep=" ", timespec="seconds") for run in next_runs(schedule, count, after=_now_s())]


def _now_s() -> float:
    return timezone.now().timestamp()


def _lines(schedule: Schedule, count: int) -> str:
    lines = [f"{schedule.key}  {schedule.task}  {when_words(schedule)}  ({state_words(schedule)})"]
    try:
        lines += [f"  {run}" for run in _next_runs(schedule, count)]
    except UsageError as error:
        lines.append(f"  {error}")
    return "\n".join(lines)


def _json_line(schedule: Schedule, count: int) -> str:
    last = schedule.last_fired_at
    try:
        runs, problem = _next_runs(schedule, count), ""
    except UsageError as error:
        runs, problem = [], str(error)
    said = {
        "key": schedule.key,
        "task": schedule.task,
        "args": schedule.args,
        "kwargs": schedule.kwargs,
        "cron": schedule.cron,
        "interval_s": schedule.interval_s,
        "time_zone": schedule.time_zone,
        "source": schedule.source,
        "is_active": schedule.is_active,
        "next_runs": runs,
        "last_fired_at": None if last is None else last.isoformat(),
        "last_job": schedule.last_handle,
        "problem": problem,
    }
    return json.dumps(said, ensure_ascii=False)
