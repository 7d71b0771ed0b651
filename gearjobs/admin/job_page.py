"""The page of one job: which sections it has, and what stands in each field.

The fields are functions that Django's admin calls as read-only fields; a job that has not failed has no section for
the error, and without the permission `view_payload` there is neither payload nor result nor traceback nor metadata on
the page. The story tells what happened when; pieces of HTML are `job_cells`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from gearjobs.actions.enqueue_again import COPY_OF
from gearjobs.admin.attempt_list import attempt_list
from gearjobs.admin.job_cells import (
    EMPTY,
    code,
    duration_text,
    exact_time,
    output_line,
    peer_text,
    progress_bar,
    status_badge,
    text_block,
)
from gearjobs.admin.json_tree import body_tree
from gearjobs.admin.screen_links import failure_link, group_link, job_link, jobs_link, queue_link
from gearjobs.admin.traceback_block import traceback_block
from gearjobs.models import Job, JobMember, JobStatus, StatusDetail
from gearjobs.records.failures.failure_queries import all_groups
from gearjobs.records.job_attempts import may_have_attempts
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.job_control import RETRY_OF

#: Pieces of output shown.
SHOWN_PIECES: Final = 100

#: A field of the page: the name of a model's field, or a function of the job.
PageField = str | Callable[[Job], SafeString | str]


def page_sections(job: Job, *, may_see_bodies: bool) -> list[tuple[str | None, list[PageField]]]:
    """Return the headings of a job's page and the fields under each.

    Args:
        job: whose page it is.
        may_see_bodies: whether payload, result, output, traceback and metadata are shown.
    """
    names = [_TASK] if job.task == job.function else [_FUNCTION, *([_TASK] if job.task else [])]
    sections: list[tuple[str | None, list[PageField]]] = [(None, [_STATE, *names, _HANDLE, _PROGRESS, _STORY])]
    if job.status == JobStatus.FAILED:
        traceback = [_TRACEBACK] if may_see_bodies and job.error_traceback else []
        # What failed before there were groups, or long ago, has none.
        has_group = bool(job.fingerprint) and all_groups().filter(pk=job.fingerprint).exists()
        group = [_FAILURE] if has_group else []
        heading = _("Cause of death") if job.status_detail == StatusDetail.DEAD else _("Error")
        sections.append((heading, [_ERROR_CLASS, _ERROR_MESSAGE, *group, *traceback]))
    if may_have_attempts(job):
        sections.append((_("Attempts before"), [_ATTEMPTS if may_see_bodies else _ATTEMPTS_IN_SHORT]))
    sections.append((_("Payload and result"), [_PAYLOAD, _RESULT, _OUTPUT] if may_see_bodies else [_HIDDEN]))
    optional: list[tuple[PageField, object]] = [
        (_QUEUE, job.queue), (_UNIQUE, job.unique), (_JOINED, job.joined_to), (_ORIGIN, _origin_of(job)),
        (_AGAIN, job.retried_as),
        (_CANCEL_REASON, job.cancel_reason), ("expires_at", job.expires_at),
        (_TERMS, job.terms), (_REDUCER, job.reducer), (_METADATA, may_see_bodies and job.metadata),
    ]  # fmt: skip
    sections.append((_("Details"), ["priority", _GROUP, *(field for field, value in optional if value)]))
    sections.append((_("Server and workers"), ["attempt", "crashes", "lost", _WORKERS, _OWNER, "version"]))
    return sections


def _field(label: Any, show: Callable[[Job], SafeString | str]) -> PageField:
    return admin.display(show, description=label)


def _show_story(job: Job) -> SafeString:
    lines = format_html_join("", "<li><b>{}</b> {}</li>", _story_lines(job))
    return format_html('<ol class="gearjobs-story">{}</ol>', lines)


def _show_output(job: Job) -> SafeString | str:
    pieces = job.outputs.using(gearjobs_settings().database).order_by("sequence")[: SHOWN_PIECES + 1]
    lines = [(output_line(piece),) for piece in pieces[:SHOWN_PIECES]]
    if not lines:
        return EMPTY
    more = format_html("<li>{}</li>", _("… and more")) if len(pieces) > SHOWN_PIECES else ""
    return format_html('<ol class="gearjobs-output">{}{}</ol>', format_html_join("", "{}", lines), more)


def _show_json(value: object) -> SafeString | str:
    return text_block(json.dumps(value, indent=2, ensure_ascii=False))


def _show_workers(job: Job) -> SafeString | str:
    workers = [str(worker) for worker in job.worker_ids]
    return format_html_join(", ", "{}", ((_linked(jobs_link(worker=one), one),) for one in workers)) or EMPTY


def _linked(url: str, name: str) -> SafeString | str:
    return format_html('<a href="{}">{}</a>', url, code(name)) if url and name else code(name)


def _show_group(job: Job) -> SafeString | str:
    rows = JobMember.objects.using(gearjobs_settings().database).filter(job=job.handle)
    root = rows.values_list("stage__root", flat=True).first()
    if root is None:
        return EMPTY
    return _linked(group_link(root), root)


def _show_failure(job: Job) -> SafeString | str:
    return format_html('<a href="{}">{}</a>', failure_link(job.fingerprint or ""), _("All that failed so"))


def _origin_of(job: Job) -> str:
    """Return the handle of the job that this one does the work of again, or is a copy of."""
    known = job.metadata if isinstance(job.metadata, dict) else {}
    return next((str(known[name]) for name in (RETRY_OF, COPY_OF) if known.get(name)), "")


def _show_origin(job: Job) -> SafeString | str:
    handle = _origin_of(job)
    return _linked(job_link(handle), handle)


def _show_hidden(job: Job) -> str:
    return _("Payload, result, traceback and metadata are shown to those with the permission “view_payload”.")


def _story_lines(job: Job) -> list[tuple[str, str]]:
    """Return what happened when, the oldest first."""
    lines = [(job.enqueued_at, _("enqueued") + _submitter(job))]
    if job.run_at is not None:
        lines.append((job.run_at, _("due")))
    if job.started_at is not None:
        waited = duration_text(job.started_at - max(job.enqueued_at, job.run_at or job.enqueued_at))
        lines.append((job.started_at, _("started, after waiting %(time)s") % {"time": waited}))
    if job.last_attempted_at is not None and job.last_attempted_at != job.started_at:
        words = _("started again, attempt %(number)s") % {"number": job.attempt}
        lines.append((job.last_attempted_at, words))
    if job.cancel_asked_at is not None:
        because = f": {job.cancel_reason}" if job.cancel_reason else ""
        lines.append((job.cancel_asked_at, _("told to stop") + because))
    if job.finished_at is not None:
        words = str(job.present_detail.label)
        if job.duration is not None:
            words += _(", after running %(time)s") % {"time": duration_text(job.duration)}
        lines.append((job.finished_at, words))
    # Of one moment in the order of cause and effect.
    return [(exact_time(at), words) for at, words in sorted(lines, key=lambda line: line[0])]


def _submitter(job: Job) -> str:
    if not job.enqueued_by:
        return ""
    try:
        user = get_user_model()._default_manager.filter(pk=job.enqueued_by).first()
    except (ValidationError, ValueError):
        user = None
    return _(" by %(user)s") % {"user": user or job.enqueued_by}


# The fields are made once: Django compares them.
_STATE = _field(gettext_lazy("state"), status_badge)
_FUNCTION = _field(gettext_lazy("function"), lambda job: _linked(queue_link(job.function), job.function))
_TASK = _field(gettext_lazy("task"), lambda job: _linked(queue_link(job.function), job.task))
_HANDLE = _field(gettext_lazy("handle"), lambda job: code(job.handle))
_PROGRESS = _field(gettext_lazy("progress"), progress_bar)
_STORY = _field(gettext_lazy("story"), _show_story)
_ERROR_CLASS = _field(gettext_lazy("class"), lambda job: code(job.error_class))
_ERROR_MESSAGE = _field(gettext_lazy("message"), lambda job: text_block(job.error_message))
_TRACEBACK = _field(gettext_lazy("traceback"), lambda job: traceback_block(job.error_traceback, identity="job"))
_PAYLOAD = _field(gettext_lazy("payload"), lambda job: body_tree(job.payload, identity="payload"))
_RESULT = _field(gettext_lazy("result"), lambda job: body_tree(job.result, identity="result"))
_OUTPUT = _field(gettext_lazy("output"), _show_output)
_HIDDEN = _field(gettext_lazy("hidden"), _show_hidden)
_QUEUE = _field(gettext_lazy("queue"), lambda job: peer_text(job.queue))
_UNIQUE = _field(gettext_lazy("unique id"), lambda job: code(job.unique))
_REDUCER = _field(gettext_lazy("reducer"), lambda job: code(job.reducer))
_METADATA = _field(gettext_lazy("metadata"), lambda job: _show_json(job.metadata))
_TERMS = _field(gettext_lazy("terms"), lambda job: _show_json(job.terms))
_JOINED = _field(gettext_lazy("done by the job"), lambda job: _linked(job_link(job.joined_to), job.joined_to))
_ORIGIN = _field(gettext_lazy("does again the job"), _show_origin)
_AGAIN = _field(gettext_lazy("run again as"), lambda job: _linked(job_link(job.retried_as), job.retried_as))
_GROUP = _field(gettext_lazy("group"), _show_group)
_FAILURE = _field(gettext_lazy("failure"), _show_failure)
_CANCEL_REASON = _field(gettext_lazy("why it was cancelled"), lambda job: peer_text(job.cancel_reason))
_ATTEMPTS = _field(gettext_lazy("attempts"), lambda job: attempt_list(job, has_tracebacks=True))
_ATTEMPTS_IN_SHORT = _field(gettext_lazy("attempts"), lambda job: attempt_list(job, has_tracebacks=False))
_WORKERS = _field(gettext_lazy("workers"), _show_workers)
_OWNER = _field(gettext_lazy("job server"), lambda job: code(job.owner) if job.owner else _("none yet"))
