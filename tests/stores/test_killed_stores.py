"""SIGKILL between a commit and its answer, or anywhere else: what was committed is there, and batches are whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import asdict

import pytest
from django.db import connections

from gearjobs.models import Job
from tests.support.committing_store import JOBS_OF_A_BATCH
from tests.support.database_servers import ROOT
from tests.support.queue_houses import KEEPING_QUEUES, queue_options, queue_store

#: Batches that are seen before the process is killed, at most.
LONGEST_LIFE = 12


@contextmanager
def committing(settings):
    """Run a process that commits batches and says each one's number."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "tests.support.committing_store", json.dumps(settings)]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def told_until_killed(process, lives):
    """Return the numbers that the process said, which is killed when it has said so many."""
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(lives)]
    process.kill()
    # By the same reader: `communicate` would pass over what it has read ahead.
    return told + [int(line) for line in process.stdout.read().splitlines()]


@pytest.mark.parametrize("seed", range(3))
def test_killed_process_leaves_what_it_was_told_is_kept_and_whole_batches(record, seed):
    lives = random.Random(seed).randint(1, LONGEST_LIFE)
    with committing(record.settings) as process:
        told = told_until_killed(process, lives)

    successor = record.open()
    loaded = {job.handle.decode() for job in successor.load()}
    successor.close()

    batches = defaultdict(set)
    for handle, is_over in Job.objects.using(record.alias).values_list("handle", "finished_at"):
        batches[int(handle.split(":")[2])].add((handle, is_over is not None))
    assert set(told) <= set(batches) <= {*told, max(told) + 1}
    latest = max(batches)
    for number, jobs in batches.items():
        ended = 0 if number == latest else JOBS_OF_A_BATCH // 2
        assert (len(jobs), sum(is_over for _, is_over in jobs)) == (JOBS_OF_A_BATCH, ended)
    assert loaded == {handle for jobs in batches.values() for handle, is_over in jobs if not is_over}
    connections[record.alias].close()


@pytest.mark.parametrize("kind", KEEPING_QUEUES)
def test_killed_queue_has_what_it_was_told_is_kept_and_whole_batches(kind, request):
    options = queue_options(kind, request)
    with committing({"queue_type": kind, **asdict(options)}) as process:
        told = told_until_killed(process, LONGEST_LIFE)

    successor = queue_store(kind, options)
    left = Counter(int(job.handle.split(b":")[2]) for job in successor.load())
    successor.close()

    # Of every batch but the last, half was ended by the next one.
    latest = max(left)
    assert latest in {max(told), max(told) + 1}
    assert left == {number: JOBS_OF_A_BATCH // (1 if number == latest else 2) for number in range(latest + 1)}
