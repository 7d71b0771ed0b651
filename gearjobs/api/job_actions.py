"""What is done to one job: cancel, retry, run now, duplicate, delete, and a change of its metadata.

Who may not read a job does not find it; who may read it needs the permission of the verb besides, also for their own.
What the verbs do is `gearjobs.actions`'s. A job that takes another one's place is named in `Location`.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import F
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.cancel_jobs import cancel_jobs
from gearjobs.actions.delete_jobs import delete_jobs
from gearjobs.actions.enqueue_again import duplicate_job, run_job_now
from gearjobs.actions.job_selection import JobSelection
from gearjobs.actions.retry_jobs import retry_jobs
from gearjobs.api.accepted import accepted_job
from gearjobs.api.call_schemas import checked_call
from gearjobs.api.described import described
from gearjobs.api.job_serializers import JobSerializer
from gearjobs.api.job_views import JobDetail, JobEndpoint, etag_of
from gearjobs.api.problems import Problem
from gearjobs.errors import ServerUnavailable
from gearjobs.models import Job
from gearjobs.records.audit import note_action
from gearjobs.records.job_queries import has_permission
from gearjobs.records.rows.column_values import plain_json
from gearjobs.tasks.discovery import discover_tasks
from gearjobs.tasks.job_control import CancelOutcome
from gearjobs.tasks.payload import decode_call
from gearjobs.tasks.registry import task_at
from gearjobs.tasks.task import GearTask

#: Bytes of metadata that a job is given over HTTP.
_METADATA_BYTES = 16_384
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
            detail = f"the job {job.handle} shares its work with another user's job, which only that one may cancel"
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
            raise Problem(409, "the job had ended", name="job-ended", job=job.handle)
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
        """Answer 202 with the new job, 409 where the old one has not ended."""
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
            raise Problem(409, refusal, name="not-possible", job=job.handle)
        return accepted_job(request, made[0])


class JobRunNow(JobEndpoint):
    """Runs a job that waits for its time."""

    verbs: ClassVar = {"POST": ("retry_job", "cancel_job")}

    @described("Run a scheduled job now", takes=None, answers={202: AcceptedSerializer}, problems=(404, 409, 503))
    def post(self, request: Request, handle: str) -> Response:
        """Answer 202 with the job that takes its place, 409 where it does not wait for a time."""
        return accepted_job(request, run_job_now(self.find(handle), user=request.user))


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
            detail = "only a task that is declared with api=True is given arguments over HTTP; leave them out"
            raise Problem(409, detail, name="not-possible", job=job.handle)
        known_args, known_kwargs = decode_call(bytes(job.payload))
        return checked_call(task, known_args if args is None else args, known_kwargs if kwargs is None else kwargs)


class MetadataSerializer(serializers.Serializer[Any]):
    """What of a job can be changed."""

    metadata = serializers.DictField(
        child=serializers.JSONField(allow_null=True), help_text="Keys to set; null removes one."
    )


class JobItem(JobDetail):
    """One job: read, its metadata changed, deleted."""

    verbs: ClassVar = {"PATCH": ("change_job",), "DELETE": ("delete_job",)}

    @described(
        "Change a job's metadata", takes=MetadataSerializer, answers={200: JobSerializer},
        query={"If-Match": "The `ETag` of what was read."}, problems=(400, 404, 412, 428),
    )  # fmt: skip
    def patch(self, request: Request, handle: str) -> Response:
        """Answer 200 with the job, 412 where it has changed since it was read."""
        job = self.find(handle, "payload")
        asked = read_body_of(MetadataSerializer, request)["metadata"]
        if reserved := next((key for key in asked if key.startswith(RESERVED_METADATA)), None):
            refusal = f"{reserved!r}: keys that begin with {RESERVED_METADATA} are gearjobs' own"
            raise serializers.ValidationError({"metadata": [refusal]})
        said = {str(plain_json(key)): plain_json(value) for key, value in asked.items()}
        merged = {key: value for key, value in {**job.metadata, **said}.items() if value is not None}
        if len(JSONRenderer().render(merged)) > _METADATA_BYTES:
            raise serializers.ValidationError({"metadata": [f"must be at most {_METADATA_BYTES} bytes of plain JSON"]})
        tag = request.headers.get("If-Match")
        if tag is None:
            raise Problem(428, "a change needs If-Match with the ETag of what was read", name="if-match-missing")
        known = {etag_of(job.handle, job.version, is_privileged=one) for one in (False, True)}
        rows = self.one(handle).filter(version=job.version) if not job.joined_to else self.one(handle)
        if tag not in known or not rows.update(metadata=merged, version=F("version") + 1):
            raise Problem(412, "the job has changed since it was read", name="changed-meanwhile", job=job.handle)
        details = {"keys": sorted(said)}
        note_action("change_metadata", actor=request.user, target_kind="job", target=job.handle, details=details)
        return self.told(self.find(handle, "payload"))

    @described("Delete a job that has ended", answers={204: "It is gone."}, problems=(404, 409))
    def delete(self, request: Request, handle: str) -> Response:
        """Answer 204, or 409 where the job has not ended."""
        job = self.find(handle, "payload", "result", "error_traceback")
        report = delete_jobs([job.handle], user=request.user)
        if not report.deleted:
            refusal = report.refusals.get(job.handle, "the job is gone")
            raise Problem(409, f"the job cannot be deleted: {refusal}", name="not-possible", job=job.handle)
        return Response(status=204)


def read_body_of(serializer_class: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """Return a request's body as its serializer reads it; nothing it does not know is passed over.

    Raises:
        ValidationError: it cannot be read, or says more than there is.
    """
    serializer = serializer_class(data=request.data)
    serializer.is_valid(raise_exception=True)
    if unknown := sorted(set(request.data) - set(serializer.fields)):
        raise serializers.ValidationError({str(unknown[0]): ["is no member of this request"]})
    return dict(serializer.validated_data)
