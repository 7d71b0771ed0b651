"""Rows of every table, and a job server, that say hostile texts wherever they say anything."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils import timezone

from gearjobs.actions.bulk_operation import start_bulk
from gearjobs.models import (
    BulkOperation,
    BulkVerb,
    FailureGroup,
    JobGroup,
    JobMember,
    JobOutput,
    JobServer,
    OperatorAction,
    RunOutcome,
    Schedule,
    ScheduleRun,
    ScheduleSource,
)
from gearjobs.protocol.server_snapshot import RunFigures
from gearjobs.protocol.worker_report import WorkerReport
from gearjobs.records.job_filter import JobFilter
from tests.support.job_rows import make_attempt, make_job


def fill_job(text: str) -> list[str]:
    """Put the text into every column of jobs in some states, and return the addresses of their pages."""
    body = json.dumps({"args": [text, {text: [text]}], "kwargs": {text: text}}).encode()
    said = {
        "function": text, "task": text, "unique": text, "queue": text, "payload": body, "worker_ids": [text],
        "progress_numerator": 1, "progress_denominator": 2, "progress_message": text, "metadata": {text: {text: text}},
        "enqueued_by": text, "owner": text, "reducer": text, "terms": {text: text}, "backend": text,
    }  # fmt: skip
    error: dict[str, Any] = {
        "error_class": text,
        "error_message": text,
        "error_traceback": f'  File "{text}", line 1, in {text}\n{text}',
    }
    now = timezone.now()
    jobs = [
        make_job("failed", fingerprint="f1", attempt=2, cancel_asked_at=now, cancel_reason=text, **said, **error),
        make_job("dead", fingerprint="f1", **{**said, "payload": text.encode()}, **error),
        make_job("succeeded", result=json.dumps({text: [text]}).encode(), **{**said, "function": "resize"}),
        make_job("running", joined_to="H:other:1", **said),
    ]
    make_attempt(jobs[0], worker_id=text, **error)
    for number, is_warning in enumerate((False, True)):
        JobOutput.objects.create(
            job=jobs[0], sequence=number, is_warning=is_warning, body=text.encode(), streamed_at=now
        )
    whole = JobGroup.objects.create(id="H:group:1", root="H:group:1", kind="group", total=4, enqueued_by=text)
    JobMember.objects.create(job=jobs[0], stage=whole)
    screens = ("gearjobs_job_change", "gearjobs_job_duplicate", "gearjobs_job_edit")
    pages = [reverse(f"admin:{screen}", args=[quote(job.handle)]) for job in jobs for screen in screens]
    return [*pages, f"{reverse('admin:gearjobs_job_new')}?{urlencode({'function': text})}"]


def fill_rest(text: str) -> list[str]:
    """Put the text into every other row, and return the addresses of their pages."""
    FailureGroup.objects.create(
        fingerprint="f1", function=text, task=text, error_class=text, culprit=text, sample_message=text, note=text
    )
    JobServer.objects.create(incarnation="server-1", host=text, version=text[:32], boot_id=text[:100])
    OperatorAction.objects.create(
        actor=text, actor_name=text, verb=text[:64], target_kind=text[:32], target=text, address=text[:64],
        details={text: [text, {text: text}]},
    )  # fmt: skip
    schedule = Schedule.objects.create(
        key=text, task=text, function=text, queue=text, args=[text], kwargs={text: text}, cron=text[:90],
        time_zone=text[:64], last_handle=text[:64], last_fired_at=timezone.now(), metadata={text: text},
    )  # fmt: skip
    declared = Schedule.objects.create(
        key=f"{text}2", task=text, args=[text], interval_s=60, time_zone="Europe/Berlin", source=ScheduleSource.CODE
    )
    ScheduleRun.objects.create(
        schedule=schedule, due_at=timezone.now(), decided_at=timezone.now(), outcome=RunOutcome.FIRED,
        handle=text[:64], decided_by=text,
    )  # fmt: skip
    start_bulk(BulkVerb.CANCEL, JobFilter(functions=(text,), queues=(text,), worker=text), user=None)
    BulkOperation.objects.update(asked_by=text, error=text, runner=text)
    return [
        reverse("admin:gearjobs_failuregroup_change", args=["f1"]),
        reverse("admin:gearjobs_jobserver_change", args=["server-1"]),
        reverse("admin:gearjobs_jobgroup_change", args=[quote("H:group:1")]),
        reverse("admin:gearjobs_bulkoperation_change", args=[BulkOperation.objects.get().pk]),
        *(reverse("admin:gearjobs_schedule_change", args=[one.pk]) for one in (schedule, declared)),
        reverse("admin:gearjobs_schedule_history", args=[schedule.pk]),
        reverse("admin:gearjobs_schedule_delete", args=[schedule.pk]),
    ]


def fill_server(fake, text: str) -> None:
    """Let a job server and its workers say the text wherever they say anything."""
    fake.add_function(text, (1, 1, 1), running=1, oldest_queued_at=time.time() - 9_000)
    report = WorkerReport(pid=1, host=text, version=text, group=text, queues=(text,))
    run = RunFigures(handle=text, function=text, started_at=time.time() - 9)
    fake.add_worker(text, text, "resize", runs=(run,), benched=(text,), report=report)
    fake.said |= {"version": text, "host": text}
