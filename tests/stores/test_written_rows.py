"""Many rows in few statements say the same as each row in its own, on every database."""

from __future__ import annotations

import random

import pytest

from gearjobs.core.changes import (
    CancelAsked,
    Change,
    Explained,
    Finished,
    JobDetails,
    JobFailure,
    Outcome,
    Progressed,
    Requeued,
    Retried,
    Started,
    Streamed,
)
from gearjobs.models import Job, JobAttempt, JobOutput
from tests.support.store_houses import ACCEPTED_AT, accepted, new_handle

#: What a literal, an array or a pattern might take for its own.
TEXTS = (
    "",
    "plain",
    "it's",
    'say "no"',
    "back\\slash",
    "{a,b}",
    "NULL",
    "100 %s %%",
    "ünï \U0001f600",
    "a\nb\tc",
    "\0",
    "%",
)
BODIES = (b"", b"plain", b"\0\xff'\\", b"NULL", b"%s")
SEEDS = range(6)


def life_of(handle, chance):
    """Return a random life of a job, in stages that are committed one after the other."""
    text, body = (lambda: chance.choice(TEXTS)), (lambda: chance.choice(BODIES))
    terms: dict[str, object] = chance.choice(({}, {"max_lost": 2}, {"expires_at": ACCEPTED_AT + 60, text(): text()}))
    details = JobDetails(text(), text(), text(), text(), {text(): [text(), 1.5, None]}, terms)
    failure = JobFailure(text(), text(), text())
    at = ACCEPTED_AT + chance.random()
    run_at = chance.choice((0.0, at + 60))
    stages: list[list[Change]] = [
        [accepted(handle, payload=body(), details=details, priority=chance.randint(-9, 9), run_at=run_at)]
    ]
    if chance.random() < 0.9:
        stages.append([Started(handle, 1, [text() for _ in range(chance.randint(1, 3))], at + 1)])
    if chance.random() < 0.5:
        stages.append(
            [Progressed(handle, chance.random(), 2.0, text(), at + 2), Streamed(handle, True, body(), at + 2)]
        )
    if chance.random() < 0.5:
        lost = Requeued(handle, True, at + 3, chance.randint(0, 2), 1, chance.choice((None, failure)), lost=1)
        again = chance.choice((lost, Retried(handle, 1, failure, at + 60, at + 3)))
        stages.append([again, Started(handle, 2, [text(), text()], at + 4), Explained(handle, 1, text())])
    if chance.random() < 0.3:
        stages.append([CancelAsked(handle, at + 4)])
    if chance.random() < 0.7:
        outcome = chance.choice(list(Outcome))
        stages.append([Finished(handle, outcome, body(), at + 5, failure), Explained(handle, 2, text())])
    return stages


def rows_of(record, handles):
    """Return jobs, what they streamed and their attempts, without what tells the jobs from each other."""
    texts = [handle.decode() for handle in handles]
    columns = [field.name for field in Job._meta.concrete_fields if field.name != "handle"]
    rows = {
        job.pk: {name: getattr(job, name) for name in columns}
        for job in Job.objects.using(record.alias).filter(pk__in=texts)
    }
    pieces = JobOutput.objects.using(record.alias).filter(job__in=texts).order_by("sequence")
    streamed = [(texts.index(piece.job_id), piece.sequence, bytes(piece.body)) for piece in pieces]
    attempts = JobAttempt.objects.using(record.alias).filter(job__in=texts).values()
    tried = [{**one, "job_id": texts.index(one["job_id"]), "id": 0} for one in attempts]
    whole = [{**rows[text], "payload": bytes(rows[text]["payload"])} for text in texts]
    return whole, sorted(streamed), sorted(tried, key=lambda one: (one["job_id"], one["number"]))


@pytest.mark.parametrize("seed", SEEDS)
def test_jobs_written_together_are_as_if_each_were_written_alone(record, seed):
    together, alone = ([new_handle() for _ in range(90)] for _ in range(2))
    store = record.open()
    store.load()
    try:
        stages = [life_of(handle, random.Random((seed, index).__hash__())) for index, handle in enumerate(together)]
        for number in range(6):
            store.commit([change for life in stages for change in (life[number] if number < len(life) else [])])
        for index, handle in enumerate(alone):
            for changes in life_of(handle, random.Random((seed, index).__hash__())):
                store.commit(changes)
    finally:
        store.close()

    assert rows_of(record, together) == rows_of(record, alone)


@pytest.mark.parametrize("text", TEXTS)
def test_attempt_is_written_as_it_was_alone_and_among_others(record, text):
    store = record.open()
    store.load()
    handles = [new_handle() for _ in range(4)]
    retries = [Retried(handle, 1, JobFailure(text, text, text), ACCEPTED_AT, ACCEPTED_AT) for handle in handles]
    try:
        store.commit([accepted(handle) for handle in handles])
        store.commit([Started(handle, 1, [text], ACCEPTED_AT) for handle in handles])
        store.commit(retries[:1])
        store.commit(retries[1:])
        store.commit(retries)
    finally:
        store.close()

    attempts = JobAttempt.objects.using(record.alias).filter(job__in=[handle.decode() for handle in handles])
    stored = text.replace("\0", "\\x00")
    told = [(one.error_message, one.error_traceback, one.worker_id) for one in attempts]
    assert told == [(stored, stored, stored)] * 4


def test_update_of_many_rows_takes_each_by_its_handle(record):
    """With the planner's idea that the table is nearly empty, one update once read all rows for each of its own."""
    store = record.open()
    store.load()
    handles = [new_handle() for _ in range(6_000)]
    for start in range(0, len(handles), 1_000):
        store.commit([accepted(handle) for handle in handles[start : start + 1_000]])

    for start in range(0, len(handles), 1_000):
        store.commit([Started(handle, 1, ["w"], ACCEPTED_AT) for handle in handles[start : start + 1_000]])
    store.close()

    assert Job.objects.using(record.alias).filter(status="RUNNING").count() == len(handles)
