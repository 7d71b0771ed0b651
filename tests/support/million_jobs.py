"""Fills an empty database with jobs and says how long each question of the dashboard takes.

Not a test of CI, for it takes minutes: `scripts/million-jobs [jobs]`, with GEARJOBS_TEST_DATABASE_URL for another
database than an SQLite file of its own. The database is left full, and is not filled again. Exits with 1 when a
question takes longer than the 200 ms that a page may take.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial

from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from gearjobs.models import FailureGroup, FunctionRollup, Job, QueueControl
from gearjobs.records.failures.failure_queries import all_groups, group_trend, jobs_of
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import count_up_to, job_page
from gearjobs.records.job_queries import all_jobs, count_jobs
from gearjobs.records.problem_finders import find_problems
from gearjobs.records.rows.function_keys import function_key
from gearjobs.records.statistics.series import series, sparklines, totals

#: Seconds that a question may take: the best of three, so that a busy machine does not decide.
LIMIT_S = 0.2
_FUNCTIONS = [f"shop.tasks.task_{number}" for number in range(100)]
_AT_ONCE = 5_000


def _job(number: int, total: int) -> Job:
    """Return the nth job: the first are the oldest, one in 50 failed, the latest hundredth has not ended."""
    at = timezone.now() - timedelta(seconds=(total - number) / 20)
    values: dict[str, object] = {
        "owner": "server-0",
        "status": "SUCCESSFUL",
        "status_detail": "succeeded",
        "finished_at": at,
    }
    if number > total - total // 100:
        values = {"status": "READY", "status_detail": "waiting", "owner": f"server-{number % 2}"}
        if number < total - total // 100 + 50:
            values |= {"status": "RUNNING", "status_detail": "running"}
    elif number % 50 == 0:
        values |= {"status": "FAILED", "status_detail": "failed"}
        values["fingerprint"] = f"f{number // 50 % 200}"
    # The last function is rare, so that its jobs are far apart.
    function = _FUNCTIONS[number % 99] if number % 100_000 else _FUNCTIONS[99]
    return Job(
        handle=f"H:million:{number:012d}",
        function=function,
        task=function,
        queue="default",
        enqueued_at=at,
        enqueued_by=str(number % 1_000),
        worker_ids=["worker-1"],
        metadata={"order": number},
        payload=b'{"args":[%d],"kwargs":{"name":"cat.png"}}' % number,
        **values,
    )


def fill(total: int) -> None:
    """Insert the jobs, and the figures of two days."""
    for start in range(0, total, _AT_ONCE):
        Job.objects.bulk_create(_job(number, total) for number in range(start, min(start + _AT_ONCE, total)))
    FailureGroup.objects.bulk_create(FailureGroup(fingerprint=f"f{number}", function="f") for number in range(200))
    QueueControl.objects.create(key="k", function=_FUNCTIONS[0], is_paused=True)
    minute = int(time.time() // 60) * 60
    rows = [
        FunctionRollup(
            starts_s=minute - ago * 60,
            function=function,
            function_key=function_key(function.encode()) if function else "",
            server="s",
            enqueued=10,
            succeeded=10,
            run_counts=[1] * 18,
            wait_counts=[1] * 18,
        )
        for ago in range(2_880)
        for function in (["", *_FUNCTIONS] if ago < 120 else [""])
    ]
    FunctionRollup.objects.bulk_create(rows, batch_size=_AT_ONCE)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor != "mysql" else "ANALYZE TABLE gearjobs_job")
        cursor.fetchall() if connection.vendor == "mysql" else None


def questions(total: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is asked, by name."""
    deep = str(int((time.time() - total / 40) * 1_000_000)) + ".H"
    filters = {
        "all": JobFilter(),
        "succeeded": JobFilter(statuses=("succeeded",)),
        "failed": JobFilter(statuses=("failed",)),
        "waiting": JobFilter(statuses=("waiting",)),
        "running": JobFilter(statuses=("running",)),
        "cancelled, of which there are none": JobFilter(statuses=("cancelled",)),
        "function": JobFilter(functions=(_FUNCTIONS[3],)),
        "rare function": JobFilter(functions=(_FUNCTIONS[99],)),
        "failed of a rare function": JobFilter(statuses=("failed",), functions=(_FUNCTIONS[99],)),
        "waiting of a rare function": JobFilter(statuses=("waiting",), functions=(_FUNCTIONS[99],)),
        "group of failures": JobFilter(fingerprint="f7"),
        "user": JobFilter(enqueued_by="7"),
        "user, failed": JobFilter(enqueued_by="50", statuses=("failed",)),
        "unique": JobFilter(unique="none"),
        "worker": JobFilter(worker="worker-9"),
        "search by words": JobFilter(search="task_99"),
        "search in metadata": JobFilter(search="meta.order:5"),
        "search in arguments": JobFilter(search="args.name:dog.png"),
    }
    for name, job_filter in filters.items():
        yield f"page: {name}", partial(job_page, all_jobs(), job_filter)
        yield f"deep page: {name}", partial(job_page, all_jobs(), job_filter, cursor=deep)
        yield f"count: {name}", partial(count_up_to, all_jobs(), job_filter)
    yield "counts of the dashboard", count_jobs
    yield "problems", find_problems
    yield "series of an hour", series
    yield "series of a day", lambda: series(span_s=86_400, step_s=600)
    yield "totals of an hour", totals
    yield "sparklines of a page", lambda: sparklines(_FUNCTIONS[:50])
    yield "groups of failures", lambda: list(all_groups()[:50])
    yield "trend of a group", lambda: group_trend("f7")
    yield "jobs of a group", lambda: list(jobs_of("f7")[:50])


def main() -> int:
    """Fill, ask, and return how it went."""
    total = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    call_command("migrate", verbosity=0, skip_checks=True)
    if not Job.objects.exists():
        fill(total)
    slow = 0
    for name, ask in questions(total):
        took_s = min(_took_s(ask) for _ in range(3))
        slow += took_s > LIMIT_S
        sys.stdout.write(f"{took_s * 1000:8.1f} ms  {name}{'  TOO SLOW' if took_s > LIMIT_S else ''}\n")
    return 1 if slow else 0


def _took_s(ask: Callable[[], object]) -> float:
    began_at = time.perf_counter()
    ask()
    return time.perf_counter() - began_at
