"""Calls of tasks as jobs: what is submitted of them, and their results-to-be.

The arguments become a payload, the task's options the job's unique and terms. Where the jobs are kept is decided in
`keeping`. A call that joins a live job of the same unique gets that one's id.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils import timezone

from gearjobs.client.client import Client
from gearjobs.core.terms import NO_TERMS, write_terms
from gearjobs.errors import PartlyRefused, ServerError
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.tasks.django_tasks import Task, TaskResultStatus
from gearjobs.tasks.function_names import function_of
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.job_terms import terms_of, unique_of
from gearjobs.tasks.keeping import NewSubmission, keep
from gearjobs.tasks.parent_job import parent_metadata
from gearjobs.tasks.payload import encode_call
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.stock_notice import tell_of_stock_server
from gearjobs.tasks.submitter import submitter
from gearjobs.tasks.task import options_of

#: The positional and the keyword arguments of a call.
Call = tuple[Sequence[object], Mapping[str, object]]


def enqueue_calls(
    task: Task[..., Any], calls: Iterable[Call], *, backend: str, client: Client
) -> list[GearResult[Any]]:
    """Submit calls of a task, all in one go, and return their results-to-be in order.

    Args:
        task: a validated task.
        calls: the arguments of each.
        backend: alias of the enqueuing backend.
        client: of the job servers to use.

    Raises:
        PayloadError: arguments have no JSON form; nothing was submitted.
        UsageError: a key cannot be made of the arguments; nothing was submitted.
        UniqueConflict: the only job's unique is taken, and the task wants to know.
        ServerError: the job server refused the only job.
        PartlyRefused: the job server refused some of many; it carries the results of the others, which are kept.
        ServerUnavailable: neither a job server nor the database could keep them.
    """
    results = [new_result(task, args, kwargs=kwargs, backend=backend) for args, kwargs in calls]
    submissions = [submission_of(result) for result in results]
    outcomes = keep(submissions, client)
    tell_of_stock_server(submissions, outcomes, client=client)
    refusals = [outcome for outcome in outcomes if isinstance(outcome, ServerError)]
    if refusals:
        kept = [
            None if isinstance(outcome, ServerError) else result
            for result, outcome in zip(results, outcomes, strict=True)
        ]
        raise refusals[0] if len(results) == 1 else PartlyRefused(refusals, kept)
    for result, outcome in zip(results, outcomes, strict=True):
        if outcome != result.id:
            result.change(id=outcome)
    return results


def new_result(
    task: Task[..., Any], args: Sequence[object], *, kwargs: Mapping[str, object], backend: str
) -> GearResult[Any]:
    """Return the result-to-be of a call, under a new handle."""
    return GearResult(
        task=task,
        id=next_handle(),
        status=TaskResultStatus.READY,
        enqueued_at=timezone.now(),
        started_at=None,
        finished_at=None,
        last_attempted_at=None,
        # Made JSON, and so copied, by the result itself.
        args=list(args),
        kwargs=dict(kwargs),
        backend=backend,
        errors=[],
        worker_ids=[],
        status_detail="scheduled" if _run_at(task) > time.time() else "waiting",
        metadata={**options_of(task).metadata, **parent_metadata()},
    )


def submission_of(result: GearResult[Any], *, is_member: bool = False) -> NewSubmission:
    """Return what is to be kept of a call.

    Args:
        result: the call's result-to-be.
        is_member: whether it belongs to a group: it then has no unique, for a group would wait for another's job.

    Raises:
        PayloadError: the arguments have no JSON form.
        UsageError: a key cannot be made of them.
    """
    task = result.task
    run_at = _run_at(task)
    terms = terms_of(task, result.args, kwargs=result.kwargs, starts_at=max(run_at, time.time()))
    return NewSubmission(
        handle=result.id,
        function=function_of(task).encode(),
        # Where a stock gearmand has the job, its attempts are counted in the payload.
        payload=encode_call(result.args, result.kwargs, attempt=1 if options_of(task).max_attempts > 1 else 0),
        unique=b"" if is_member else unique_of(task, result.args, kwargs=result.kwargs).encode(),
        attributes=SubmitAttributes(
            priority=task.priority,
            run_at=run_at,
            task=task.module_path,
            queue=task.queue_name,
            backend=result.backend,
            enqueued_by=submitter(),
            metadata=result.metadata,
            terms={} if terms is NO_TERMS else write_terms(terms),
        ),
    )


def _run_at(task: Task[..., Any]) -> float:
    return task.run_after.timestamp() if task.run_after else 0.0
