"""A job row as JSON.

Two forms: a line of a list, and the whole, which adds the result and the attempts that others followed. The table alone
is read, never a task's code. Who may not see a result gets null and `result_hidden`; tracebacks and workers need
`view_payload` even for one's own jobs, for they may tell more of the site than of the job.
"""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.reverse import reverse

from gearjobs.api.poll_advice import poll_after_s
from gearjobs.models import Job, JobAttempt, JobStatus
from gearjobs.records.job_attempts import attempts_of
from gearjobs.records.readable_body import ReadableBody, read_body


class JobLineSerializer(serializers.ModelSerializer[Job]):
    """A job in a list: everything but result and traceback."""

    id = serializers.CharField(source="handle", read_only=True)
    status_detail = serializers.CharField(source="present_detail", read_only=True)
    progress = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    poll_after_ms = serializers.SerializerMethodField()

    class Meta:
        model = Job
        fields: tuple[str, ...] = (
            "id", "url", "function", "task", "queue", "status", "status_detail", "priority", "attempt", "progress",
            "error", "enqueued_at", "run_at", "started_at", "last_attempted_at", "finished_at", "version",
            "poll_after_ms",
        )  # fmt: skip
        read_only_fields = fields

    def get_progress(self, job: Job) -> dict[str, Any] | None:
        if job.progress_percent is None and not job.progress_message:
            return None
        return {
            "numerator": job.progress_numerator,
            "denominator": job.progress_denominator,
            "message": job.progress_message,
            "percent": job.progress_percent,
        }

    def get_error(self, job: Job) -> dict[str, str] | None:
        if job.status != JobStatus.FAILED:
            return None
        return {"class": job.error_class, "message": job.error_message}

    def get_url(self, job: Job) -> str:
        request = self.context["request"]
        # Beside the endpoint that is answering, whatever namespaces the project put it in.
        namespace = request.resolver_match.view_name.rpartition(":")[0]
        return reverse(f"{namespace}:job-detail", [job.handle], request=request)

    def get_poll_after_ms(self, job: Job) -> int | None:
        wait_s = advise_poll(job)
        return None if wait_s is None else int(wait_s * 1000)


class JobSerializer(JobLineSerializer):
    """A job with its result.

    The context's `may_see_result` and `may_see_traceback` decide what is shown of them.
    """

    result = serializers.SerializerMethodField()
    result_encoding = serializers.SerializerMethodField()
    result_hidden = serializers.SerializerMethodField()
    attempts = serializers.SerializerMethodField()

    class Meta(JobLineSerializer.Meta):
        fields: tuple[str, ...] = (
            *JobLineSerializer.Meta.fields, "expires_at", "cancel_asked_at", "joined_to", "attempts", "result",
            "result_encoding", "result_hidden",
        )  # fmt: skip
        read_only_fields = fields

    def to_representation(self, instance: Job) -> dict[str, Any]:
        self._body = None
        if instance.result is not None and self.context["may_see_result"]:
            self._body = read_body(bytes(instance.result))
        return super().to_representation(instance)

    def get_result(self, job: Job) -> Any:
        return None if self._body is None else self._body.value

    def get_result_encoding(self, job: Job) -> str | None:
        return None if self._body is None else self._body.encoding

    def get_result_hidden(self, job: Job) -> bool:
        return job.result is not None and self._body is None

    def get_error(self, job: Job) -> dict[str, str] | None:
        error = super().get_error(job)
        if error is not None and self.context["may_see_traceback"]:
            error["traceback"] = job.error_traceback
        return error

    def get_attempts(self, job: Job) -> list[dict[str, Any]]:
        return [self._attempt(attempt) for attempt in attempts_of(job)]

    def _attempt(self, attempt: JobAttempt) -> dict[str, Any]:
        is_privileged = self.context["may_see_traceback"]
        error = {"class": attempt.error_class, "message": attempt.error_message}
        return {
            "number": attempt.number,
            "outcome": attempt.outcome,
            "started_at": attempt.started_at,
            "ended_at": attempt.ended_at,
            **({"worker_id": attempt.worker_id} if is_privileged else {}),
            "error": {**error, "traceback": attempt.error_traceback} if is_privileged else error,
        }

    #: The result of the job being written, read once.
    _body: ReadableBody | None = None


def advise_poll(job: Job) -> float | None:
    """Return the seconds after which a client should ask again, or None for a job that has ended."""
    if job.is_finished:
        return None
    is_running = job.status == JobStatus.RUNNING
    since = job.last_attempted_at if is_running and job.last_attempted_at else job.enqueued_at
    due_at = job.run_at.timestamp() if job.run_at and not is_running else None
    return poll_after_s(now=timezone.now().timestamp(), since=since.timestamp(), due_at=due_at)
