"""One job as a thing that is read, changed and deleted.

A change is conditional: whoever sends it names the version that they read, so of two who change a job at a time one
does, and the other reads again. Metadata may be changed whenever; how a job waits (priority, time, queue) only until it
runs, and its job server has the last word on that. What the verbs do is `gearjobs.actions`'s.
"""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Final

from django.db.models import F
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from gearjobs.actions.change_jobs import change_job, check_may_wait_otherwise
from gearjobs.actions.delete_jobs import delete_jobs
from gearjobs.api.described import described
from gearjobs.api.job_actions import RESERVED_METADATA, read_body_of
from gearjobs.api.job_serializers import JobSerializer
from gearjobs.api.job_views import JobDetail, etag_of
from gearjobs.api.problems import Problem
from gearjobs.models import Job, JobStatus
from gearjobs.protocol.attributes import MAX_NAME_CHARACTERS, MAX_PRIORITY, MIN_PRIORITY
from gearjobs.records.audit import note_action
from gearjobs.records.rows.column_values import plain_json
from gearjobs.records.sessions.writing_transaction import in_writing_transaction
from gearjobs.settings import gearjobs_settings

#: Bytes of metadata that a job is given over HTTP.
_METADATA_BYTES: Final = 16_384


class JobChangeSerializer(serializers.Serializer[Any]):
    """What of a job can be changed; what is not said stays."""

    metadata = serializers.DictField(
        child=serializers.JSONField(allow_null=True), required=False, help_text="Keys to set; null removes one."
    )
    priority = serializers.IntegerField(
        required=False, min_value=MIN_PRIORITY, max_value=MAX_PRIORITY, help_text="-100 to 100, higher first."
    )
    run_after = serializers.DateTimeField(
        required=False, allow_null=True, help_text="The earliest start; null for at once."
    )
    queue = serializers.CharField(
        required=False, max_length=MAX_NAME_CHARACTERS, help_text="The queue to move to; for jobs without a unique."
    )


class JobItem(JobDetail):
    """One job: read, changed, deleted."""

    verbs: ClassVar = {"PATCH": ("change_job",), "DELETE": ("delete_job",)}

    @described(
        "Change a job", takes=JobChangeSerializer, answers={200: JobSerializer},
        query={"If-Match": "The `ETag` of what was read."}, problems=(400, 404, 409, 412, 428, 503),
    )  # fmt: skip
    def patch(self, request: Request, handle: str) -> Response:
        """Answer 200 with the job, 412 where it has changed since it was read, 409 where it cannot wait otherwise."""
        job = self.find(handle, "payload")
        asked = read_body_of(JobChangeSerializer, request)
        place: dict[str, Any] = {name: asked[name] for name in ("priority", "queue") if name in asked}
        if "run_after" in asked:
            place |= {"run_at": asked["run_after"], "is_at_once": asked["run_after"] is None}
        said, metadata = _metadata_of(job, asked.get("metadata", {}))
        self._check_version(request, job)
        if place:
            if job.status == JobStatus.RUNNING:
                raise Problem(409, _("the job runs, and waits for nothing"), name="not-possible", job=job.handle)
            check_may_wait_otherwise(job)
        self._claim(job, {} if place else {"metadata": metadata})
        if place:
            change_job(job, user=request.user, **place)
            if said:
                in_writing_transaction(gearjobs_settings().database, partial(self._add_metadata, handle, said))
        if said:
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
            raise Problem(
                409,
                _("the job cannot be deleted: %(refusal)s") % {"refusal": refusal},
                name="not-possible",
                job=job.handle,
            )
        return Response(status=204)

    def _check_version(self, request: Request, job: Job) -> None:
        tag = request.headers.get("If-Match")
        if tag is None:
            raise Problem(428, _("a change needs If-Match with the ETag of what was read"), name="if-match-missing")
        if tag not in {etag_of(job.handle, job.version, is_privileged=one) for one in (False, True)}:
            raise _changed_meanwhile(job)

    def _claim(self, job: Job, values: dict[str, Any]) -> None:
        """Write the values where nobody has changed the job since; of several who try, one does."""
        # What a joined job shows is in two rows; its own is not changed by servers.
        rows = self.one(job.handle) if job.joined_to else self.one(job.handle).filter(version=job.version)
        if not rows.update(**values, version=F("version") + 1):
            raise _changed_meanwhile(job)

    def _add_metadata(self, handle: str, said: dict[str, Any]) -> None:
        """Put what is said into the metadata as they are by now: others may have changed them while the server did."""
        rows = self.one(handle)
        for job in rows.select_for_update().only("metadata"):
            rows.update(metadata=_merged(job.metadata, said), version=F("version") + 1)


def _changed_meanwhile(job: Job) -> Problem:
    return Problem(412, _("the job has changed since it was read"), name="changed-meanwhile", job=job.handle)


def _metadata_of(job: Job, asked: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what is said of metadata, and what they are then.

    Raises:
        ValidationError: a key is not the caller's, or they are too long.
    """
    if reserved := next((key for key in asked if key.startswith(RESERVED_METADATA)), None):
        refusal = _("%(reserved)s: keys that begin with %(reserved_metadata)s are gearjobs' own") % {
            "reserved": repr(reserved),
            "reserved_metadata": RESERVED_METADATA,
        }
        raise serializers.ValidationError({"metadata": [refusal]})
    said = {str(plain_json(key)): plain_json(value) for key, value in asked.items()}
    merged = _merged(job.metadata, said)
    if len(JSONRenderer().render(merged)) > _METADATA_BYTES:
        raise serializers.ValidationError(
            {
                "metadata": [
                    _("must be at most %(metadata_bytes)s bytes of plain JSON") % {"metadata_bytes": _METADATA_BYTES}
                ]
            }
        )
    return said, merged


def _merged(known: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in {**known, **said}.items() if value is not None}
