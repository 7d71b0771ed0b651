"""`manage.py jobs_prune`: removes jobs that ended long enough ago, with their output and attempts.

The job server does the same by itself, as GEARJOBS["RESULTS"] says; this is for once, for other ages, and for servers
that keep results for ever. The flags are those of django-tasks' `prune_db_task_results`.
"""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandParser

from gearjobs.actions.prune_jobs import count_prunable, prune_jobs
from gearjobs.management.job_arguments import names
from gearjobs.records.retention import KeptFor, kept_for
from gearjobs.settings import gearjobs_settings

_MOST: Final = timedelta(days=36_500)


class Command(BaseCommand):
    """Removes ended jobs."""

    help = "Remove jobs that ended long enough ago, with their output and attempts."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--min-age-days",
            type=_days,
            metavar="DAYS",
            help='jobs that succeeded so long ago; GEARJOBS["RESULTS"] when not given',
        )
        parser.add_argument(
            "--failed-min-age-days",
            type=_days,
            metavar="DAYS",
            help="jobs that ended otherwise so long ago; as --min-age-days where only that is given",
        )
        parser.add_argument("--queue-name", type=names, default=(), metavar="NAMES", help="on these queues only")
        parser.add_argument("--dry-run", action="store_true", help="say how many jobs are meant, and do nothing")

    def handle(self, *args: object, **options: Any) -> None:
        kept = _kept(options["min_age_days"], options["failed_min_age_days"])
        queues = options["queue_name"]
        if options["dry_run"]:
            self.stdout.write(f"{count_prunable(kept, queues=queues)} jobs would be removed")
            return
        self.stdout.write(f"{prune_jobs(kept, queues=queues)} jobs removed")


def _kept(successful: timedelta | None, failed: timedelta | None) -> KeptFor:
    usual = kept_for(gearjobs_settings().results)
    if failed is None:
        failed = usual.failed if successful is None else successful
    return KeptFor(usual.successful if successful is None else successful, failed)


def _days(text: str) -> timedelta:
    try:
        days = timedelta(days=float(text))
    except (ValueError, OverflowError):
        days = timedelta(-1)
    # Within any calendar.
    if not timedelta(0) <= days <= _MOST:
        raise ArgumentTypeError(f"must be a number of days from 0 to {_MOST.days}, got {text!r}")
    return days
