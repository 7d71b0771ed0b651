"""What became of a whole: how far it is, its value, its jobs; waiting for it and cancelling it.

A GroupResult holds the counters of the whole's row as they were when it was last read; the jobs' own results are read
when they are asked for. It is found again by its id from any process, as a job's result is.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ObjectDoesNotExist
from django.db import connections
from django.db.models import F

from gearjobs.errors import DeadlineExceeded, JobFailed, UsageError
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.django_tasks import TaskResultDoesNotExist, TaskResultStatus
from gearjobs.tasks.job_control import CancelOutcome, cancel_one, project_client
from gearjobs.tasks.late_records import group_rows
from gearjobs.tasks.payload import decode_value
from gearjobs.tasks.result import GearResult, Progress
from gearjobs.tasks.stored_result import result_of
from gearjobs.tasks.waiting import pauses, value_of


@dataclass(slots=True, kw_only=True)
class GroupResult:
    """A group, a chain or a chord that was enqueued."""

    #: Of the whole; `GroupResult.get(id)` finds it again.
    id: str
    #: How many jobs it has.
    total: int
    #: How many of them have succeeded.
    succeeded: int = 0
    #: How many have ended otherwise, or were never started because of those.
    failed: int = 0
    created_at: datetime | None = None
    #: When the last job ended.
    finished_at: datetime | None = None

    @classmethod
    def get(cls, group_id: str) -> GroupResult:
        """Return the result of a whole by its id.

        Raises:
            TaskResultDoesNotExist: there is none.
        """
        found = cls(id=group_id, total=0)
        found.refresh()
        return found

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None

    @property
    def status(self) -> TaskResultStatus:
        """The state of the whole, in the words of django.tasks; FAILED as soon as it cannot succeed any more."""
        if self.failed:
            return TaskResultStatus.FAILED
        if self.is_finished:
            return TaskResultStatus.SUCCESSFUL
        return TaskResultStatus.RUNNING if self.succeeded else TaskResultStatus.READY

    @property
    def progress(self) -> Progress:
        """How many of the jobs have ended."""
        return Progress(self.succeeded + self.failed, self.total)

    @property
    def return_value(self) -> Any:
        """The value of the whole: of a group the list of its parts', of a chain its last part's.

        Raises:
            ValueError: it has none, or not yet.
        """
        if not (self.is_finished and self.status == TaskResultStatus.SUCCESSFUL):
            raise ValueError(f"the group {self.id} has no value: it is {self.status}")
        return decode_value(group_rows.whole_value(group_rows.get_whole(self.id)), what="the value of a group")

    @property
    def results(self) -> list[GearResult[Any]]:
        """The results of all of its jobs as they are now, stage by stage."""
        return [result_of(job, backend=job.backend) for job in group_rows.jobs_of(self.id)]

    def refresh(self) -> None:
        """Read the counters again.

        Raises:
            TaskResultDoesNotExist: there is no such whole, or no longer.
        """
        try:
            row = group_rows.get_whole(self.id)
        except ObjectDoesNotExist:
            raise TaskResultDoesNotExist(self.id) from None
        self.total, self.succeeded, self.failed = row.total, row.succeeded, row.failed
        self.created_at, self.finished_at = row.created_at, row.finished_at

    async def arefresh(self) -> None:
        """See `refresh`."""
        await sync_to_async(self.refresh, thread_sensitive=True)()

    def wait(self, timeout: float | None = None) -> Any:
        """Wait until the whole has ended and return its value.

        Args:
            timeout: seconds; None waits for ever.

        Raises:
            JobError: a job failed or was cancelled; the class says how the first of them ended.
            DeadlineExceeded: it did not end in time.
            UsageError: it has not ended, and this is a transaction, which would never see it end.
        """
        for pause_s in pauses(timeout):
            if self._look():
                return self._value()
            time.sleep(pause_s)
        self.refresh()
        if not self.is_finished:
            raise DeadlineExceeded(f"the group {self.id} did not end within {timeout} s")
        return self._value()

    async def await_(self, timeout: float | None = None) -> Any:  # noqa: ASYNC109 - the twin of `wait`
        """See `wait`; other coroutines go on meanwhile."""
        look = sync_to_async(self._look, thread_sensitive=True)
        for pause_s in pauses(timeout):
            if await look():
                break
            await asyncio.sleep(pause_s)
        return await sync_to_async(self.wait, thread_sensitive=True)(0)

    def cancel(self, *, force: bool = False) -> int:
        """End all of it: what has not started never does, what runs is told to stop.

        Args:
            force: end running jobs at once.

        Returns:
            How many jobs have ended by it or were told.
        """
        count = group_rows.end_blocked(self.id, "the group was cancelled")
        client = project_client()
        live = group_rows.jobs_of(self.id).filter(finished_at=None).values_list("handle", flat=True)
        verdicts = [cancel_one(handle, client=client, force=force) for handle in live]
        return count + sum(verdict in (CancelOutcome.CANCELLED, CancelOutcome.ASKED) for verdict in verdicts)

    def _look(self) -> bool:
        """Read the counters again, and tell whether the whole has ended."""
        self.refresh()
        if not self.is_finished and connections[gearjobs_settings().database].in_atomic_block:
            raise UsageError(f"the group {self.id} cannot be waited for in a transaction; wait after the commit")
        return self.is_finished

    def _value(self) -> Any:
        if self.failed:
            # One that ran is why those did not that waited for it; the first of several.
            order = (F("started_at").asc(nulls_last=True), "finished_at")
            failed = group_rows.jobs_of(self.id).filter(status="FAILED").order_by(*order).first()
            if failed is not None:
                value_of(result_of(failed, backend=failed.backend))
            raise JobFailed(f"{self.failed} of {self.total} jobs of the group {self.id} failed")
        return self.return_value
