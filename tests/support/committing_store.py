"""A program that commits batches without end, and says each batch's number when its commit has returned.

Usage: python -m tests.support.committing_store JSON, the entry in DATABASES, or {"queue_type": ..., and the fields of
QueueOptions}. Batch `n` accepts the jobs `H:kill:<n>:0`
to `H:kill:<n>:9`, and starts and ends half of the batch before. It is meant to be killed.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from importlib import import_module
from typing import Any

import django

from gearjobs.core.changes import Change
from gearjobs.core.jobs import JobHandle
from gearjobs.stores.base import JobStore
from gearjobs.stores.queue_options import QueueOptions
from tests.support import settings as project

JOBS_OF_A_BATCH = 10


def main(entry: str) -> None:
    settings = json.loads(entry)
    queue_type = settings.pop("queue_type", "")
    if not queue_type:
        project.DATABASES = {"default": settings}
    os.environ["DJANGO_SETTINGS_MODULE"] = project.__name__
    django.setup()
    # Models exist once the project is set up.
    houses = import_module("tests.support.store_houses")
    if queue_type:
        store = import_module("tests.support.queue_houses").queue_store(queue_type, QueueOptions(**settings))
    else:
        store = houses.RecordStore("default", "killed")
    commit_for_ever(store, houses)


def commit_for_ever(store: JobStore, houses: Any) -> None:
    accepted, started, finished = houses.accepted, houses.started, houses.finished
    store.load()
    for number in itertools.count():
        handles = [JobHandle(b"H:kill:%d:%d" % (number, job)) for job in range(JOBS_OF_A_BATCH)]
        ended = [JobHandle(b"H:kill:%d:%d" % (number - 1, job)) for job in range(0, JOBS_OF_A_BATCH, 2)]
        ends: list[Change] = (
            [change for handle in ended for change in (started(handle), finished(handle))] if number else []
        )
        store.commit([*(accepted(handle) for handle in handles), *ends])
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
