"""Putting a whole into the queue: the rows of all of its stages and jobs, in one transaction.

A whole goes into the table and not over the wire, since its jobs must all be there before one of them ends. What waits
for nothing is taken by a server on the nudge that follows. The `unique` of a task is not asked for here: a job that
joined another would leave its group waiting.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from gearjobs.client.client import Client
from gearjobs.core.terms import read_terms, write_terms
from gearjobs.errors import UsageError
from gearjobs.tasks.backend_lookup import GroupBackend
from gearjobs.tasks.enqueue import new_result, submission_of
from gearjobs.tasks.groups.group_result import GroupResult
from gearjobs.tasks.groups.plan import Plan, Stage, make_plan
from gearjobs.tasks.groups.signature import Chain, Group, Signature
from gearjobs.tasks.handle_source import next_handle
from gearjobs.tasks.keeping import insert_rows
from gearjobs.tasks.late_records import group_rows
from gearjobs.tasks.result import GearResult
from gearjobs.tasks.submitter import submitter

if TYPE_CHECKING:
    from gearjobs.models.job_group import JobGroup
    from gearjobs.records.groups.group_rows import NewMember


def enqueue_whole(whole: Group | Chain, *, client: Client) -> tuple[GroupResult, list[GearResult[Any]]]:
    """Insert a whole; in a transaction on the Job table's database it is part of it.

    Args:
        whole: what was put together.
        client: of the job servers to nudge.

    Returns:
        The result-to-be of the whole, and of each of its jobs.

    Raises:
        PayloadError: the arguments of a call have no JSON form; nothing was inserted.
        UsageError: a call is of a task whose backend is none of ours.
        django.db.Error: the database took nothing.
    """
    plan = make_plan(whole)
    ids = {id(stage): next_handle() for stage in [plan.root, *plan.stages]}
    rows = [_row(stage, ids, plan=plan, kind=type(whole).__name__.lower()) for stage in [plan.root, *plan.stages]]
    results: list[GearResult[Any]] = []
    members: list[NewMember] = []
    for stage in plan.stages:
        for position, call in enumerate(stage.calls):
            result = _result_of(call)
            results.append(result)
            members.append(_member(result, call, stage=ids[id(stage)], position=position))
    insert_rows(partial(group_rows.insert_whole, rows, members), client)
    return GroupResult(id=rows[0].pk, total=plan.total, created_at=timezone.now()), results


def _row(stage: Stage, ids: dict[int, str], *, plan: Plan, kind: str) -> JobGroup:
    is_root = stage is plan.root
    return group_rows.JobGroup(
        id=ids[id(stage)],
        root=ids[id(plan.root)],
        kind=group_rows.GroupKind(kind) if is_root else group_rows.GroupKind.STAGE,
        next_stage=ids[id(stage.next_stage)] if stage.next_stage is not None else "",
        released_by=ids[id(stage.released_by)] if stage.released_by is not None else "",
        place=stage.place,
        waits_for=stage.waits_for,
        gathers=stage.gathers,
        is_list=stage.is_list,
        total=plan.total if is_root else len(stage.calls),
        enqueued_by=submitter() if is_root else "",
    )


def _result_of(call: Signature) -> GearResult[Any]:
    backend = call.task.get_backend()
    if not isinstance(backend, GroupBackend):
        text = f"a group is of tasks of gearjobs' own backend, got {call.task.module_path} of {type(backend).__name__}"
        raise UsageError(text)
    backend.validate_task(call.task)
    return new_result(call.task, call.args, kwargs=call.kwargs, backend=call.task.backend)


def _member(result: GearResult[Any], call: Signature, *, stage: str, position: int) -> NewMember:
    submission = submission_of(result, is_member=True)
    terms = replace(read_terms(submission.attributes.terms), is_member=True)
    job = replace(submission, attributes=replace(submission.attributes, terms=write_terms(terms))).row()
    return group_rows.NewMember(job, stage, position, call.takes_input)
