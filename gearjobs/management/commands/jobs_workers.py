"""`manage.py jobs_workers`: shows the workers of the job servers, or tells some of them something.

`jobs_workers` lists what every worker last said of itself; `jobs_workers quiet NAME*` and its like are
`actions/control_workers`. It exits with 1 where nobody was told, or a job server refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from gearjobs.actions.control_workers import WORKER_VERBS, control_workers
from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import GearjobsError
from gearjobs.protocol.admin_text import WorkerReportLine
from gearjobs.protocol.wire_text import to_text
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.site_security import site_security

_COLUMNS = ("WORKER", "STATE", "SINCE", "GROUP", "PID", "HOST", "RSS", "DONE", "FAILED", "VERSION")


class Command(BaseCommand):
    """Shows workers, or tells them something."""

    help = "List the workers of the job servers, or tell some of them to take no jobs, to take them again, or to end."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "verb", nargs="?", choices=WORKER_VERBS, help="what to tell them; without it they are listed"
        )
        parser.add_argument("names", nargs="*", metavar="NAME", help="a worker's name, or a beginning and *")

    def handle(self, *args: object, **options: Any) -> None:
        if options["verb"] is None:
            self._list()
            return
        if not options["names"]:
            raise CommandError(f"which workers are to {options['verb']}? Name them, or say '*' for all.")
        try:
            told = sum(control_workers(name, options["verb"]) for name in options["names"])
        except GearjobsError as error:
            raise CommandError(str(error)) from error
        if not told:
            raise CommandError(f"no worker is called {' or '.join(options['names'])}")
        self.stdout.write(f"{told} told to {options['verb']}")

    def _list(self) -> None:
        rows = [_COLUMNS, *sorted(set(_rows()))]
        widths = [max(len(row[place]) for row in rows) for place in range(len(_COLUMNS))]
        for row in rows:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _rows() -> Iterator[tuple[str, ...]]:
    """Yield a row for every worker, several times where it is at several servers."""
    answers = 0
    complaint = ""
    for server in gearjobs_settings().servers:
        try:
            with AdminClient(server, security=site_security()) as client:
                yield from map(_row, client.worker_reports())
            answers += 1
        except GearjobsError as error:
            complaint = str(error)
    if not answers:
        raise CommandError(complaint)


def _row(line: WorkerReportLine) -> tuple[str, ...]:
    report = line.report
    return (
        to_text(line.client_id),
        report.state,
        f"{max(0.0, time.time() - report.since):.0f} s",
        report.group,
        str(report.pid),
        report.host,
        f"{report.rss_bytes / 1024**2:.0f} MiB",
        str(report.jobs_done),
        str(report.jobs_failed),
        report.version,
    )
