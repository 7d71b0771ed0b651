"""The rows of a whole: put into the table at once, read, and cancelled.

Groups are always inserted by their client, never sent over the wire: all of their jobs must be there before one of them
ends. As any inserted job, those that wait for nothing are adopted by a server on a nudge or its next look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db import transaction
from django.db.models import QuerySet

from gearjobs.models import BLOCKED_OWNER, GroupKind, Job, JobGroup, JobMember, StatusDetail
from gearjobs.records.groups.advance import GroupAdvance
from gearjobs.records.groups.group_values import value_of
from gearjobs.records.job_queries import NewJob, new_row
from gearjobs.records.sessions.writing_transaction import in_writing_transaction
from gearjobs.settings import gearjobs_settings

__all__ = [
    "GroupKind", "JobGroup", "NewMember", "end_blocked", "get_whole", "insert_whole", "jobs_of",
    "whole_value",
]  # fmt: skip

#: Rows of one statement.
_AT_ONCE: Final = 500


@dataclass(slots=True)
class NewMember:
    """A job that belongs to a stage."""

    job: NewJob
    #: Id of its stage.
    stage: str
    #: The place of its result among its stage's.
    position: int
    #: Whether it is given what comes before its stage.
    takes_input: bool


def insert_whole(stages: Sequence[JobGroup], members: Sequence[NewMember], *, using: str | None = None) -> None:
    """Insert a whole with its jobs, as part of the transaction that is open on that database, if one is.

    Args:
        stages: the root and every stage.
        members: every job.
        using: alias of the database, where it is not that of the settings.

    Raises:
        TermsError: a job's terms cannot be read; nothing was inserted.
        django.db.Error: as any insert may; then nothing was inserted.
    """
    alias = using or gearjobs_settings().database
    blocked = {stage.pk for stage in stages if stage.waits_for}
    rows = [_row(member, is_blocked=member.stage in blocked) for member in members]
    links = [
        JobMember(job_id=one.job.handle, stage_id=one.stage, position=one.position, takes_input=one.takes_input)
        for one in members
    ]
    with transaction.atomic(using=alias):
        JobGroup.objects.using(alias).bulk_create(stages, batch_size=_AT_ONCE)
        Job.objects.using(alias).bulk_create(rows, batch_size=_AT_ONCE)
        JobMember.objects.using(alias).bulk_create(links, batch_size=_AT_ONCE)
        empty = [stage for stage in stages if not stage.total and not stage.waits_for and stage.pk != stage.root]
        if empty:
            GroupAdvance(alias).begin_empty(empty)


def get_whole(root: str, *, using: str | None = None) -> JobGroup:
    """Return the root of a whole by its id.

    Raises:
        JobGroup.DoesNotExist: there is no such whole, or no longer.
    """
    alias = using or gearjobs_settings().database
    return JobGroup.objects.using(alias).get(pk=root, root=root)


def jobs_of(root: str, *, using: str | None = None) -> QuerySet[Job]:
    """Return the jobs of a whole, in the order of their stages' making."""
    alias = using or gearjobs_settings().database
    jobs = Job.objects.using(alias).filter(membership__stage__root=root)
    return jobs.order_by("membership__stage", "membership__position")


def whole_value(whole: JobGroup, *, using: str | None = None) -> bytes:
    """Return the JSON of what a whole that succeeded gave.

    Raises:
        ValueUnfit: a result is deleted already, or has no JSON form.
    """
    return value_of(whole, alias=using or gearjobs_settings().database)


def end_blocked(root: str, reason: str, *, using: str | None = None) -> int:
    """End the jobs of a whole that wait for others; return how many there were."""
    alias = using or gearjobs_settings().database
    return in_writing_transaction(alias, lambda: GroupAdvance(alias).end_blocked(root, reason))


def _row(member: NewMember, *, is_blocked: bool) -> Job:
    row = new_row(member.job)
    if is_blocked:
        row.owner, row.status_detail = BLOCKED_OWNER, StatusDetail.BLOCKED
    return row
