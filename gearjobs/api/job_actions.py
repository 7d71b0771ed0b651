"""What is done to one job by a verb of its own: cancel, retry, run now, duplicate.

Who may not read a job does not find it; who may read it needs the permission of the verb besides, also for their own.
What the verbs do is `gearjobs.actions`'s. A job that does another one's work again is named in `Location`. Changes and
deletion are `job_item`'s.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.cancel_jobs import cancel_jobs
from gearjobs.actions.change_jobs import run_job_now
from gearjobs.actions.enqueue_again import duplicate_job
from gearjobs.actions.job_selection import JobSelection
from gearjobs.actions.retry_jobs import retry_jobs
from gearjobs.api.accepted import accepted_job
from gearjobs.api.call_schemas import checked_call
from gearjobs.api.described import described
from gearjobs.api.job_views import JobEndpoint
from gearjobs.api.problems import Problem
from gearjobs.errors import ServerUnavailable
from gearjobs.models import Job
from gearjobs.records.job_queries import has_permission
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.job_control import CancelOutcome
from gearjobs.tasks.payload import decode_call
from gearjobs.tasks.registry import task_at
from gearjobs.tasks.task import GearTask

#: What the keys of metadata begin with that say where a job comes from.
RESERVED_METADATA = "gearjobs."


class AcceptedSerializer(serializers.Serializer[Any]):
    """A job that was enqueued."""

    id = serializers.CharField()
    url = serializers.URLField()
    status_url = serializers.URLField()


class CancelRequestSerializer(serializers.Serializer[Any]):
    """How a job is to be cancelled."""

    force = serializers.BooleanField(default=False, help_text="End a running one at once.")
    reason = serializers.CharField(default="", allow_blank=True, max_length=500)


class CancelAnswerSerializer(serializers.Serializer[Any]):
    """What became of it."""

    id = serializers.CharField()
    outcome = serializers.ChoiceField(["cancelled", "asked"], help_text="`asked`: it runs, and was told to stop.")


class JobCancel(JobEndpoint):
    """Ends a job."""

    verbs: ClassVar = {"POST": ("cancel_job",)}

    @described("Cancel a job", takes=CancelRequestSerializer, answers={202: CancelAnswerSerializer},
               problems=(400, 404, 409, 503))  # fmt: skip
    def post(self, request: Request, handle: str) -> Response:
        """Answer 202 where it was cancelled or told to stop, 409 where it had ended."""
        job = self.find(handle, "payload", "result", "error_traceback")
        asked = read_body_of(CancelRequestSerializer, request)
        if job.joined_to and not self.one(job.joined_to).exists():
            detail = _("the job %(handle)s shares its work with another user's job, which only that one may cancel") % {
                "handle": job.handle
            }
            raise Problem(409, detail, name="not-possible", job=job.handle)
        outcomes: list[CancelOutcome] = []
        cancel_jobs(
            JobSelection(handles=(job.joined_to or job.handle,)),
            user=request.user,
            force=asked["force"],
            reason=asked["reason"],
            on_outcome=lambda _, outcome: outcomes.append(outcome),
        )
        outcome = outcomes[0] if outcomes else CancelOutcome.UNKNOWN
        if outcome is CancelOutcome.UNREACHABLE:
            raise ServerUnavailable(f"the job {job.handle} is at a job server that did not answer")
        if outcome in {CancelOutcome.ENDED, CancelOutcome.UNKNOWN}:
            raise Problem(409, _("the job had ended"), name="job-ended", job=job.handle)
        return Response({"id": job.handle, "outcome": str(outcome)}, status=202)


class RetryRequestSerializer(serializers.Serializer[Any]):
    """When a job is to run again."""

    at = serializers.DateTimeField(
        default=None, allow_null=True, help_text="The earliest start; at once when not given."
    )


class JobRetry(JobEndpoint):
    """Enqueues a job again that has ended."""

    verbs: ClassVar = {"POST": ("retry_job",)}

    @described("Run a job again that has ended", takes=RetryRequestSerializer, answers={202: AcceptedSerializer},
               problems=(400, 404, 409, 503))  # fmt: skip
    def post(self, request: Request, handle: str) -> Response:
        """Answer 202 with the new job, 409 where the old one has not ended, or is run again already."""
        job = self.find(handle, "payload", "result", "error_traceback")
        asked = read_body_of(RetryRequestSerializer, request)
        made: list[str] = []
        report = retry_jobs(
            JobSelection(handles=(job.handle,)),
            user=request.user,
            at=asked["at"],
            on_retried=lambda _, new_handle: made.append(new_handle),
        )
        if not made:
            refusal = next(iter(report.refusals.values()), "the job is gone")
            retried_as = self.one(handle).values_list("retried_as", flat=True).first()
            if retried_as:
                raise Problem(409, refusal, name="run-again-already", job=retried_as)
            raise Problem(409, refusal, name="not-possible", job=job.handle)
        return accepted_job(request, made[0])


class JobRunNow(JobEndpoint):
    """Runs a job that waits for its time."""

    verbs: ClassVar = {"POST": ("retry_job", "cancel_job")}

    @described("Run a scheduled job now", takes=None, answers={202: AcceptedSerializer}, problems=(404, 409, 503))
    def post(self, request: Request, handle: str) -> Response:
        """Answer 202 with the job, 409 where it does not wait for a time."""
        job = self.find(handle, "payload", "result", "error_traceback")
        run_job_now(job, user=request.user)
        return accepted_job(request, job.handle)


class DuplicateRequestSerializer(serializers.Serializer[Any]):
    """What the copy has of its own."""

    args = serializers.ListField(child=serializers.JSONField(allow_null=True), default=None, allow_null=True)
    kwargs = serializers.DictField(child=serializers.JSONField(allow_null=True), default=None, allow_null=True)
    priority = serializers.IntegerField(default=None, allow_null=True, min_value=-100, max_value=100)


class JobDuplicate(JobEndpoint):
    """Enqueues a copy of a job."""

    verbs: ClassVar = {"POST": ("retry_job",)}

    @described("Enqueue a copy of a job", takes=DuplicateRequestSerializer, answers={202: AcceptedSerializer},
               problems=(400, 404, 409, 503))  # fmt: skip
    def post(self, request: Request, handle: str) -> Response:
        """Answer 202 with the copy."""
        job = self.find(handle)
        asked = read_body_of(DuplicateRequestSerializer, request)
        if asked["args"] is not None or asked["kwargs"] is not None:
            self.check_may_call(job)
            asked["args"], asked["kwargs"] = self.call_of(job, asked["args"], asked["kwargs"])
        return accepted_job(request, duplicate_job(job, user=request.user, **asked))

    def check_may_call(self, job: Job) -> None:
        """Refuse who may not see the arguments, or may not enqueue."""
        # What is not given stays, and so could be seen in what comes of it.
        may_see, may_enqueue = self.may_see_bodies(job), has_permission(self.request.user, "add_job")
        if not (may_see and may_enqueue):
            missing = "add_job" if may_see else "view_payload"
            self.permission_denied(self.request, message=f"this takes the permission gearjobs.{missing}")

    def call_of(self, job: Job, args: list[Any] | None, kwargs: dict[str, Any] | None) -> tuple[list[Any], Any]:
        """Return the arguments of a copy; refuse them as `jobs/` would: the task must be declared for HTTP."""
        discover_tasks()
        task = task_at(job.task)
        if not (isinstance(task, GearTask) and task.options.api):
            detail = _("only a task that is declared with api=True is given arguments over HTTP; leave them out")
            raise Problem(409, detail, name="not-possible", job=job.handle)
        known_args, known_kwargs = decode_call(bytes(job.payload))
        return checked_call(task, known_args if args is None else args, known_kwargs if kwargs is None else kwargs)


def read_body_of(serializer_class: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return a request's body as its serializer reads it; nothing it does not know is passed over.

    Raises:
        ValidationError: it cannot be read, or says more than there is.
    """
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    if unknown := sorted(set(request.data) - set(serializer.fields)):
        raise serializers.ValidationError({str(unknown[0]): [_("is no member of this request")]})
    return dict(serializer.validated_data)
