"""`manage.py jobs_cancel`: cancels jobs by handle, or those that flags describe.

The work is done by `actions/cancel_jobs`; here are the flags and what is said. It exits with 1 where a job that was
named does not exist, or is at a server that did not answer.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gearjobs.actions.cancel_jobs import CancelReport, cancel_jobs
from gearjobs.errors import GearjobsError
from gearjobs.management.job_arguments import add_selection_arguments, count, selection_of
from gearjobs.tasks.job_control import CancelOutcome

#: What is said of so many jobs with a outcome.
_WORDS = {
    CancelOutcome.CANCELLED: "cancelled",
    CancelOutcome.ASKED: "running and told to stop",
    CancelOutcome.ENDED: "had ended already",
    CancelOutcome.UNKNOWN: "unknown",
    CancelOutcome.UNREACHABLE: "at a job server that did not answer",
}


class Command(BaseCommand):
    """Cancels jobs."""

    help = "Cancel jobs: waiting ones at once; running ones are told to stop, or ended with --force."

    def add_arguments(self, parser: CommandParser) -> None:
        add_selection_arguments(parser)
        parser.add_argument("--limit", type=count, metavar="N", help="at most so many, the oldest first")
        parser.add_argument(
            "--force", action="store_true", help="end running jobs at once, if need be with their processes"
        )
        parser.add_argument("--reason", default="", metavar="TEXT", help="why, for the records of the jobs")
        parser.add_argument("--dry-run", action="store_true", help="say how many jobs are meant, and do nothing")

    def handle(self, *args: object, **options: Any) -> None:
        selection = selection_of(options)
        try:
            if options["dry_run"]:
                meant = selection.rows().filter(finished_at=None).count()
                self.stdout.write(f"{min(meant, options['limit'] or meant)} unfinished jobs would be cancelled")
                return
            report = cancel_jobs(
                selection,
                force=options["force"],
                reason=options["reason"],
                limit=options["limit"],
                on_outcome=self._teller(options["verbosity"]),
            )
        except GearjobsError as error:
            raise CommandError(str(error)) from error
        self._say(report)

    def _teller(self, verbosity: int) -> Any:
        def tell(handle: str, outcome: CancelOutcome) -> None:
            if verbosity > 1:
                self.stdout.write(f"{handle} {_WORDS[outcome]}")

        return tell

    def _say(self, report: CancelReport) -> None:
        said = ", ".join(f"{number} {_WORDS[outcome]}" for outcome, number in report.counts.items() if number)
        if not report.is_complete:
            raise CommandError(f"not all jobs could be cancelled: {said}")
        self.stdout.write(said or "no unfinished job matches")
