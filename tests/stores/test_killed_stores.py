"""SIGKILL between a commit and its answer, or anywhere else: what was committed is there, and batches are whole."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from contextlib import contextmanager

import pytest
from django.db import connections

from gearjobs.models import Job
from tests.support.committing_store import JOBS_OF_A_BATCH
from tests.support.database_servers import ROOT

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


@pytest.mark.parametrize("seed", range(3))
def test_killed_process_leaves_what_it_was_told_is_kept_and_whole_batches(record, seed):
    lives = random.Random(seed).randint(1, LONGEST_LIFE)
    with committing(record.settings) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(lives)]
        process.kill()
        rest, _ = process.communicate(timeout=30)
    told += [int(line) for line in rest.splitlines()]

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
