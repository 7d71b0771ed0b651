"""How long ended jobs stay in the table, and their removal: bounded work at a time, the oldest first.

A sweep goes once through the jobs that ended long enough ago, page by page along the index of their ends, so that no
statement looks at more rows than a page has, however many jobs are kept. What is removed goes with its output and its
attempts, in one transaction a page; a page that took long, for bodies may be large, is followed by a shorter one.
Unfinished jobs are never touched, nor jobs of groups that go on (`groups/old_groups`). Who sweeps when is `pruning`'s
and `actions/prune_jobs`'s business.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connections, transaction
from django.utils import timezone

from gearjobs.models import Job, JobOutput, JobStatus
from gearjobs.records.groups.old_groups import GroupSweep, members_needed
from gearjobs.settings import ResultSettings, gearjobs_settings

#: Rows looked at, and at most removed, at once: at first, at least, and at most.
FIRST_ROWS, LEAST_ROWS, MOST_ROWS = 32, 8, 256
#: Seconds of a page below which the next one may be twice as long, and above which it is a quarter: on SQLite nobody
#: else can write meanwhile.
_QUICK_S, _SLOW_S = 0.03, 0.1
_LEAST: Final = datetime.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class KeptFor:
    """How long ended jobs stay; None for ever."""

    successful: datetime.timedelta | None
    #: Any end but success.
    failed: datetime.timedelta | None


def kept_for(settings: ResultSettings) -> KeptFor:
    """Return what GEARJOBS["RESULTS"] says."""
    return KeptFor(_span(settings.successful_days), _span(settings.failed_days))


def _span(days: float) -> datetime.timedelta | None:
    return datetime.timedelta(days=days) if days else None


@dataclass(slots=True)
class _Ended:
    """A job that has ended."""

    handle: str
    finished_at: datetime.datetime
    status: str
    queue: str


class Sweep:
    """Goes once through the jobs that ended long enough ago.

    Args:
        kept: how long they stay.
        queues: jobs of these queues only; of any where none is named.
        using: alias of the database, where it is not that of the settings.
    """

    def __init__(self, kept: KeptFor, *, queues: Sequence[str] = (), using: str | None = None) -> None:
        now = timezone.now()
        spans = {JobStatus.SUCCESSFUL: kept.successful, JobStatus.FAILED: kept.failed}
        #: When a job must have ended to go, by its status.
        self._ended_before = {status.value: now - span for status, span in spans.items() if span is not None}
        self._queues = frozenset(queues)
        self._alias = using or gearjobs_settings().database
        self._position: datetime.datetime | None = None
        self._rows = FIRST_ROWS
        self._has_jobs = bool(self._ended_before)
        self._groups: GroupSweep | None = None
        if len(self._ended_before) == len(spans) and not queues:
            # A whole may have jobs of either end.
            self._groups = GroupSweep(self._alias, min(self._ended_before.values()))

    @property
    def is_over(self) -> bool:
        """Whether everything was looked at."""
        return not self._has_jobs and (self._groups is None or self._groups.is_over)

    def step(self) -> int:
        """Remove what is to go of the next page; return how many jobs that were."""
        began_at = time.monotonic()
        removed = 0
        if self._has_jobs:
            removed = self._remove_jobs()
        elif self._groups is not None:
            self._groups.step(self._rows)
        self._adapt(time.monotonic() - began_at)
        return removed

    def _remove_jobs(self) -> int:
        page = self._page()
        self._has_jobs = len(page) == self._rows
        removed = remove_ended(self._alias, [row.handle for row in page if self._is_to_go(row)])
        if page:
            latest = page[-1].finished_at
            # Many jobs may have ended at once: where none of a whole page goes, nor do the rest of them.
            self._position = latest + _LEAST if latest == self._position and not removed else latest
        return removed

    def _adapt(self, took_s: float) -> None:
        if took_s < _QUICK_S:
            self._rows = min(MOST_ROWS, self._rows * 2)
        elif took_s > _SLOW_S:
            self._rows = max(LEAST_ROWS, self._rows // 4)

    def count(self) -> int:
        """Return how many jobs are to go, without bound and without removing any."""
        jobs = Job.objects.using(self._alias)
        if self._queues:
            jobs = jobs.filter(queue__in=self._queues)
        return sum(
            jobs.filter(status=status, finished_at__lt=end).count() for status, end in self._ended_before.items()
        )

    def _page(self) -> list[_Ended]:
        jobs = Job.objects.using(self._alias).filter(finished_at__lt=max(self._ended_before.values()))
        if self._position is not None:
            jobs = jobs.filter(finished_at__gte=self._position)
        # In the index's order alone: whatever is named besides might have to be sorted.
        rows = jobs.order_by("finished_at").values_list("handle", "finished_at", "status", "queue")
        # None of them is null, as the condition says.
        return [_Ended(*row) for row in rows[: self._rows]]  # type: ignore[arg-type]  # likewise

    def _is_to_go(self, job: _Ended) -> bool:
        end = self._ended_before.get(job.status)
        return end is not None and job.finished_at < end and (not self._queues or job.queue in self._queues)


def remove_ended(alias: str, handles: Sequence[str]) -> int:
    """Remove those of the jobs that have ended, with all that belongs to them, in one transaction; return how many.

    Jobs of groups that go on stay.
    """
    if not handles:
        return 0
    needed = members_needed(alias, handles)
    handles = [handle for handle in handles if handle not in needed]
    with transaction.atomic(using=alias):
        ended = Job.objects.using(alias).filter(pk__in=handles, finished_at__isnull=False)
        # Of several servers that sweep each takes what no other has. SQLite must not read before it writes.
        if connections[alias].features.has_select_for_update_skip_locked:
            handles = list(ended.select_for_update(skip_locked=True).values_list("pk", flat=True))
        JobOutput.objects.using(alias).filter(job__in=handles).delete()
        # Django deletes what else belongs to them, and reads what it deletes: not the bodies.
        ended.filter(pk__in=handles).only("pk").delete()
    return len(handles)
