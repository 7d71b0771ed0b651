"""Which job a submit makes or joins, when it is answered, and who hears of the job."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Accepted, JobDetails
from gearjobs.core.effects import NewsKind
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.jobs import JobHandle
from gearjobs.core.output_limit import OUTPUT_LIMIT_BYTES
from gearjobs.core.submission import Submission
from gearjobs.errors import UniqueTooLong
from tests.support.core_builders import NOW, RESIZE, background, foreground
from tests.support.core_stages import QueueRig


@pytest.fixture
def rig():
    return QueueRig()


def told(rig):
    return [(news.connection, news.kind) for news in rig.take_news()]


def test_submit_is_answered_with_the_handle(rig):
    assert rig.receipt(rig.client(), foreground(), handle=b"H:7").handle == b"H:7"


def test_foreground_submit_is_answered_at_once(rig):
    assert not rig.receipt(rig.client(), foreground()).awaits_store


def test_background_submit_without_a_store_is_answered_at_once():
    rig = QueueRig(QueueRules(has_store=False))

    assert not rig.receipt(rig.client(), background()).awaits_store


def test_background_submit_records_what_its_client_said_of_it(rig):
    details = JobDetails(task="shop.tasks.resize")

    rig.receipt(rig.client(), background(details=details), handle=b"H:7")

    assert rig.take_changes() == [Accepted(JobHandle(b"H:7"), RESIZE, b"", b"photo", 0, 0.0, NOW, details)]


def test_repeated_handle_is_answered_again_and_makes_no_second_job(rig):
    # A client whose connection broke before JOB_CREATED came sends the submit again.
    for _ in range(2):
        rig.receipt(rig.client(), background(), handle=b"H:7")

    assert [change.handle for change in rig.take_changes()] == [b"H:7"]


@pytest.mark.parametrize("is_committed", [False, True])
def test_repeated_handle_is_answered_after_the_commit_too(rig, is_committed):
    rig.receipt(rig.client(), background(), handle=b"H:7")
    if is_committed:
        rig.commit()

    assert rig.receipt(rig.client(), background(), handle=b"H:7").awaits_store is not is_committed


@pytest.mark.parametrize("kind", [foreground, background])
def test_unique_of_64_bytes_is_taken_whole(rig, kind):
    rig.receipt(rig.client(), kind(unique=b"u" * 64))

    assert rig.queue.jobs()[0].unique == b"u" * 64


def test_reducer_of_65_bytes_is_refused(rig):
    # The refusal used to name the length of the unique.
    submission = foreground(unique=b"u1")
    submission.reducer = b"r" * 65

    with pytest.raises(UniqueTooLong, match="at most 64 bytes, got 65"):
        rig.receipt(rig.client(), submission)


def test_refused_submit_changes_nothing(rig):
    with pytest.raises(UniqueTooLong):
        rig.submit(rig.client(), unique=b"u" * 65)

    assert (rig.queue.jobs(), rig.queue.functions(), rig.effects) == ([], [], [])


def test_reducer_reaches_the_worker(rig):
    submission = foreground()
    submission.reducer = b"merge"
    rig.receipt(rig.client(), submission)

    job = rig.queue.grab_job(rig.worker(), now=NOW)

    assert job is not None
    assert job.reducer == b"merge"


@pytest.mark.parametrize(("unique", "payload"), [(b"u1", b"other payload"), (b"-", b"photo")])
def test_same_unique_joins_the_live_job(rig, unique, payload):
    first = rig.submit(rig.client(), unique=unique, payload=b"photo")

    assert rig.submit(rig.client(), unique=unique, payload=payload) == first


@pytest.mark.parametrize(("unique", "payload"), [(b"", b"photo"), (b"-", b"other payload"), (b"-", b"")])
def test_submit_without_a_twin_makes_its_own_job(rig, unique, payload):
    first = rig.submit(rig.client(), unique=unique, payload=b"" if not payload else b"photo")

    assert rig.submit(rig.client(), unique=unique, payload=payload) != first


def test_joining_submits_payload_and_priority_are_ignored(rig):
    rig.submit(rig.client(), unique=b"u1", payload=b"first", priority=-50)
    rig.submit(rig.client(), unique=b"u1", payload=b"second", priority=50)

    job = rig.queue.grab_job(rig.worker(), now=NOW)

    assert job is not None
    assert (job.payload, job.priority) == (b"first", -50)


def test_running_job_is_joined_too(rig):
    first = rig.submit(rig.client(), unique=b"u1")
    rig.start(rig.worker())

    assert rig.submit(rig.client(), unique=b"u1") == first


def test_late_client_gets_only_what_comes_later(rig):
    early, late, worker = rig.client(), rig.client(), rig.worker()
    rig.submit(early, unique=b"u1")
    handle = rig.start(worker)
    rig.report_progress(worker, handle)

    rig.submit(late, unique=b"u1")
    rig.complete(worker, handle)

    assert told(rig) == [(early, NewsKind.STATUS), (early, NewsKind.COMPLETE), (late, NewsKind.COMPLETE)]


def test_client_that_submits_twice_is_told_twice(rig):
    client, worker = rig.client(), rig.worker()
    for _ in range(2):
        rig.submit(client, unique=b"u1")

    rig.complete(worker, rig.start(worker))

    assert told(rig) == [(client, NewsKind.COMPLETE)] * 2


def test_ended_job_is_not_joined(rig):
    worker = rig.worker()
    first = rig.submit(rig.client(), unique=b"u1")
    rig.complete(worker, rig.start(worker))

    assert rig.submit(rig.client(), unique=b"u1") != first


def test_foreground_client_that_joins_a_job_being_stored_is_answered_after_the_commit(rig):
    rig.receipt(rig.client(), background(unique=b"u1"))

    assert rig.receipt(rig.client(), foreground(unique=b"u1")).awaits_store


def test_foreground_client_that_joins_a_kept_job_is_answered_at_once(rig):
    rig.submit_background(unique=b"u1")

    assert not rig.receipt(rig.client(), foreground(unique=b"u1")).awaits_store


def test_foreground_client_that_joins_an_upgrade_is_answered_at_once(rig):
    rig.submit(rig.client(), unique=b"u1")
    rig.receipt(rig.client(), background(unique=b"u1"))

    assert not rig.receipt(rig.client(), foreground(unique=b"u1")).awaits_store


def test_background_submit_that_joins_a_kept_job_is_answered_at_once(rig):
    rig.submit_background(unique=b"u1")

    assert not rig.receipt(rig.client(), background(unique=b"u1")).awaits_store


def test_second_background_submit_that_joins_records_nothing_new(rig):
    rig.submit(rig.client(), unique=b"u1")
    rig.submit_background(unique=b"u1")

    rig.receipt(rig.client(), background(unique=b"u1"))

    assert rig.take_changes() == []


def test_epoch_job_is_answered_before_it_is_due(rig):
    assert rig.receipt(rig.client(), background(run_at=NOW + 60), handle=b"H:7").handle == b"H:7"


def test_epoch_job_of_the_past_runs_at_once(rig):
    handle = rig.submit_background(run_at=NOW - 60)

    assert rig.grab(rig.worker()) == handle


def test_epoch_job_does_not_hide_low_jobs(rig):
    # In gearmand 1.1.20 it does: NOOP and NO_JOB without end.
    rig.submit_background(run_at=NOW + 60)
    low = rig.submit(rig.client(), priority=-50)

    assert rig.grab(rig.worker()) == low


def by(who: str, *, unique: bytes = b"u") -> Submission:
    """Return a submit of somebody whom access rules tell from others."""
    submission = background(unique=unique)
    submission.submitter = who
    return submission


def test_job_remembers_everybody_who_submitted_it(rig):
    handle = rig.receipt(rig.client(), by("key:web"), handle=b"H:7").handle
    for who in ("key:ops", "key:web"):
        rig.receipt(rig.client(), by(who), handle=b"H:8")

    assert rig.queue.get_status(handle).submitters == ("key:web", "key:ops")


def test_whoever_repeats_a_handle_is_not_taken_for_its_submitter(rig):
    rig.receipt(rig.client(), by("key:web"), handle=b"H:7")
    rig.receipt(rig.client(), by("key:ops"), handle=b"H:7")

    assert rig.queue.get_status(JobHandle(b"H:7")).submitters == ("key:web",)


def test_where_peers_are_not_told_apart_nobody_is_remembered(rig):
    rig.receipt(rig.client(), background(), handle=b"H:7")

    assert rig.queue.get_status(JobHandle(b"H:7")).submitters == ()


def test_output_beyond_the_limit_is_passed_on_and_not_recorded(rig):
    client, worker = rig.client(), rig.worker(RESIZE)
    rig.submit_background(client, unique=b"u")
    handle = rig.receipt(client, foreground(unique=b"u")).handle
    rig.grab(worker)
    rig.take_changes()
    rig.take_news()
    for _ in range(3):
        rig.queue.work_data(worker, handle, bytes(OUTPUT_LIMIT_BYTES), now=NOW)

    assert [len(change.body) for change in rig.take_changes()] == [OUTPUT_LIMIT_BYTES, 1]
    assert told(rig) == [(client, NewsKind.DATA)] * 3
