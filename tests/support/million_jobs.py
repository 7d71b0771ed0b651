"""Fills an empty database with jobs and says how long each question of the dashboard takes.

Not a test of CI, for it takes minutes: `scripts/million-jobs [jobs]`, with GEARJOBS_TEST_DATABASE_URL for another
database than an SQLite file of its own. The database is left full, and is not filled again. Exits with 1 when a
question takes longer than the 200 ms that a page may take.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, starmap

from django.core.management import call_command

from gearjobs.models import Job
from gearjobs.records.failures.failure_queries import all_groups, group_trend, jobs_of
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import count_up_to, job_page
from gearjobs.records.job_queries import all_jobs, count_jobs
from gearjobs.records.problem_finders import find_problems
from gearjobs.records.statistics.series import series, sparklines, totals
from tests.support.million_pages import cost_of, page_costs
from tests.support.million_rows import FUNCTIONS, RARE_FUNCTION, fill

#: Seconds of processors that a question may take: the best of three, so that a busy machine does not decide.
LIMIT_S = 0.2
#: Queries of one answer: the overview, where no job server tells what it counts, has most.
QUERIES_LIMIT = 45
#: What no answer is; the fake job server knows few lines, so that 503 is one.
_BROKEN = 500


def questions(total: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is asked, by name."""
    deep = str(int((time.time() - total / 20 / 2) * 1_000_000)) + ".H"
    filters = {
        "all": JobFilter(),
        "succeeded": JobFilter(statuses=("succeeded",)),
        "failed": JobFilter(statuses=("failed",)),
        "waiting": JobFilter(statuses=("waiting",)),
        "running": JobFilter(statuses=("running",)),
        "cancelled, of which there are none": JobFilter(statuses=("cancelled",)),
        "function": JobFilter(functions=(FUNCTIONS[3],)),
        "rare function": JobFilter(functions=(RARE_FUNCTION,)),
        "failed of a rare function": JobFilter(statuses=("failed",), functions=(RARE_FUNCTION,)),
        "waiting of a rare function": JobFilter(statuses=("waiting",), functions=(RARE_FUNCTION,)),
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
    yield "sparklines of a page", lambda: sparklines(FUNCTIONS[:50])
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
    for cost in chain(starmap(cost_of, questions(total)), page_costs()):
        is_bad = cost.cpu_s > LIMIT_S or cost.queries > QUERIES_LIMIT or cost.status == _BROKEN
        slow += is_bad
        figures = f"{cost.took_s * 1000:8.1f} ms {cost.cpu_s * 1000:8.1f} ms CPU {cost.queries:4d} queries"
        sys.stdout.write(f"{figures}  {cost.name} {cost.status or ''}{'  TOO MUCH' if is_bad else ''}\n")
        sys.stdout.flush()
    return 1 if slow else 0
