"""Carries a bulk operation out, portion by portion: which job is next says the page after the last one.

A portion is done, and then the row says so: whoever goes on after a crash may do the last portion once more, which
does nothing a second time, since no job is run again, cancelled or deleted twice. That an operation was stopped is
seen between two portions. Whoever asked for it was checked then (`actions/bulk_operation`); the filter says no more
than they may touch.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from gearjobs.client.client import Client
from gearjobs.errors import ServerUnavailable, UsageError
from gearjobs.models import BulkOperation, BulkState, BulkVerb, JobStatus
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import job_page
from gearjobs.records.job_queries import all_jobs
from gearjobs.records.retention import remove_ended
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.job_control import CancelOutcome, cancel_one, project_client, retry_rows

logger = logging.getLogger("gearjobs.actions")

#: Jobs dealt with at once, by verb.
AT_ONCE: Final = {BulkVerb.RETRY: 20, BulkVerb.CANCEL: 50, BulkVerb.DELETE: 100}
#: How long an operation is left to whoever gave no sign of life meanwhile.
ABANDONED_AFTER: Final = timedelta(seconds=60)
#: Longest error that is kept.
_ERROR_LIMIT: Final = 2_000


@dataclass(slots=True)
class _Portion:
    """What became of some jobs."""

    done: int = 0
    refused: int = 0


def claim_operation(runner: str) -> BulkOperation | None:
    """Take on the operation that waits longest, or was abandoned; None where there is none."""
    operations = _operations()
    now = timezone.now()
    abandoned = Q(state=BulkState.RUNNING, beat_at__lt=now - ABANDONED_AFTER)
    for operation in operations.filter(Q(state=BulkState.WAITING) | abandoned).order_by("asked_at", "pk")[:5]:
        same = operations.filter(pk=operation.pk, state=operation.state, beat_at=operation.beat_at)
        if same.update(state=BulkState.RUNNING, runner=runner, beat_at=now):
            return operations.get(pk=operation.pk)
    return None


def run_portion(operation: BulkOperation) -> bool:
    """Do the next portion, and say so in the row; return whether there is more to do.

    Nothing is done where the operation was stopped, or is another's by now: that one would do the same once more.

    Raises:
        django.db.Error: the portion may have been done or not; it is tried again.
        ServerUnavailable: no job server answered; the portion is tried again.
    """
    if not _own(operation).update(beat_at=timezone.now()):
        return False
    page = job_page(
        all_jobs().filter(meant_by(BulkVerb(operation.verb), operation.cut_off_at)),
        replace(JobFilter.from_json(operation.filter), enqueued_before=_cut_off(operation)),
        cursor=operation.reached,
        size=AT_ONCE[BulkVerb(operation.verb)],
    )
    handles = [job.handle for job in page.jobs]
    portion = _VERBS[BulkVerb(operation.verb)](handles, project_client()) if handles else _Portion()
    return _note(operation, portion, reached=page.next_cursor)


def fail_operation(operation: BulkOperation, error: Exception) -> None:
    """Let the operation end with an error."""
    text = f"{type(error).__name__}: {error}"[:_ERROR_LIMIT]
    logger.error("cannot carry out operation=%s error=%s", operation.pk, text)
    _own(operation).update(state=BulkState.FAILED, error=text, finished_at=timezone.now())


def _note(operation: BulkOperation, portion: _Portion, *, reached: str) -> bool:
    """Say in the row what was done; return whether it goes on."""
    now = timezone.now()
    told = _own(operation).update(
        done=F("done") + portion.done,
        refused=F("refused") + portion.refused,
        reached=reached,
        beat_at=now,
        **({} if reached else {"state": BulkState.DONE, "finished_at": now}),
    )
    if not told:
        # It was stopped meanwhile: what was done is counted all the same.
        stopped = _operations().filter(pk=operation.pk, state=BulkState.STOPPED)
        stopped.update(done=F("done") + portion.done, refused=F("refused") + portion.refused)
    operation.reached = reached
    return bool(told and reached)


def _operations() -> QuerySet[BulkOperation]:
    return BulkOperation.objects.using(gearjobs_settings().database)


def _own(operation: BulkOperation) -> QuerySet[BulkOperation]:
    return _operations().filter(pk=operation.pk, state=BulkState.RUNNING, runner=operation.runner)


def _cut_off(operation: BulkOperation) -> datetime:
    before = JobFilter.from_json(operation.filter).enqueued_before
    return operation.cut_off_at if before is None else min(before, operation.cut_off_at)


def meant_by(verb: BulkVerb, cut_off_at: datetime) -> Q:
    """Return which jobs a verb can be done to."""
    if verb is BulkVerb.CANCEL:
        return Q(finished_at=None)
    if verb is BulkVerb.DELETE:
        return Q(finished_at__isnull=False)
    # Those that ended later failed once more.
    return Q(status=JobStatus.FAILED, finished_at__lte=cut_off_at, retried_as="")


def _retry(handles: Sequence[str], client: Client) -> _Portion:
    jobs = list(all_jobs().filter(pk__in=handles, finished_at__isnull=False).order_by("enqueued_at", "handle"))
    fit = [job for job in jobs if not job.reducer and not job.retried_as]
    outcomes = retry_rows(fit, client=client)
    refused = sum(isinstance(outcome, UsageError) for outcome in outcomes)
    return _Portion(len(fit) - refused, refused + len(jobs) - len(fit))


def _cancel(handles: Sequence[str], client: Client) -> _Portion:
    portion = _Portion()
    for handle in handles:
        outcome = cancel_one(handle, client=client)
        if outcome is CancelOutcome.UNREACHABLE:
            raise ServerUnavailable(f"the server that has the job {handle} does not answer")
        portion.done += outcome in {CancelOutcome.CANCELLED, CancelOutcome.ASKED}
        portion.refused += outcome is CancelOutcome.UNKNOWN
    return portion


def _delete(handles: Sequence[str], client: Client) -> _Portion:
    removed = remove_ended(gearjobs_settings().database, handles)
    return _Portion(removed, len(handles) - removed)


_VERBS: Final[dict[BulkVerb, Callable[[Sequence[str], Client], _Portion]]] = {
    BulkVerb.RETRY: _retry,
    BulkVerb.CANCEL: _cancel,
    BulkVerb.DELETE: _delete,
}
