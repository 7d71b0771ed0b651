"""How a whole goes on when jobs of it end: counted, and what waited for them released or ended.

Called in the transaction that commits the outcomes, so that a job is released exactly when what comes before it is
kept, by whichever job server that happens on; the counters' row locks put several servers in a row. A stage is over
when all of its jobs succeeded. Then what it hands its results to may begin: its jobs get them, lose their blocked
owner, and are adopted like any job that a client inserted. A stage with a failed job never is: what waits for it,
directly or not, ends as cancelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.db import connections
from django.db.models import F, QuerySet
from django.utils import timezone

from gearjobs.errors import JobCancelled, UsageError
from gearjobs.models import BLOCKED_OWNER, Job, JobGroup, JobMember, JobStatus, StatusDetail
from gearjobs.records.failures.fingerprint import failure_kind
from gearjobs.records.groups.group_values import ValueUnfit, input_of, with_input
from gearjobs.records.rows.column_values import BodyLimit
from gearjobs.records.sessions.store_session import statement_limit_bytes

#: Handles named, and rows written, in one statement.
_AT_ONCE: Final = 200
#: Bytes of payloads from which on a statement has no further row: each may have a long value before it.
_BYTES_AT_ONCE: Final = 262_144


@dataclass(slots=True)
class _Ended:
    """Jobs of one stage that have ended."""

    succeeded: int = 0
    failed: int = 0


class GroupAdvance:
    """One step of the groups whose jobs have ended.

    Args:
        alias: the database of the job table, with a transaction open.
    """

    def __init__(self, alias: str) -> None:
        self._alias = alias
        #: Jobs that ended by what was done here, still to be counted.
        self._pending: dict[str, _Ended] = {}

    def jobs_ended(self, handles: Sequence[str]) -> None:
        """Count jobs whose rows say how they ended, and let their groups go on."""
        for some in _chunks(handles):
            members = self._members().filter(job__in=some)
            for stage, status in members.values_list("stage_id", "job__status"):
                self._note(stage, succeeded=int(status == JobStatus.SUCCESSFUL), failed=int(status == JobStatus.FAILED))
        self._settle()

    def jobs_gone(self, handles: Sequence[str]) -> None:
        """Count jobs as failed whose rows were deleted unfinished, so that their groups do not wait for them."""
        for some in _chunks(handles):
            members = self._members().filter(job__in=some)
            for stage in list(members.values_list("stage_id", flat=True)):
                self._note(stage, failed=1)
            members.delete()
        self._settle()

    def begin_empty(self, stages: Iterable[JobGroup]) -> None:
        """Let stages go on that have no jobs and wait for nothing: groups of nothing."""
        for stage in stages:
            self._complete(stage)
        self._settle()

    def end_blocked(self, root: str, reason: str) -> int:
        """End every job of a whole that has not been released; return how many there were."""
        count = 0
        for stage in self._stages().filter(root=root).exclude(pk=root).order_by("pk"):
            count += self._end_blocked(stage.pk, reason)
        self._settle()
        return count

    def _settle(self) -> None:
        while self._pending:
            ended, self._pending = self._pending, {}
            self._count(ended)

    def _note(self, stage: str, *, succeeded: int = 0, failed: int = 0) -> None:
        noted = self._pending.setdefault(stage, _Ended())
        noted.succeeded += succeeded
        noted.failed += failed

    def _count(self, ended: dict[str, _Ended]) -> None:
        # In one order everywhere, so that no two servers wait for each other.
        for pk in sorted(ended):
            self._add(pk, ended[pk])
        stages = {stage.pk: stage for stage in self._stages().filter(pk__in=list(ended))}
        wholes: dict[str, _Ended] = {}
        for pk, stage in stages.items():
            whole = wholes.setdefault(stage.root, _Ended())
            whole.succeeded += ended[pk].succeeded
            whole.failed += ended[pk].failed
        for stage in stages.values():
            if ended[stage.pk].failed:
                self._void(stage)
            elif stage.succeeded >= stage.total:
                self._complete(stage)
        for root in sorted(wholes):
            self._add(root, wholes[root])
            self._finish(root)

    def _add(self, pk: str, ended: _Ended) -> None:
        counters = {"succeeded": F("succeeded") + ended.succeeded, "failed": F("failed") + ended.failed}
        self._stages().filter(pk=pk).update(**counters)

    def _finish(self, root: str) -> None:
        whole = self._stages().filter(pk=root, finished_at=None, total__lte=F("succeeded") + F("failed"))
        whole.update(finished_at=timezone.now())

    def _complete(self, stage: JobGroup) -> None:
        """The stage has all of its results: let begin what waited for no more than that."""
        waiting = [stage.next_stage] if stage.next_stage else []
        waiting += self._stages().filter(released_by=stage.pk).order_by("pk").values_list("pk", flat=True)
        for pk in waiting:
            self._stages().filter(pk=pk).update(waits_for=F("waits_for") - 1)
            follower = self._stages().get(pk=pk)
            if follower.waits_for > 0:
                continue
            if pk == follower.root:
                self._finish(pk)
            elif follower.total:
                self._release(follower)
            else:
                self._complete(follower)

    def _release(self, stage: JobGroup) -> None:
        try:
            value = input_of(stage, alias=self._alias)
        except ValueUnfit as unfit:
            self._end_blocked(stage.pk, str(unfit), error=UsageError)
            return
        limit = BodyLimit(statement_limit_bytes(connections[self._alias]))
        for some in _chunks(list(self._blocked(stage.pk).order_by("handle").values_list("handle", flat=True))):
            self._release_some(some, value, limit=limit)

    def _release_some(self, handles: Sequence[str], value: bytes | None, *, limit: BodyLimit) -> None:
        takes_input = dict(self._members().filter(job__in=handles).values_list("job_id", "takes_input"))
        # Locked, since somebody may be cancelling the whole at this moment.
        blocked = self._jobs().filter(pk__in=handles, owner=BLOCKED_OWNER, finished_at=None).order_by("pk")
        freed: list[Job] = []
        freed_bytes = 0
        for job in blocked.select_for_update().only("handle", "payload", "run_at", "version"):
            if value is not None and takes_input[job.pk] and not self._give(job, value, limit=limit):
                continue
            freed.append(job)
            freed_bytes += len(job.payload)
            if freed_bytes >= _BYTES_AT_ONCE:
                self._free(freed)
                freed, freed_bytes = [], 0
        self._free(freed)

    def _give(self, job: Job, value: bytes, *, limit: BodyLimit) -> bool:
        """Put the value into the job's call, or end the job where that cannot be; return whether it could."""
        try:
            call = with_input(bytes(job.payload), value)
        except ValueUnfit as unfit:
            reason = str(unfit)
        else:
            if not limit.is_exceeded(call):
                job.payload = call
                return True
            reason = f"a call of {len(call)} bytes, with the results before it, is too long for the database"
        self._end_jobs([job.pk], reason, error=UsageError)
        self._note(self._members().get(job=job.pk).stage_id, failed=1)
        return False

    def _free(self, jobs: Sequence[Job]) -> None:
        now = timezone.now()
        for job in jobs:
            is_later = job.run_at is not None and job.run_at > now
            job.owner, job.version = "", job.version + 1
            job.status_detail = StatusDetail.SCHEDULED if is_later else StatusDetail.WAITING
        self._jobs().bulk_update(jobs, ["payload", "owner", "status_detail", "version"])

    def _void(self, stage: JobGroup) -> None:
        """End what can never begin, because a job of this stage failed."""
        reached, found = {stage.root}, [stage]
        while found:
            one = found.pop()
            followers = self._stages().filter(pk=one.next_stage) if one.next_stage else self._stages().none()
            for follower in [*followers, *self._stages().filter(released_by=one.pk)]:
                if follower.pk not in reached:
                    reached.add(follower.pk)
                    found.append(follower)
                    self._end_blocked(follower.pk, f"a job before it failed, in stage {stage.pk}")

    def _end_blocked(self, stage: str, reason: str, *, error: type[Exception] = JobCancelled) -> int:
        handles = list(self._blocked(stage).order_by("handle").values_list("handle", flat=True))
        count = sum(self._end_jobs(some, reason, error=error) for some in _chunks(handles))
        if count:
            self._note(stage, failed=count)
        return count

    def _end_jobs(self, handles: Sequence[str], reason: str, *, error: type[Exception]) -> int:
        detail, fingerprint = StatusDetail.CANCELLED, None
        columns = {"error_class": f"{error.__module__}.{error.__qualname__}", "error_message": reason}
        if error is not JobCancelled:
            # It has no group, for nothing of the function ran; lists of failures find it by this.
            detail, fingerprint = StatusDetail.FAILED, failure_kind("", columns).fingerprint
        return (
            self._jobs()
            .filter(pk__in=handles, owner=BLOCKED_OWNER, finished_at=None)
            .update(
                status=JobStatus.FAILED,
                status_detail=detail,
                finished_at=timezone.now(),
                fingerprint=fingerprint,
                owner="",
                **columns,
                version=F("version") + 1,
            )
        )

    def _blocked(self, stage: str) -> QuerySet[Job]:
        return self._jobs().filter(membership__stage=stage, owner=BLOCKED_OWNER, finished_at=None)

    def _jobs(self) -> QuerySet[Job]:
        return Job.objects.using(self._alias).all()

    def _stages(self) -> QuerySet[JobGroup]:
        return JobGroup.objects.using(self._alias).all()

    def _members(self) -> QuerySet[JobMember]:
        return JobMember.objects.using(self._alias).all()


def _chunks(handles: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(handles), _AT_ONCE):
        yield handles[start : start + _AT_ONCE]
