"""Celery with Redis as its broker and django-celery-results, which keeps results in the project's database.

The prefork pool with its defaults; `wait` asks the database, for that is where this backend has results: every 5 ms
instead of Celery's 500, so that Celery and not the interval is measured.
"""

from __future__ import annotations

import os

from celery import Celery
from celery.result import AsyncResult
from django.db import connection

app = Celery("bench", broker=os.environ["BENCH_REDIS"], backend="django-db")
app.conf.update(result_extended=True, broker_connection_retry_on_startup=True)


@app.task
def noop(number: int) -> int:
    """Do nothing."""
    return number


def enqueue(number: int) -> AsyncResult:
    """Enqueue one job."""
    return noop.delay(number)


def wait(job: AsyncResult, timeout_s: float) -> object:
    """Return its result."""
    return job.get(timeout=timeout_s, interval=0.005)


def ended() -> int:
    """Count the results."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_celery_results_taskresult WHERE status = 'SUCCESS'")
        return int(cursor.fetchone()[0])
