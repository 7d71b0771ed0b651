"""A job row as JSON.

Three forms: the tiny status that clients poll, a line of a list, and the whole, which adds the result and the attempts
that others followed. The table alone is read, never a task's code. Who may not see a result gets null and
`result_hidden`; tracebacks and workers need `view_payload` even for one's own jobs, for they may tell more of the site
than of the job.
"""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone
from rest_framework import serializers

from gearjobs.api.described import shown_as
from gearjobs.api.endpoint import url_beside
from gearjobs.api.poll_advice import poll_after_s
from gearjobs.models import AttemptOutcome, Job, JobAttempt, JobStatus, StatusDetail
from gearjobs.records.job_attempts import attempts_of
from gearjobs.records.readable_body import ReadableBody, read_body

#: Endpoints of a job that its own answer names.
_LINKS: Final = ("status", "call", "result", "events", "attempts", "logs", "children", "timeline", "cancel", "retry")


class ProgressSerializer(serializers.Serializer[Any]):
    """How far a job is, in its worker's own numbers."""

    numerator = serializers.FloatField()
    denominator = serializers.FloatField(help_text="0 when the worker does not know.")
    message = serializers.CharField()
    percent = serializers.FloatField(allow_null=True, help_text="0 to 100.")


class ErrorSerializer(serializers.Serializer[Any]):
    """Why a run failed."""

    vars()["class"] = serializers.CharField(help_text="Dotted path of the exception's class.")
    message = serializers.CharField()
    traceback = serializers.CharField(required=False, help_text="With the permission `view_payload` only.")


class AttemptSerializer(serializers.Serializer[Any]):
    """A run that did not end its job."""

    number = serializers.IntegerField()
    outcome = serializers.ChoiceField(AttemptOutcome.choices)
    started_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField()
    worker_id = serializers.CharField(required=False, help_text="With the permission `view_payload` only.")
    error = ErrorSerializer()


class JobStatusSerializer(serializers.Serializer[Job]):
    """What a client that polls needs: no more than narrow columns."""

    id = serializers.CharField(source="handle")
    status = serializers.ChoiceField(JobStatus.choices)
    status_detail = serializers.ChoiceField(StatusDetail.choices, source="present_detail")
    progress = serializers.SerializerMethodField()
    version = serializers.IntegerField(help_text="One more at every change.")
    poll_after_ms = serializers.SerializerMethodField()

    @shown_as(ProgressSerializer(allow_null=True))
    def get_progress(self, job: Job) -> dict[str, Any] | None:
        return progress_of(job)

    @shown_as(serializers.IntegerField(allow_null=True, help_text="When to ask again; null once the job has ended."))
    def get_poll_after_ms(self, job: Job) -> int | None:
        return poll_after_ms_of(job)


class JobLineSerializer(serializers.ModelSerializer[Job]):
    """A job in a list: everything but result and traceback."""

    id = serializers.CharField(source="handle", read_only=True)
    status_detail = serializers.CharField(source="present_detail", read_only=True)
    progress = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    duration_ms = serializers.SerializerMethodField()
    poll_after_ms = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields: tuple[str, ...] = (
            "id", "url", "function", "task", "queue", "status", "status_detail", "priority", "attempt", "progress",
            "error", "enqueued_at", "run_at", "started_at", "last_attempted_at", "finished_at", "duration_ms",
            "version", "poll_after_ms",
        )  # fmt: skip
        read_only_fields = fields

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # `?fields=id,status`: whatever else there is costs nothing then.
        for name in self.fields.keys() - (kwargs.get("context", {}).get("fields") or self.fields.keys()):
            del self.fields[name]

    @shown_as(ProgressSerializer(allow_null=True))
    def get_progress(self, job: Job) -> dict[str, Any] | None:
        return progress_of(job)

    @shown_as(ErrorSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, str] | None:
        if job.status != JobStatus.FAILED:
            return None
        return {"class": job.error_class, "message": job.error_message}

    def get_duration_ms(self, job: Job) -> int | None:
        return None if job.duration is None else round(job.duration.total_seconds() * 1000)

    @shown_as(serializers.URLField())
    def get_url(self, job: Job) -> str:
        return url_beside(self.context["request"], "job-detail", job.handle)

    @shown_as(serializers.IntegerField(allow_null=True))
    def get_poll_after_ms(self, job: Job) -> int | None:
        return poll_after_ms_of(job)


class JobSerializer(JobLineSerializer):
    """A job with its result.

    The context's `may_see_result` and `may_see_traceback` decide what is shown of them.
    """

    result = serializers.SerializerMethodField()
    result_encoding = serializers.SerializerMethodField()
    result_hidden = serializers.SerializerMethodField()
    attempts = serializers.SerializerMethodField()
    metadata = serializers.SerializerMethodField()
    links = serializers.SerializerMethodField()

    class Meta(JobLineSerializer.Meta):
        fields: tuple[str, ...] = (
            *JobLineSerializer.Meta.fields, "expires_at", "cancel_asked_at", "cancel_reason", "fingerprint",
            "joined_to", "retried_as", "metadata", "attempts",
            "result", "result_encoding", "result_hidden", "links",
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: Job) -> dict[str, Any]:
        self._body = None
        if instance.result is not None and self.context["may_see_result"]:
            self._body = read_body(bytes(instance.result))
        return super().to_representation(instance)

    @shown_as(serializers.JSONField(allow_null=True))
    def get_result(self, job: Job) -> Any:
        return None if self._body is None else self._body.value

    @shown_as(serializers.ChoiceField(["json", "utf-8", "base64"], allow_null=True))
    def get_result_encoding(self, job: Job) -> str | None:
        return None if self._body is None else self._body.encoding

    def get_result_hidden(self, job: Job) -> bool:
        return job.result is not None and self._body is None

    @shown_as(ErrorSerializer(allow_null=True))
    def get_error(self, job: Job) -> dict[str, str] | None:
        error = super().get_error(job)
        if error is not None and self.context["may_see_traceback"]:
            error["traceback"] = job.error_traceback
        return error

    @shown_as(serializers.JSONField(allow_null=True, help_text="Null for who may not see the result."))
    def get_metadata(self, job: Job) -> Any:
        return job.metadata if self.context["may_see_result"] else None

    @shown_as(AttemptSerializer(many=True))
    def get_attempts(self, job: Job) -> list[dict[str, Any]]:
        return [told_attempt(one, is_privileged=self.context["may_see_traceback"]) for one in attempts_of(job)]

    @shown_as(serializers.DictField(child=serializers.URLField()))
    def get_links(self, job: Job) -> dict[str, str]:
        request = self.context["request"]
        return {name: url_beside(request, f"job-{name}", job.handle) for name in _LINKS}

    #: The result of the job being written, read once.
    _body: ReadableBody | None = None


def told_attempt(attempt: JobAttempt, *, is_privileged: bool) -> dict[str, Any]:
    """Return what is told of an attempt."""
    error = {"class": attempt.error_class, "message": attempt.error_message}
    return {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        **({"worker_id": attempt.worker_id} if is_privileged else {}),
        "error": {**error, "traceback": attempt.error_traceback} if is_privileged else error,
    }


def progress_of(job: Job) -> dict[str, Any] | None:
    """Return how far a job is; None as long as its worker told nothing."""
    if job.progress_percent is None and not job.progress_message:
        return None
    return {
        "numerator": job.progress_numerator,
        "denominator": job.progress_denominator,
        "message": job.progress_message,
        "percent": job.progress_percent,
    }


def poll_after_ms_of(job: Job) -> int | None:
    """Return when to ask again for a job; None for one that has ended."""
    wait_s = advise_poll(job)
    return None if wait_s is None else int(wait_s * 1000)


def advise_poll(job: Job) -> float | None:
    """Return the seconds after which a client should ask again, or None for a job that has ended."""
    if job.is_finished:
        return None
    is_running = job.status == JobStatus.RUNNING
    since = job.last_attempted_at if is_running and job.last_attempted_at else job.enqueued_at
    due_at = job.run_at.timestamp() if job.run_at and not is_running else None
    return poll_after_s(now=timezone.now().timestamp(), since=since.timestamp(), due_at=due_at)
