"""The attempts of a job that did not end it, as a list on the job's page: who ran it, for how long, how it went.

The run that ended the job, or that goes on, is told by the rest of the page. Tracebacks are for those with the
permission `view_payload`, and folded.
"""

from __future__ import annotations

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.admin.job_cells import EMPTY, badge, code, duration_text, exact_time, peer_text
from gearjobs.admin.traceback_block import traceback_block
from gearjobs.models import Job, JobAttempt
from gearjobs.records.job_attempts import attempts_of


def attempt_list(job: Job, *, has_tracebacks: bool) -> SafeString | str:
    """Return the list.

    Args:
        job: whose attempts.
        has_tracebacks: whether their tracebacks are shown.
    """
    lines = [(_line(attempt, has_tracebacks=has_tracebacks),) for attempt in attempts_of(job)]
    return format_html('<ol class="gearjobs-attempts">{}</ol>', format_html_join("", "{}", lines)) if lines else EMPTY


def _line(attempt: JobAttempt, *, has_tracebacks: bool) -> SafeString:
    traceback: SafeString | str = ""
    if has_tracebacks and attempt.error_traceback:
        identity = f"attempt-{attempt.number}"
        block = traceback_block(attempt.error_traceback, identity=identity)
        summary = _("Traceback")
        traceback = format_html('<details id="{}"><summary>{}</summary>{}</details>', identity, summary, block)
    return format_html(
        '<li value="{}">{} {} {} {}: {}{}</li>',
        attempt.number,
        badge(str(attempt.get_outcome_display()), "bad"),
        _times(attempt),
        code(attempt.worker_id) if attempt.worker_id else "",
        code(attempt.error_class),
        peer_text(attempt.error_message),
        traceback,
    )


def _times(attempt: JobAttempt) -> SafeString:
    when = exact_time(attempt.ended_at)
    if attempt.started_at is None:
        return format_html('<span class="quiet">{}</span>', when)
    took = _("after %(time)s") % {"time": duration_text(attempt.ended_at - attempt.started_at)}
    return format_html('<span class="quiet">{} {}</span>', when, took)
