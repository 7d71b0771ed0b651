"""`manage.py jobs_retry`: enqueues jobs again that have ended, by handle, or failed ones that flags describe.

The work is done by `actions/retry_jobs`; here are the flags and what is said. It exits with 1 where a job was not
enqueued again.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gearjobs.actions.retry_jobs import retry_jobs
from gearjobs.errors import GearjobsError
from gearjobs.management.job_arguments import add_selection_arguments, coming_moment, count, selection_of
from gearjobs.models import JobStatus


class Command(BaseCommand):
    """Runs jobs again."""

    help = "Run failed jobs again, each as a new job with the same arguments; by handle, succeeded ones too."

    def add_arguments(self, parser: CommandParser) -> None:
        add_selection_arguments(parser)
        parser.add_argument(
            "--at", type=coming_moment, metavar="WHEN", help="not before: 2026-01-31T14:00, or 2h from now"
        )
        parser.add_argument("--limit", type=count, metavar="N", help="at most so many, the oldest first")
        parser.add_argument("--dry-run", action="store_true", help="say how many jobs are meant, and do nothing")

    def handle(self, *args: object, **options: Any) -> None:
        selection = selection_of(options)
        try:
            if options["dry_run"]:
                rows = selection.rows().exclude(finished_at=None)
                meant = (rows if selection.handles else rows.filter(status=JobStatus.FAILED)).count()
                self.stdout.write(f"{min(meant, options['limit'] or meant)} jobs would run again")
                return
            report = retry_jobs(selection, at=options["at"], limit=options["limit"], on_retried=self._tell)
        except GearjobsError as error:
            raise CommandError(str(error)) from error
        for handle, refusal in report.refusals.items():
            self.stderr.write(f"{handle}: {refusal}")
        if report.refusals:
            raise CommandError(f"{report.retried} jobs enqueued again, {len(report.refusals)} refused")
        self.stdout.write(f"{report.retried} jobs enqueued again")

    def _tell(self, handle: str, new_handle: str) -> None:
        self.stdout.write(f"{handle} -> {new_handle}")
