"""`manage.py jobs_list`: the jobs of the table, newest first, as lines for people or as JSON for programs.

With `--json` each job is one JSON object on a line of its own. Payloads, results and tracebacks are not shown: they may
be anybody's secrets, and the admin asks for a permission.
"""

from __future__ import annotations

import json
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.timesince import timesince

from gearjobs.errors import GearjobsError
from gearjobs.management.job_arguments import add_selection_arguments, count, selection_of
from gearjobs.models import Job
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.joined_jobs import follow_joined

#: What a JSON line says of a job: model fields, by their names.
_FIELDS: Final = (
    "handle", "function", "task", "queue", "unique", "status", "status_detail", "priority", "attempt", "enqueued_by",
    "enqueued_at", "run_at", "expires_at", "started_at", "last_attempted_at", "finished_at", "worker_ids", "metadata",
    "error_class", "error_message",
)  # fmt: skip


class Command(BaseCommand):
    """Lists jobs."""

    help = "List jobs, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        add_selection_arguments(parser)
        parser.add_argument("--limit", type=count, default=50, metavar="N", help="at most so many (50)")
        parser.add_argument("--json", action="store_true", help="one JSON object a line")

    def handle(self, *args: object, **options: Any) -> None:
        selection = selection_of(options)
        try:
            jobs = all_jobs() if selection.is_empty else selection.rows()
        except GearjobsError as error:
            raise CommandError(str(error)) from error
        rows = jobs.order_by("-enqueued_at", "-handle").only(*_FIELDS, "joined_to", "version")
        shown = list(rows[: options["limit"]])
        follow_joined(shown)
        for job in shown:
            self.stdout.write(_json_line(job) if options["json"] else _line(job))


def _json_line(job: Job) -> str:
    return json.dumps({name: _plain(getattr(job, name)) for name in _FIELDS}, ensure_ascii=False)


def _plain(value: Any) -> Any:
    return value.isoformat() if hasattr(value, "isoformat") else value


def _line(job: Job) -> str:
    age = timesince(job.enqueued_at, timezone.now(), depth=1).replace("\xa0", " ")
    name = job.task or job.function
    error = (
        f"  {job.error_class.rpartition('.')[2]}: {job.error_message.partition(chr(10))[0][:80]}"
        if job.error_class
        else ""
    )
    return f"{job.handle}  {job.present_detail:<9}  {age:>10} ago  {name}{error}"
