"""What becomes of a submit whose unique a live job has, and for how long a job has its unique."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Finished, Hastened, JobDetails, Outcome, Started
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.jobs import JobHandle
from gearjobs.core.snapshot import StatusView
from gearjobs.core.submission import Submission
from gearjobs.core.terms import JobTerms, OnConflict, UniqueSpan
from gearjobs.errors import QueueFull, UniqueTaken
from tests.support.core_builders import NOW, RESIZE, make_stored
from tests.support.core_stages import QueueRig

QUEUED = JobTerms(unique_for=UniqueSpan.QUEUED)


@pytest.fixture
def rig():
    return QueueRig()


def say(rig, on_conflict=OnConflict.COALESCE, *, priority=0, run_at=0.0, terms=None):
    """Submit a job as a gearjobs client does; return its handle."""
    terms = terms or JobTerms(on_conflict=on_conflict)
    submission = Submission(RESIZE, b"u1", b"photo", priority, True, run_at, b"", JobDetails(), terms)
    return rig.receipt(rig.client(), submission).handle


def keep(rig, *args, **kwargs):
    handle = say(rig, *args, **kwargs)
    rig.commit()
    return handle


def test_objecting_submit_is_refused_with_the_live_jobs_handle(rig):
    first = keep(rig)

    with pytest.raises(UniqueTaken, match="a job of b'resize' with the unique b'u1' is not finished") as refusal:
        say(rig, OnConflict.RAISE)

    assert (refusal.value.handle, rig.effects) == (first, [])


def test_objecting_submit_is_accepted_where_the_unique_is_free(rig):
    assert keep(rig, OnConflict.RAISE) == b"H:1"


def test_repetition_of_an_objecting_submit_is_answered_again(rig):
    handle = keep(rig, OnConflict.RAISE)
    again = Submission(RESIZE, b"u1", b"photo", 0, True, terms=JobTerms(on_conflict=OnConflict.RAISE))

    assert rig.receipt(rig.client(), again, handle=handle).handle == handle


def test_joined_job_takes_the_higher_priority(rig):
    handle = keep(rig)
    rig.submit_background()

    assert say(rig, priority=50) == handle

    assert rig.take_changes() == [Hastened(handle, 50, 0.0, NOW)]
    assert rig.grab(rig.worker()) == handle
    assert rig.queue.loads()[0].waiting == (0, 1, 0)


def test_joined_job_that_became_urgent_stands_in_the_urgent_line(rig):
    first = rig.submit_background()
    handle = keep(rig)
    say(rig, priority=50)

    assert rig.drain(rig.worker()) == [handle, first]


def test_joined_job_is_brought_forward_to_the_earlier_time(rig):
    handle = keep(rig, run_at=NOW + 100)
    say(rig, run_at=NOW + 10)
    assert rig.take_changes() == [Hastened(handle, 0, NOW + 10, NOW)]
    assert rig.queue.next_due() == NOW + 10

    rig.pass_time(10.0)

    assert rig.drain(rig.worker()) == [handle]


def test_joined_job_that_is_wanted_now_may_start_now(rig):
    sleeper = rig.sleeper()
    handle = keep(rig, run_at=NOW + 100)

    say(rig)

    assert (rig.take_woken(), rig.grab(sleeper)) == ([sleeper], handle)


def test_urgent_submit_raises_the_priority_of_a_job_that_is_not_due(rig):
    handle = keep(rig, run_at=NOW + 10)

    say(rig, priority=50, run_at=NOW + 100)

    assert rig.take_changes() == [Hastened(handle, 50, NOW + 10, NOW)]
    rig.pass_time(10.0)
    assert rig.queue.loads()[0].waiting == (1, 0, 0)


def test_submit_that_wants_nothing_sooner_changes_nothing(rig):
    keep(rig, priority=50)

    say(rig, priority=-50, run_at=NOW + 100)

    assert rig.effects == []


def test_job_that_is_not_committed_yet_may_be_hastened(rig):
    handle = say(rig, run_at=NOW + 100)

    say(rig, priority=7)
    rig.commit()

    assert rig.grab(rig.worker()) == handle


def test_job_between_two_attempts_keeps_its_time(rig):
    worker, handle = rig.heedful_worker(), keep(rig)
    rig.start(worker)
    rig.fail_ext(worker, handle, retry_in_s=60.0)
    rig.commit()

    say(rig)

    assert rig.take_changes() == []


def test_running_job_is_joined_as_it_is(rig):
    handle = keep(rig)
    rig.start(rig.worker())
    rig.effects.clear()

    assert (say(rig, priority=50), rig.effects) == (handle, [])


def test_skipping_submit_leaves_the_live_job_as_it_is(rig):
    handle = keep(rig)

    assert (say(rig, OnConflict.SKIP, priority=50), rig.effects) == (handle, [])


def test_stock_submit_leaves_the_live_job_as_it_is(rig):
    handle = keep(rig)
    submission = Submission(RESIZE, b"u1", b"photo", 50, True)

    assert (rig.receipt(rig.client(), submission).handle, rig.effects) == (handle, [])


def test_job_of_a_queue_without_a_store_is_hastened_without_a_record():
    rig = QueueRig(QueueRules(has_store=False))
    say(rig, run_at=NOW + 100)

    say(rig)

    assert (rig.take_changes(), rig.grab(rig.worker())) == ([], b"H:1")


def test_replacing_submit_takes_a_waiting_jobs_place(rig):
    first = keep(rig)

    second = say(rig, OnConflict.REPLACE)

    finished, accepted = rig.take_changes()
    assert (finished.handle, finished.outcome, finished.failure.message) == (
        first,
        Outcome.CANCELLED,
        "the job H:2 took its place",
    )
    assert (accepted.handle, second) == (b"H:2", b"H:2")


def test_replaced_job_never_runs(rig):
    keep(rig, run_at=NOW + 100)
    second = keep(rig, OnConflict.REPLACE)

    rig.pass_time(100.0)

    assert rig.drain(rig.worker()) == [second]


def test_job_that_is_not_committed_yet_may_be_replaced(rig):
    say(rig)
    second = say(rig, OnConflict.REPLACE)

    rig.commit()

    assert rig.drain(rig.worker()) == [second]


def test_running_job_is_joined_instead_of_replaced(rig):
    first = keep(rig)
    rig.start(rig.worker())

    assert say(rig, OnConflict.REPLACE) == first


def test_replacement_needs_no_room(rig):
    keep(rig)
    rig.queue.limit_function(RESIZE, (1, 1, 1))

    assert keep(rig, OnConflict.REPLACE) == b"H:2"
    with pytest.raises(QueueFull):
        rig.submit_background()


def test_job_that_is_unique_while_queued_lets_others_in_from_its_start_on(rig):
    worker, first = rig.worker(), keep(rig, terms=QUEUED)
    assert keep(rig, terms=QUEUED) == first
    rig.start(worker)

    (started,) = [change for change in rig.take_changes() if isinstance(change, Started)]
    assert started.frees_unique
    assert keep(rig, terms=QUEUED) == b"H:3"


def test_other_jobs_keep_their_unique_when_they_start(rig):
    worker, first = rig.worker(), keep(rig)
    rig.start(worker)

    (started,) = rig.take_changes()
    assert (started.frees_unique, say(rig)) == (False, first)


def test_lost_job_does_not_take_its_unique_back(rig):
    worker = rig.worker()
    first = keep(rig, terms=QUEUED)
    rig.start(worker)
    second = keep(rig, terms=QUEUED)
    rig.disconnect(worker)

    assert keep(rig, terms=QUEUED) == second
    assert rig.drain(rig.worker()) == [second, first]


def test_end_of_a_job_without_its_unique_leaves_the_others_alone(rig):
    worker = rig.worker()
    first = keep(rig, terms=QUEUED)
    rig.start(worker)
    second = keep(rig, terms=QUEUED)

    rig.complete(worker, first)

    assert keep(rig, terms=QUEUED) == second


@pytest.mark.parametrize(("attempt", "is_held"), [(0, True), (1, False)])
def test_restored_job_holds_its_unique_until_its_first_start(rig, attempt, is_held):
    stored = make_stored(b"H:old", unique=b"u1", attempt=attempt)
    stored.terms = QUEUED

    rig.queue.restore([stored], now=rig.now)

    assert rig.queue.get_status_unique(b"u1") == StatusView(is_known=is_held)


def test_replaced_job_ends_once(rig):
    first = keep(rig)
    say(rig, OnConflict.REPLACE)

    ends = [change for change in rig.take_changes() if isinstance(change, Finished)]

    assert [end.handle for end in ends] == [JobHandle(first)]
