"""The jobs that a test has enqueued, as they stand now.

Heard of by Django's signal `task_enqueued`, and looked up whenever they are asked for: a row that was rolled back is no
job any more, one that waits for another database's commit is none yet.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from gearjobs.core.changes import JobFailure
from gearjobs.core.jobs import JobHandle
from gearjobs.settings import gearjobs_settings
from gearjobs.stores.memory import MemoryStore
from gearjobs.tasks.django_tasks import TaskError, TaskResultStatus
from gearjobs.tasks.late_records import job_queries
from gearjobs.tasks.payload import read_result
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.stored_result import result_of
from gearjobs.testing.capturing_client import may_use_database

if TYPE_CHECKING:
    from gearjobs.models.job import Job

Result = GearResult[Any]


class SeenJobs:
    """Every job that was enqueued.

    Args:
        memory: where those are that have no row.
    """

    def __init__(self, memory: MemoryStore) -> None:
        self._memory = memory
        self._heard: list[Result] = []

    def add(self, result: Result) -> None:
        """Note a job; its enqueuing may yet be rolled back."""
        self._heard.append(result)

    def clear(self) -> None:
        """Forget all jobs."""
        self._heard.clear()

    def all(self) -> list[Result]:
        """Return the jobs there are, each as it stands, in the order in which they were enqueued."""
        rows = self._rows()
        found = (self._as_it_stands(result, rows.get(result.id)) for result in self._heard)
        return [result for result in found if result is not None]

    def unfinished(self) -> list[Result]:
        """Return the jobs that have not ended."""
        return [result for result in self.all() if not result.is_finished]

    def _rows(self) -> dict[str, Job]:
        alias = gearjobs_settings().database
        if not self._heard or not may_use_database(alias):
            return {}
        return job_queries.all_jobs(using=alias).in_bulk([result.id for result in self._heard])

    def _as_it_stands(self, enqueued: Result, row: Job | None) -> Result | None:
        result = copy(enqueued)
        if row is not None:
            result.take_over(result_of(row, backend=enqueued.backend))
            return result
        handle = JobHandle(enqueued.id.encode())
        if (finished := self._memory.finished.get(handle)) is not None:
            failure = finished.failure
            result.change(
                status=TaskResultStatus.SUCCESSFUL if failure is None else TaskResultStatus.FAILED,
                status_detail=finished.outcome.value,
                errors=[] if failure is None else [_task_error(failure)],
                _return_value=read_result(finished.result) if failure is None else None,
            )
            return result
        return result if handle in self._memory.unowned or handle in self._memory.unfinished else None


def _task_error(failure: JobFailure) -> TaskError:
    return TaskError(exception_class_path=failure.class_path, traceback=failure.traceback)
