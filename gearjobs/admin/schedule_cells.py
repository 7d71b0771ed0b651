"""What the schedule screens show that is no column: a schedule in words, its next runs, what became of the last ones.

Times are the reader's, but for the next runs, which also stand in the schedule's own time zone: there the wall clock is
what was meant. A job's page is linked to without asking whether the job is still there.
"""

from __future__ import annotations

import datetime
import json
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from gearjobs.admin.job_cells import EMPTY, age, badge, code
from gearjobs.admin.screen_links import job_link
from gearjobs.errors import UsageError
from gearjobs.models import RunOutcome, Schedule, ScheduleRun
from gearjobs.tasks.masked_calls import masked_arguments
from gearjobs.tasks.schedules.saved_schedules import all_runs, next_runs
from gearjobs.tasks.schedules.schedule_words import state_words, when_words

#: Next runs on a schedule's page.
SHOWN_NEXT: Final = 5
#: Latest runs on a schedule's page.
SHOWN_RUNS: Final = 20

_KINDS: Final[dict[str, str]] = {
    RunOutcome.FIRED: "good",
    RunOutcome.BY_HAND: "good",
    RunOutcome.JOINED: "waiting",
    RunOutcome.OVERLAPPED: "warning",
    RunOutcome.MISSED: "warning",
}


def name_text(schedule: Schedule) -> SafeString:
    """Return the key, and below it the task where the key does not say it."""
    if schedule.key == schedule.task:
        return format_html("{}", schedule.key)
    return format_html('{} <span class="gearjobs-below quiet">{}</span>', schedule.key, schedule.task)


def state_badge(schedule: Schedule) -> SafeString:
    """Return whether a schedule fires."""
    return badge(state_words(schedule), "good" if schedule.is_active else "waiting")


def when_text(schedule: Schedule) -> SafeString:
    """Return when it runs, in words and as it was written."""
    words = when_words(schedule)
    if not schedule.cron:
        return format_html("{}", words)
    return format_html('{} <span class="gearjobs-below">{}</span>', words, code(schedule.cron))


def args_text(schedule: Schedule) -> SafeString | str:
    """Return the arguments by place, secrets masked."""
    args, _kwargs = masked_arguments(schedule.args, schedule.kwargs, task=schedule.task)
    return code(json.dumps(args, ensure_ascii=False))


def kwargs_text(schedule: Schedule) -> SafeString | str:
    """Return the arguments by name, secrets masked."""
    _args, kwargs = masked_arguments(schedule.args, schedule.kwargs, task=schedule.task)
    return code(json.dumps(kwargs, ensure_ascii=False))


def next_run_text(schedule: Schedule) -> SafeString | str:
    """Return the next run, for a list."""
    if not schedule.is_active or schedule.next_due_at is None:
        return EMPTY
    return format_html(
        '<time datetime="{}">{}</time>', schedule.next_due_at.isoformat(), moment_text(schedule.next_due_at)
    )


def next_runs_list(schedule: Schedule) -> SafeString | str:
    """Return the next runs in the schedule's own zone, and in the reader's where that is another."""
    if not schedule.is_active:
        return _("none while it is paused") if schedule.withdrawn_at is None else _("none")
    try:
        runs = next_runs(schedule, SHOWN_NEXT, after=timezone.now().timestamp())
    except UsageError as error:
        return str(error)
    lines = format_html_join("", "<li>{}{}</li>", ((_shown(run), _shown_here(run)) for run in runs))
    jitter = _("each up to %(seconds)s s later") % {"seconds": schedule.jitter_s} if schedule.jitter_s else ""
    return format_html('<ol class="gearjobs-story">{}</ol><span class="quiet">{}</span>', lines, jitter)


def last_run_text(schedule: Schedule) -> SafeString | str:
    """Return the last run, with a way to its job."""
    if schedule.last_fired_at is None:
        return EMPTY
    return format_html("{} {}", age(schedule.last_fired_at), linked_job(schedule.last_handle, _("job")))


def runs_table(schedule: Schedule) -> SafeString | str:
    """Return what became of the latest due times."""
    runs = all_runs().filter(schedule=schedule).order_by("-due_at")[:SHOWN_RUNS]
    rows = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", map(_run_cells, runs))
    if not rows:
        return EMPTY
    return format_html(
        '<table class="gearjobs-table"><thead><tr><th scope="col">{}</th><th scope="col">{}</th>'
        '<th scope="col">{}</th><th scope="col">{}</th></tr></thead><tbody>{}</tbody></table>',
        _("Due"),
        _("What happened"),
        _("Job"),
        _("By"),
        rows,
    )


def linked_job(handle: str, words: str) -> SafeString | str:
    """Return a link to a job's page, which the job may have left by now."""
    url = job_link(handle) if handle else ""
    return format_html('<a href="{}">{}</a>', url, words) if url else (words if handle else "")


def moment_text(moment: datetime.datetime) -> str:
    """Return a moment to the second, in the reader's time zone."""
    return _text(timezone.localtime(moment) if timezone.is_aware(moment) else moment)


def _run_cells(run: ScheduleRun) -> tuple[str, SafeString, SafeString | str, str]:
    label = badge(str(RunOutcome(run.outcome).label), _KINDS[run.outcome])
    return moment_text(run.due_at), label, linked_job(run.handle, run.handle), run.decided_by


def _shown(run: datetime.datetime) -> str:
    return f"{_text(run)} {run.tzname()}"


def _shown_here(run: datetime.datetime) -> SafeString | str:
    here = timezone.localtime(run)
    if here.utcoffset() == run.utcoffset():
        return ""
    return format_html(' <span class="quiet">({} {})</span>', _text(here), here.tzname() or "")


def _text(moment: datetime.datetime) -> str:
    return f"{date_format(moment, 'D')} {date_format(moment, 'DATE_FORMAT')}, {moment:%H:%M:%S}"
