"""A record and its extras: from a job and back."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from gearjobs.core.changes import StoredJob
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.core.terms import JobTerms, Limit
from gearjobs.stores.queue_records import (
    WHEN_LIMIT_S,
    QueueRecord,
    RecordBatch,
    RecordName,
    foreign_job,
    make_record,
    read_record,
)

NAME = RecordName(b"f", b"u")
JOB = StoredJob(JobHandle(b"H:a:1"), FunctionName(b"f"), b"u", b"\0p", 0, 0.0, 1_000.5)


@pytest.mark.parametrize(
    "job",
    [
        JOB,
        replace(JOB, priority=-7, run_at=2e9 + 0.25, reducer=b"sum\xff"),
        replace(JOB, attempt=2, crashes=1, lost=1, worker_ids=["a", "\udc80\0"], was_running=True, is_resumable=True),
        replace(JOB, terms=JobTerms(expires_at=2e9, limits=(Limit("crm", concurrency=2),)), is_cancel_asked=True),
        replace(JOB, function=FunctionName(b"\xff\0"), unique=b""),
    ],
)
def test_record_says_all_of_its_job(job):
    assert read_record(make_record(job, NAME)) == job


def test_extras_are_text_that_people_can_read():
    extras = make_record(JOB, NAME).extras

    assert extras == b'{"v":1,"handle":"H:a:1","priority":0,"run_at":0.0,"accepted_at":1000.5}'


@pytest.mark.parametrize(("priority", "lane"), [(100, 0), (1, 0), (0, 1), (-1, 2), (-100, 2)])
def test_priority_is_told_gearmand_in_its_three_words(priority, lane):
    assert make_record(replace(JOB, priority=priority), NAME).lane == lane


@pytest.mark.parametrize(("run_at", "when"), [(0.0, 0), (-5.0, 0), (10.0, 10), (10.25, 11)])
def test_job_is_never_due_earlier_at_gearmands(run_at, when):
    assert make_record(replace(JOB, run_at=run_at), NAME).when == when


@pytest.mark.parametrize("run_at", [math.inf, 1e300])
def test_time_beyond_all_numbers_is_the_last_one(run_at):
    record = make_record(replace(JOB, run_at=run_at), NAME)

    assert 2**62 < record.when <= WHEN_LIMIT_S
    assert read_record(record).run_at == run_at


@pytest.mark.parametrize(("lane", "priority"), [(0, 50), (1, 0), (2, -50), (9, 0)])
def test_job_of_gearmand_is_what_its_row_says(lane, priority):
    record = QueueRecord(NAME, lane, b"p", 77, b"")

    job = foreign_job(record, JobHandle(b"H:b:1"), 5.0)

    assert job == StoredJob(JobHandle(b"H:b:1"), FunctionName(b"f"), b"u", b"p", priority, 77.0, 5.0)


@pytest.mark.parametrize(
    "extras",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"v":2,"handle":"H:a:1","priority":0,"run_at":0,"accepted_at":1}',
        b'{"v":1,"handle":7,"priority":0,"run_at":0,"accepted_at":1}',
        b'{"v":1,"handle":"H:a:1","priority":0,"run_at":0,"accepted_at":1,"terms":{"max_lost":"many"}}',
    ],
)
def test_extras_of_somebody_else_are_refused(extras):
    with pytest.raises(ValueError, match=r"."):
        read_record(QueueRecord(NAME, 1, b"", 0, extras))


def test_batch_with_nothing_to_do_is_false():
    assert not RecordBatch()
    assert RecordBatch(deleted=[NAME])
