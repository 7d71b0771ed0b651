"""Workers that fail fast: who is benched, what that means, and how it ends."""

from __future__ import annotations

import pytest

from gearjobs.core.effects import Benched
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.quarantine import BenchRules
from tests.support.core_builders import MAIL, RESIZE
from tests.support.core_stages import QueueRig

#: Two failures are forgiven, the third one benches for three seconds at a time.
RULES = BenchRules(failures=2, window_s=60.0, fast_s=1.0, interval_s=3.0)


def make_rig(bench: BenchRules = RULES) -> QueueRig:
    return QueueRig(QueueRules(bench=bench))


@pytest.fixture
def rig():
    return make_rig()


def submit(rig, count=1, function=RESIZE):
    return [rig.submit_background(function=function) for _ in range(count)]


def fail(rig, worker, count=1, *, after_s=0.0):
    """Let the worker take and fail jobs, each so long after its start."""
    for _ in range(count):
        handle = rig.start(worker)
        rig.pass_time(after_s)
        rig.fail(worker, handle)


def benched(rig):
    return {view.connection for view in rig.queue.peers() if view.benched}


def test_worker_that_fails_fast_is_benched(rig):
    worker = rig.worker()
    submit(rig, 4)

    fail(rig, worker, 3)

    assert benched(rig) == {worker}
    assert rig.grab(worker) is None


def test_failures_up_to_the_bound_are_forgiven(rig):
    worker = rig.worker()
    submit(rig, 3)

    fail(rig, worker, 2)

    assert benched(rig) == set()
    assert rig.grab(worker) is not None


def test_exceptions_are_failures_too(rig):
    worker = rig.worker()
    submit(rig, 3)

    for _ in range(3):
        rig.raise_exception(worker, rig.start(worker))

    assert benched(rig) == {worker}


def test_benched_worker_gets_a_job_now_and_then(rig):
    worker = rig.worker()
    submit(rig, 100)
    fail(rig, worker, 3)

    got = 0
    for _ in range(120):
        rig.pass_time(0.5)
        if (handle := rig.grab(worker)) is not None:
            rig.fail(worker, handle)
            got += 1

    assert got == 20


def test_foreground_jobs_of_the_only_worker_are_not_held_back(rig):
    # gearmand's own tests let one worker answer a hundred clients' jobs with exceptions.
    worker, client = rig.worker(), rig.client()
    for _ in range(5):
        rig.submit(client)

    fail(rig, worker, 5)

    assert benched(rig) == set()


def test_foreground_jobs_are_kept_for_a_worker_that_is_not_benched(rig):
    worker, client = rig.worker(), rig.client()
    rig.worker()
    for _ in range(4):
        rig.submit(client)

    fail(rig, worker, 3)

    assert benched(rig) == {worker}


def test_black_hole_leaves_the_queue_to_the_healthy_worker():
    # With gearmand such a worker runs all of them.
    rig = make_rig(BenchRules())
    black_hole, healthy = rig.worker(), rig.worker()
    submit(rig, 2000)

    done = 0
    while (handle := rig.grab(healthy)) is not None:
        while (lost := rig.grab(black_hole)) is not None:
            rig.fail(black_hole, lost)
        rig.pass_time(0.01)
        rig.complete(healthy, handle)
        done += 1

    assert done >= 1950


def test_failure_that_took_its_time_is_no_fast_one(rig):
    worker = rig.worker()
    submit(rig, 4)

    fail(rig, worker, 4, after_s=1.0)

    assert benched(rig) == set()


@pytest.mark.parametrize(
    "end_well",
    [lambda rig, worker: fail(rig, worker, after_s=1.0), lambda rig, worker: rig.complete(worker, rig.start(worker))],
)
def test_job_that_was_done_properly_makes_up_for_the_failures_before(rig, end_well):
    worker = rig.worker()
    submit(rig, 5)
    fail(rig, worker, 2)

    end_well(rig, worker)
    fail(rig, worker, 2)

    assert benched(rig) == set()


def test_failures_far_apart_are_no_row(rig):
    worker = rig.worker()
    submit(rig, 4)

    for _ in range(4):
        fail(rig, worker)
        rig.pass_time(30.0)

    assert benched(rig) == set()


def test_no_bound_benches_nobody():
    rig = make_rig(BenchRules(failures=0))
    worker = rig.worker()
    submit(rig, 50)

    fail(rig, worker, 50)

    assert benched(rig) == set()


def test_success_ends_the_bench(rig):
    worker = rig.worker()
    submit(rig, 6)
    fail(rig, worker, 3)
    rig.pass_time(3.0)

    rig.complete(worker, rig.start(worker))

    assert benched(rig) == set()
    assert len(rig.drain(worker)) == 2


def test_further_failures_keep_the_worker_benched(rig):
    worker = rig.worker()
    submit(rig, 5)
    fail(rig, worker, 3)
    rig.pass_time(3.0)

    fail(rig, worker)

    assert benched(rig) == {worker}
    assert rig.grab(worker) is None


def test_bench_is_for_one_function(rig):
    worker = rig.worker(RESIZE, MAIL)
    submit(rig, 4)
    mails = submit(rig, 2, MAIL)
    for _ in range(4):
        handle = rig.start(worker)
        if handle in mails:
            rig.complete(worker, handle)
        else:
            rig.fail(worker, handle)

    fail(rig, worker)

    assert [view.benched for view in rig.queue.peers() if view.benched] == [(RESIZE,)]
    submit(rig, 1, MAIL)
    assert rig.grab(worker) is not None


def test_bench_is_for_one_connection(rig):
    worker, other = rig.worker(), rig.worker()
    submit(rig, 4)

    fail(rig, worker, 3)

    assert rig.grab(other) is not None


def test_benched_worker_sleeps_though_a_job_waits_and_is_woken_in_its_time(rig):
    worker = rig.worker()
    submit(rig, 4)
    fail(rig, worker, 3)
    assert rig.grab(worker) is None

    rig.queue.pre_sleep(worker, now=rig.now)
    asleep = rig.take_woken()
    rig.pass_time(3.0)

    assert (asleep, rig.take_woken()) == ([], [worker])


def test_benched_worker_is_not_woken_for_a_new_job(rig):
    worker = rig.worker()
    submit(rig, 3)
    fail(rig, worker, 3)
    rig.queue.pre_sleep(worker, now=rig.now)

    submit(rig)

    assert rig.take_woken() == []


def test_call_to_a_worker_that_is_benched_goes_to_another(rig):
    # A worker may go to sleep with a job in hand, and fail it then.
    worker, other = rig.worker(), rig.worker()
    submit(rig, 3)
    fail(rig, worker, 2)
    held = rig.start(worker)
    rig.queue.pre_sleep(worker, now=rig.now)
    submit(rig)
    rig.take_woken()
    rig.queue.pre_sleep(other, now=rig.now)
    rig.take_woken()

    rig.fail(worker, held)

    assert rig.queue.next_due() is not None
    assert rig.grab(other) is not None


def test_sleeper_that_is_forgiven_is_called_again(rig):
    worker = rig.worker()
    submit(rig, 4)
    held = rig.start(worker)
    fail(rig, worker, 3)
    rig.queue.pre_sleep(worker, now=rig.now)
    submit(rig)

    rig.complete(worker, held)

    assert (benched(rig), rig.take_woken()) == (set(), [worker])


def test_queue_has_something_to_do_when_a_pause_ends(rig):
    worker = rig.worker()
    submit(rig, 3)
    fail(rig, worker, 3)

    assert rig.queue.next_due() == rig.now + 3.0


@pytest.mark.parametrize(
    "leave",
    [
        lambda rig, worker: rig.disconnect(worker),
        lambda rig, worker: rig.queue.cant_do(worker, RESIZE, now=rig.now),
    ],
)
def test_bench_ends_with_the_connection_or_the_ability(rig, leave):
    worker = rig.worker()
    submit(rig, 4)
    fail(rig, worker, 3)

    leave(rig, worker)
    rig.pass_time(3.0)

    assert benched(rig) == set()
    assert [load.benched for load in rig.queue.loads()] == [0]


def test_operator_hears_of_a_benched_worker_once(rig):
    worker = rig.worker()
    submit(rig, 4)
    fail(rig, worker, 3)
    rig.pass_time(3.0)
    fail(rig, worker)

    assert [effect for effect in rig.effects if isinstance(effect, Benched)] == [Benched(worker, RESIZE)]


def test_benched_workers_are_counted(rig):
    worker = rig.worker()
    submit(rig, 3)

    fail(rig, worker, 3)

    assert [(load.workers, load.benched) for load in rig.queue.loads()] == [(1, 1)]


def test_pause_lasts_as_long_whatever_the_clock_is_set_to(rig):
    worker = rig.worker()
    submit(rig, 4)
    fail(rig, worker, 3)

    rig.queue.clock_set(3600.0)

    rig.pass_time(3602.9)
    assert rig.grab(worker) is None
    rig.pass_time(0.2)
    assert rig.grab(worker) is not None


def test_clock_that_is_set_benches_nobody_again(rig):
    worker, other = rig.worker(), rig.worker()
    submit(rig, 5)
    fail(rig, worker, 3)
    rig.queue.cant_do(worker, RESIZE, now=rig.now)
    rig.queue.can_do(worker, RESIZE, now=rig.now)

    rig.queue.clock_set(3600.0)

    assert (rig.grab(worker), rig.grab(other)) != (None, None)
    assert benched(rig) == set()


def test_failure_of_a_run_of_a_function_that_its_worker_has_not_registered_here_is_not_counted():
    rig = make_rig(BenchRules(failures=1))
    submit(rig, 3)
    runs = [rig.start(rig.worker(), is_resumable=True) for _ in range(3)]
    worker = rig.worker(MAIL)

    for handle in runs:
        rig.resume(worker, handle)
        rig.fail(worker, handle)

    assert benched(rig) == set()


def test_success_of_such_a_run_forgives_nothing_elsewhere(rig):
    submit(rig, 3, MAIL)
    worker = rig.worker(MAIL)
    fail(rig, worker, 2)
    rig.submit_background()
    handle = rig.start(rig.worker(), is_resumable=True)
    rig.resume(worker, handle)

    rig.complete(worker, handle)
    fail(rig, worker, 1)

    assert benched(rig) == {worker}
