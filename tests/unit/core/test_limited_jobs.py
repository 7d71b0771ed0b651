"""Jobs with limits from their submission to their end: who may start when, and whom that wakes."""

from __future__ import annotations

import pytest

from gearjobs.core.redelivery import Cut
from gearjobs.core.terms import JobTerms, Limit
from tests.support.core_builders import MAIL, NOW, RESIZE, background, make_stored_run
from tests.support.core_stages import QueueRig, Stage

DESK = JobTerms(limits=(Limit("desk", concurrency=1),))
SITE = JobTerms(limits=(Limit("site", rate=1, per_s=10.0),))


@pytest.fixture
def rig():
    return QueueRig()


def submit(rig, terms=DESK, function=RESIZE):
    return rig.submit_background(function=function, terms=terms)


def test_second_job_of_a_key_waits_for_the_first(rig):
    worker, other = rig.worker(), rig.worker()
    first, second = submit(rig), submit(rig)
    assert (rig.grab(worker), rig.grab(other)) == (first, None)

    rig.complete(worker, first)

    assert rig.grab(other) == second


def test_limit_holds_over_functions(rig):
    worker, other = rig.worker(), rig.worker(MAIL)
    first, second = submit(rig), submit(rig, function=MAIL)
    assert (rig.grab(worker), rig.grab(other)) == (first, None)

    rig.complete(worker, first)

    assert rig.grab(other) == second


def test_worker_whose_jobs_may_not_start_gets_others(rig):
    worker, other = rig.worker(), rig.worker()
    submit(rig)
    rig.start(worker)
    submit(rig)
    free = rig.submit_background()

    assert rig.grab(other) == free


def test_sleeper_is_woken_when_a_job_may_start_and_not_before(rig):
    worker = rig.worker()
    submit(rig)
    handle = rig.start(worker)
    sleeper = rig.sleeper()
    submit(rig)
    assert rig.take_woken() == []

    rig.complete(worker, handle)

    assert rig.take_woken() == [sleeper]


def test_worker_that_goes_to_sleep_is_not_woken_for_a_job_over_its_limit(rig):
    submit(rig)
    rig.start(rig.worker())
    submit(rig)

    rig.sleeper()

    assert rig.take_woken() == []


def test_sleeper_of_another_function_is_woken_when_its_job_may_start(rig):
    worker = rig.worker()
    submit(rig)
    handle = rig.start(worker)
    sleeper = rig.sleeper(MAIL)
    submit(rig, function=MAIL)

    rig.complete(worker, handle)

    assert rig.take_woken() == [sleeper]


def test_each_started_job_wakes_a_worker_for_the_next_that_may_start(rig):
    two = JobTerms(limits=(Limit("pair", rate=2, per_s=10.0),))
    worker = rig.worker()
    for _ in range(4):
        submit(rig, two)
    for _ in range(2):
        rig.complete(worker, rig.start(worker))
    sleepers = {rig.sleeper(), rig.sleeper()}
    rig.take_woken()

    rig.pass_time(10.0)
    (first,) = rig.take_woken()
    rig.start(first)

    assert {first, *rig.take_woken()} == sleepers


def test_rate_lets_the_next_job_start_when_its_time_is_over(rig):
    worker = rig.worker()
    submit(rig, SITE)
    rig.complete(worker, rig.start(worker))
    second = submit(rig, SITE)
    sleeper = rig.sleeper()
    assert rig.grab(worker) is None
    assert rig.queue.next_due() == NOW + 10

    rig.pass_time(10.0)

    assert (rig.take_woken(), rig.grab(worker)) == ([sleeper], second)


def test_rate_is_kept_through_a_clock_that_is_set(rig):
    worker = rig.worker()
    submit(rig, SITE)
    rig.complete(worker, rig.start(worker))
    submit(rig, SITE)

    rig.queue.clock_set(3600.0)
    rig.now += 3600.0

    assert rig.queue.next_due() == rig.now + 10
    rig.queue.tick(rig.now)
    assert rig.grab(worker) is None


@pytest.mark.parametrize(
    "end",
    [
        lambda rig, worker, handle: rig.complete(worker, handle),
        lambda rig, worker, handle: rig.fail(worker, handle),
        lambda rig, worker, handle: rig.raise_exception(worker, handle),
        lambda rig, worker, handle: rig.fail_ext(worker, handle, retry_in_s=60.0),
        lambda rig, worker, handle: rig.queue.cancel_job(handle, is_forced=True, now=rig.now),
    ],
    ids=["success", "failure", "exception", "retry", "cancel"],
)
def test_slot_is_free_after_each_end_of_a_run(rig, end):
    worker, other = rig.heedful_worker(), rig.worker()
    submit(rig)
    handle, second = rig.start(worker), submit(rig)

    end(rig, worker, handle)

    assert rig.grab(other) == second


@pytest.mark.parametrize("was_cut", [False, True])
def test_slot_is_free_after_the_loss_of_a_worker_that_cannot_come_back(rig, was_cut):
    worker, other = rig.worker(), rig.worker()
    submit(rig)
    rig.start(worker)
    second = submit(rig)

    rig.disconnect(worker, was_cut=was_cut)

    assert rig.grab(other) == second


def test_slot_is_free_when_a_worker_gives_its_job_back(rig):
    worker, other = rig.worker(), rig.worker()
    first = submit(rig)
    rig.start(worker)

    rig.queue.cant_do(worker, RESIZE, now=rig.now)

    assert rig.grab(other) == first


def test_orphan_keeps_its_slot_until_it_is_given_up(rig):
    worker, other = rig.worker(), rig.worker()
    submit(rig)
    rig.start(worker, is_resumable=True)
    second = submit(rig)

    rig.disconnect(worker, was_cut=True)
    assert rig.grab(other) is None
    rig.pass_time(60.0)

    assert rig.grab(other) == second


def test_worker_that_comes_back_has_the_slot_it_had(rig):
    worker, other = rig.worker(), rig.worker()
    submit(rig)
    handle = rig.start(worker, is_resumable=True)
    second = submit(rig)
    rig.disconnect(worker, was_cut=True)

    back = rig.worker()
    rig.resume(back, handle)
    assert rig.grab(other) is None
    rig.complete(back, handle)

    assert rig.grab(other) == second


def test_dropped_function_leaves_no_job_at_its_limits(rig):
    worker = rig.worker()
    submit(rig)
    handle = rig.start(worker)
    submit(rig, function=MAIL)

    rig.queue.drop_function(MAIL)
    rig.complete(worker, handle)

    assert [load.name for load in rig.queue.loads()] == [RESIZE]


def test_runs_of_before_a_restart_have_their_slots(rig):
    stored = make_stored_run(b"H:before")
    stored.terms = DESK
    rig.queue.restore([stored], now=rig.now)
    worker, handle = rig.worker(), submit(rig)
    assert rig.grab(worker) is None

    rig.pass_time(60.0)

    assert rig.grab(worker) == handle


def test_run_whose_worker_had_its_time_before_the_restart_has_no_slot(rig):
    stored = make_stored_run(b"H:before", owner_gone_s=3600.0)
    stored.terms = DESK

    rig.queue.restore([stored], now=rig.now)

    assert rig.grab(rig.worker()) == b"H:before"


def test_throttled_jobs_are_told(rig):
    submit(rig)
    rig.start(rig.worker())
    submit(rig)

    (load,) = rig.queue.loads()

    assert (load.waiting, load.throttled) == ((0, 1, 0), 1)


def test_job_that_a_worker_has_already_runs_whatever_its_limits(rig):
    worker, back = rig.worker(), rig.worker()
    submit(rig)
    first = rig.start(worker)
    second = submit(rig)

    rig.resume(back, second)
    rig.complete(worker, first)
    submit(rig)

    assert rig.grab(worker) is None


def test_foreground_job_keeps_its_terms_when_a_background_submit_joins_it(rig):
    client, worker, other = rig.client(), rig.worker(), rig.worker()
    handle = rig.submit(client, unique=b"u1")
    rig.receipt(client, background(unique=b"u1", terms=DESK))
    rig.commit()
    assert rig.grab(worker) == handle

    assert rig.grab(other) is None
    assert submit(rig) == rig.grab(other)


def test_lifecycle_gives_slots_back_when_a_run_is_cut_short():
    stage = Stage()
    job = stage.run(stage.keep(terms=DESK))

    stage.cut_short(job, Cut.TIMED_OUT)

    assert stage.queue.throttled == 0
    assert stage.queue.top_priority() == 0
