"""Rows of a busy site: a million jobs, and whatever hangs on them, in the proportions of a shop that runs for weeks.

Made for `scripts/million-jobs`. Of every kind there is what makes pages slow: jobs of a rare function, thousands of one
moment, a large group, a job with attempts and output without end, and a backlog that waits for two job servers. A few
thousand rows are inserted; the database itself makes the others of them, which takes a minute rather than ten.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.auth.models import User
from django.db import connection, models
from django.db.models import DateTimeField, ExpressionWrapper, F, QuerySet, TextField, Value
from django.db.models.functions import Concat, Substr
from django.utils import timezone

from gearjobs.models import (
    HOUR_S,
    MINUTE_S,
    BulkOperation,
    FailureGroup,
    FunctionRollup,
    Job,
    JobAttempt,
    JobGroup,
    JobMember,
    JobOutput,
    JobServer,
    OperatorAction,
    QueueControl,
    ScheduleRun,
)
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.rows.function_keys import function_key
from gearjobs.tasks.schedules.saved_schedules import save_schedule
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.api_tasks import ship

FUNCTIONS: Final = [f"shop.tasks.task_{number}" for number in range(100)]
#: A function with a handful of jobs, far apart.
RARE_FUNCTION: Final = FUNCTIONS[99]
#: The job, the whole and the group of failures that have most of everything.
BUSY_JOB: Final = "H:99999:04999"
BUSY_WHOLE: Final = "H:whole:00000"
BUSY_FAILURE: Final = "f0"
#: Jobs that are inserted, and copied.
BLOCK: Final = 5_000
#: Seconds between two jobs, and between two things that operators did.
_JOB_S: Final = 0.05
_ACTION_S: Final = 20.0
_FINGERPRINTS: Final = 100
_DETAILS: Final = (*["waiting"] * 16, *["scheduled"] * 3, "retrying")


def fill(total: int) -> None:
    """Insert so many jobs, in whole blocks of 5,000, and all that a site of that size has besides."""
    now = timezone.now()
    User.objects.create_superuser("root")
    User.objects.create_user("customer")
    _fill_jobs(max(10, total // BLOCK), now)
    _fill_operators(total, now)
    _fill_attempts(now)
    _fill_wholes(total, now)
    _fill_schedules(total, now)
    _fill_figures()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor != "mysql" else "ANALYZE TABLE gearjobs_job")
        cursor.fetchall() if connection.vendor == "mysql" else None


def insert_from(model: type[models.Model], source: QuerySet[Any], **values: Any) -> None:
    """Insert a row for each of the source's, in the database.

    Args:
        model: of the new rows.
        source: a row of the same model gives what is not said.
        values: by column, expressions over the source, or plain values.
    """
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    chosen = {}
    for field in fields:
        given = values.get(field.name, F(field.attname) if source.model is model else field.get_default())
        is_expression = hasattr(given, "resolve_expression")
        chosen[f"new_{field.name}"] = given if is_expression else Value(given, output_field=field)
    rows = source.order_by().annotate(**chosen).values_list(*chosen)
    statement, parameters = rows.query.sql_with_params()
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(model._meta.db_table)} ({columns}) {statement}", parameters)


def _earlier(column: str, seconds: float) -> ExpressionWrapper[Any]:
    return ExpressionWrapper(F(column) - timedelta(seconds=seconds), output_field=DateTimeField())


def _fill_jobs(blocks: int, now: datetime) -> None:
    """Insert the jobs, one block of unfinished ones in ten; those of the middle are all of one moment."""
    waiting, last = max(1, blocks // 10), BLOCK * _JOB_S
    Job.objects.bulk_create([_job(number, now, _unfinished(number, now)) for number in range(BLOCK)], batch_size=1_000)
    of_block = Job.objects.filter(handle__startswith=_prefix(0))
    for block in range(1, waiting):
        insert_from(Job, of_block, handle=_in_block(block), enqueued_at=_earlier("enqueued_at", block * last))
    began_at = now - timedelta(seconds=waiting * last)
    ended = [_job(number, began_at, _ended(number), block=waiting) for number in range(BLOCK)]
    Job.objects.bulk_create(ended, batch_size=1_000)
    of_block = Job.objects.filter(handle__startswith=_prefix(waiting))
    of_block.update(started_at=F("enqueued_at"), last_attempted_at=F("enqueued_at"), finished_at=F("enqueued_at"))
    for block in range(waiting + 1, blocks):
        moment: Any = _earlier("enqueued_at", (block - waiting) * last)
        if block == blocks // 2:
            moment = Value(began_at - timedelta(seconds=(block - waiting) * last), output_field=DateTimeField())
        times = dict.fromkeys(("enqueued_at", "started_at", "last_attempted_at", "finished_at"), moment)
        insert_from(Job, of_block, handle=_in_block(block), **times)
    rare = [handle_of(block, 3) for block in range(0, blocks, 20)]
    Job.objects.filter(handle__in=rare).update(function=RARE_FUNCTION, task=RARE_FUNCTION)


def _in_block(block: int) -> Concat:
    return Concat(Value(_prefix(block)), Substr("handle", 9))


def handle_of(block: int, number: int) -> str:
    """Return the handle of the nth job of a block; those of earlier jobs are less."""
    return f"{_prefix(block)}{BLOCK - 1 - number:05d}"


def _prefix(block: int) -> str:
    return f"H:{99_999 - block:05d}:"


def _job(number: int, now: datetime, state: dict[str, Any], *, block: int = 0) -> Job:
    """Return the nth job of a block; the first is the latest."""
    function = FUNCTIONS[number % 99]
    return Job(
        handle=handle_of(block, number),
        function=function,
        task=function,
        queue="default",
        enqueued_at=now - timedelta(seconds=number * _JOB_S),
        enqueued_by=str(number % 1_000),
        worker_ids=["worker-1"],
        metadata={"order": number},
        payload=b'{"args":[%d],"kwargs":{"name":"cat.png"}}' % number,
        **state,
    )


def _unfinished(number: int, now: datetime) -> dict[str, Any]:
    owner = f"server-{number % 2}" if number % 100 else ""
    if number >= BLOCK - 5:
        state = {"status": "RUNNING", "status_detail": "running", "started_at": now, "last_attempted_at": now}
        return {**state, "owner": "server-0"}
    detail = _DETAILS[number % len(_DETAILS)]
    run_at = None if detail == "waiting" else now + timedelta(seconds=number * 10)
    fingerprint = f"f{number // 20 % _FINGERPRINTS}" if detail == "retrying" else None
    return {"status_detail": detail, "owner": owner, "run_at": run_at, "fingerprint": fingerprint}


def _ended(number: int) -> dict[str, Any]:
    if number % 50:
        return {"status": "SUCCESSFUL", "status_detail": "succeeded", "owner": "server-0", "result": b"[1, 2]"}
    error = {"error_class": "shop.errors.Broken", "error_message": "broken", "error_traceback": "Traceback …"}
    fingerprint = f"f{number // 50 % _FINGERPRINTS}"
    return {"status": "FAILED", "status_detail": "failed", "owner": "server-0", "fingerprint": fingerprint, **error}


def _fill_operators(total: int, now: datetime) -> None:
    """Insert what operators see and did: of every kind some thousand are of one moment."""
    for start in range(0, total // 50, BLOCK):
        numbers = range(start, start + BLOCK)
        FailureGroup.objects.bulk_create([_failure_group(number, now) for number in numbers], batch_size=1_000)
        BulkOperation.objects.bulk_create([_operation(number, now) for number in numbers], batch_size=1_000)
    OperatorAction.objects.bulk_create([_action(number, now) for number in range(BLOCK)], batch_size=1_000)
    first = OperatorAction.objects.filter(pk__lte=OperatorAction.objects.latest("pk").pk)
    for block in range(1, total // 5 // BLOCK):
        insert_from(OperatorAction, first, at=_earlier("at", (block - 1) * BLOCK * _ACTION_S))
    QueueControl.objects.bulk_create(_control(name) for name in FUNCTIONS)
    JobServer.objects.bulk_create(JobServer(incarnation=f"server-{number}") for number in range(2))


def _moment(number: int, now: datetime) -> datetime:
    """Return when the nth thing happened: the first block is of one moment."""
    return now - timedelta(seconds=max(0, number - BLOCK) * _ACTION_S)


def _failure_group(number: int, now: datetime) -> FailureGroup:
    at = _moment(number, now)
    return FailureGroup(
        fingerprint=f"f{number}",
        function=FUNCTIONS[number % 100],
        error_class=f"shop.errors.Error{number}",
        sample_message="broken " * 20,
        last_seen_at=at,
        first_seen_at=at,
        last_job=BUSY_JOB,
        muted_until=now + timedelta(days=1) if number % 10 == 9 else None,
    )


def _operation(number: int, now: datetime) -> BulkOperation:
    return BulkOperation(
        id=f"H:operation:{number:012d}", verb="retry", state="done", asked_at=_moment(number, now),
        filter={"fingerprint": "f1"}, asked_by=str(number % 50),
    )  # fmt: skip


def _action(number: int, now: datetime) -> OperatorAction:
    return OperatorAction(
        at=now, actor=str(number % 50), actor_name=f"operator {number % 50}", verb="retry",
        target_kind="job", target=handle_of(1, number), details={"selection": {"status": "failed"}},
    )  # fmt: skip


def _control(name: str) -> QueueControl:
    return QueueControl(key=function_key(to_bytes(name)), function=name, is_paused=name == FUNCTIONS[0])


def _fill_attempts(now: datetime) -> None:
    """Give each failed job two attempts, and one job a thousand, with as many pieces of output."""
    text = "Traceback (most recent call last):\n" + '  File "shop/tasks.py", line 7, in work\n' * 20
    said = {"ended_at": now, "outcome": "failed", "error_traceback": text}
    for number in (1, 2):
        failed = Job.objects.filter(status_detail="failed")
        insert_from(JobAttempt, failed, job=F("handle"), number=number, **said)
    numbers = range(1, 1_001)
    JobAttempt.objects.bulk_create(JobAttempt(job_id=BUSY_JOB, number=number, **said) for number in numbers)
    JobOutput.objects.bulk_create(
        JobOutput(job_id=BUSY_JOB, sequence=number, body=b"piece " * 100, streamed_at=now) for number in numbers
    )


def _fill_wholes(total: int, now: datetime) -> None:
    """Make a large whole of a tenth of the jobs, and small ones of a block."""
    for start in range(0, total // 50, BLOCK):
        keys = [(number, f"H:whole:{number:05d}") for number in range(start, start + BLOCK)]
        JobGroup.objects.bulk_create(
            JobGroup(id=key, root=key, kind="group", total=10, created_at=_moment(number, now), enqueued_by=str(number))
            for number, key in keys
        )
    large = Job.objects.filter(finished_at=None).exclude(handle__startswith=_prefix(0))
    insert_from(JobMember, large, job=F("handle"), stage=BUSY_WHOLE)
    JobMember.objects.bulk_create(
        JobMember(job_id=handle_of(0, number), stage_id=f"H:whole:{1 + number // 10:05d}", position=number % 10)
        for number in range(1, 1_000)
    )


def _fill_schedules(total: int, now: datetime) -> None:
    rows = [save_schedule(ship, ScheduleSpec("0 3 * * *", key=f"schedule {n}", args=[1])) for n in range(200)]
    made = Job.objects.filter(handle__gte=_prefix(max(1, total // BLOCK // 10)), handle__lt=_prefix(0))
    moments = {"due_at": F("enqueued_at"), "decided_at": F("enqueued_at")}
    # Two jobs of a run of ours may be of one moment.
    made = made.exclude(handle__startswith=_prefix(total // BLOCK // 2))
    insert_from(ScheduleRun, made, schedule=rows[0].pk, handle=F("handle"), outcome="fired", decided_by="", **moments)
    ScheduleRun.objects.bulk_create(
        ScheduleRun(schedule=row, due_at=now, decided_at=now, outcome="fired", handle=BUSY_JOB) for row in rows[1:]
    )


def _fill_figures() -> None:
    """Insert the figures of two days by the minute, and of thirty by the hour."""
    minute, hour = (int(time.time() // width) * width for width in (MINUTE_S, HOUR_S))
    FunctionRollup.objects.bulk_create((_rollup(minute - ago * MINUTE_S, MINUTE_S) for ago in range(2_880)), 1_000)
    FunctionRollup.objects.bulk_create((_rollup(hour - ago * HOUR_S, HOUR_S) for ago in range(48, 720)), 1_000)
    of_all = FunctionRollup.objects.filter(function_key="")
    for name in FUNCTIONS:
        key = Value(function_key(to_bytes(name)), output_field=TextField())
        insert_from(FunctionRollup, of_all, function_key=key, function=Value(name, output_field=TextField()))


def _rollup(starts_s: int, width_s: int) -> FunctionRollup:
    counts = {"enqueued": 10, "succeeded": 10, "run_counts": [1] * 18, "wait_counts": [1] * 18}
    return FunctionRollup(starts_s=starts_s, width_s=width_s, server="server-0", **counts)
