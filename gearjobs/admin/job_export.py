"""The jobs that match as CSV or JSON: what the list shows, so many as the limit says, written as they are read.

A cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP's rule), for names and messages are
whatever a peer sent. Arguments, masked, are for the permission `view_payload`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Final

from django.http import HttpRequest, StreamingHttpResponse

from gearjobs.admin.call_summaries import call_summaries
from gearjobs.models import Job
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import SIZE_LIMIT, job_page
from gearjobs.records.job_queries import all_jobs, has_permission
from gearjobs.records.joined_jobs import follow_joined

#: Jobs of an export at most, and pages looked for: a page may be empty that ended at its look's limit.
EXPORT_LIMIT: Final = 10_000
_PAGES_LIMIT: Final = 40

_COLUMNS: Final = (
    "handle", "function", "task", "queue", "priority", "status", "attempt", "enqueued_at", "started_at", "finished_at",
    "duration_s", "worker", "enqueued_by", "unique", "error_class", "error_message",
)  # fmt: skip
#: First characters that begin a formula, those of full width among them, and those that may hide one.
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_HIDING_SIGNS: Final = ("\t", "\r", "\n")


def export_jobs(request: HttpRequest, job_filter: JobFilter, kind: str) -> StreamingHttpResponse:
    """Return the file.

    Args:
        request: of whom it is for.
        job_filter: which jobs.
        kind: `csv` or `json`.
    """
    may_see_bodies = has_permission(request.user, "view_payload")
    rows = _rows(job_filter, may_see_bodies=may_see_bodies)
    if kind == "json":
        lines, content_type = _json_lines(rows), "application/json"
    else:
        columns = [*_COLUMNS, "arguments"] if may_see_bodies else [*_COLUMNS]
        lines, content_type = _csv_lines(rows, columns), "text/csv; charset=utf-8"
    answer = StreamingHttpResponse((line.encode("utf-8", "replace") for line in lines), content_type=content_type)
    answer.headers["Content-Disposition"] = f'attachment; filename="jobs.{kind}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def plain_cell(value: object) -> str:
    """Return a value as no spreadsheet takes it for a formula."""
    text = "" if value is None else str(value)
    # Numbers are written by us; only text can be anything. Spreadsheets pass over what cannot be seen.
    first = next((sign for sign in text if sign.isprintable() and not sign.isspace()), "")
    is_formula = first in _FORMULA_SIGNS or text.startswith(_HIDING_SIGNS)
    return f"'{text}" if isinstance(value, str) and is_formula else text


def _rows(job_filter: JobFilter, *, may_see_bodies: bool) -> Iterator[dict[str, Any]]:
    left, cursor = EXPORT_LIMIT, ""
    for _ in range(_PAGES_LIMIT):
        page = job_page(all_jobs(), job_filter, cursor=cursor, size=min(SIZE_LIMIT, left))
        follow_joined(page.jobs)
        summaries = call_summaries(page.jobs) if may_see_bodies and page.jobs else {}
        for job in page.jobs:
            yield _row(job) | ({"arguments": summaries.get(job.handle, "")} if may_see_bodies else {})
        left -= len(page.jobs)
        cursor = page.next_cursor
        if not cursor or left <= 0:
            return


def _row(job: Job) -> dict[str, Any]:
    times = ("enqueued_at", "started_at", "finished_at")
    plain = ("handle", "function", "task", "queue", "priority", "attempt", "enqueued_by", "unique", "error_class",
             "error_message")  # fmt: skip
    duration = job.duration
    found = {name: getattr(job, name) for name in plain}
    found |= {name: moment.isoformat() if (moment := getattr(job, name)) else None for name in times}
    found["status"] = str(job.present_detail)
    found["duration_s"] = None if duration is None else round(duration.total_seconds(), 3)
    found["worker"] = str(job.worker_ids[-1]) if job.worker_ids else ""
    return found


def _csv_lines(rows: Iterator[dict[str, Any]], columns: list[str]) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer)

    def line(cells: list[str]) -> str:
        writer.writerow(cells)
        text = buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        return text

    yield line(columns)
    for row in rows:
        yield line([plain_cell(row[name]) for name in columns])


def _json_lines(rows: Iterator[dict[str, Any]]) -> Iterator[str]:
    divider = "[\n"
    for row in rows:
        yield divider + json.dumps(row, ensure_ascii=False)
        divider = ",\n"
    yield "\n]\n" if divider != "[\n" else "[]\n"
