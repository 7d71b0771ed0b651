"""Running jobs that are told to stop: CANCEL_JOB without force, the notice to the worker, and what ends them."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import CancelAsked, Finished, JobFailure, Outcome, Started
from gearjobs.core.effects import CancelNotice, NewsKind, OutcomeSettled
from gearjobs.core.jobs import JobHandle
from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.core.submission import CancelReceipt, CancelVerdict
from gearjobs.errors import JobUnknown
from tests.support.core_builders import NOW, background, make_stored, make_stored_run
from tests.support.core_stages import QueueRig

ASKED, CANCELLED = CancelVerdict.ASKED, CancelVerdict.CANCELLED


@pytest.fixture
def rig():
    return QueueRig()


@pytest.fixture
def worker(rig):
    return rig.heedful_worker()


@pytest.fixture
def running(rig, worker):
    """A stored job in its first run."""
    rig.submit_background()
    handle = rig.start(worker, is_resumable=True)
    rig.commit()
    rig.effects.clear()
    return handle


def cancel(rig, handle, *, is_forced=False):
    return rig.queue.cancel_job(handle, is_forced=is_forced, now=rig.now)


def ends(rig):
    return [change for change in rig.take_changes() if isinstance(change, Finished)]


def give_back(rig, worker):
    rig.queue.reset_abilities(worker, now=rig.now)


@pytest.mark.parametrize("run_at", [0.0, NOW + 60])
def test_job_that_has_not_started_ends_at_once(rig, run_at):
    handle = rig.submit_background(run_at=run_at)

    receipt = cancel(rig, handle)

    assert (receipt, ends(rig)) == (CancelReceipt(CANCELLED, True), [Finished(handle, Outcome.CANCELLED, b"", NOW)])


def test_foreground_job_ends_without_a_commit(rig):
    assert cancel(rig, rig.submit(rig.client())) == CancelReceipt(CANCELLED)


def test_job_whose_acceptance_is_not_committed_ends_after_it(rig):
    handle = rig.receipt(rig.client(), background()).handle

    assert cancel(rig, handle) == CancelReceipt(CANCELLED, True)


def test_worker_of_a_running_job_is_asked_to_stop_it(rig, worker, running):
    receipt = cancel(rig, running)

    assert (receipt, rig.take_notices()) == (CancelReceipt(ASKED, True), [CancelNotice(worker, running, False)])


def test_wish_to_stop_is_recorded_and_the_job_goes_on(rig, running):
    cancel(rig, running)

    assert (rig.take_changes(), rig.queue.get_status(running).is_running) == ([CancelAsked(running, NOW)], True)


def test_wish_that_is_repeated_is_recorded_once_and_told_again(rig, worker, running):
    cancel(rig, running)
    rig.effects.clear()

    receipt = cancel(rig, running)

    assert (receipt.verdict, rig.effects) == (ASKED, [CancelNotice(worker, running, False)])


def test_foreground_job_is_asked_to_stop_without_a_record(rig, worker):
    handle = rig.submit(rig.client())
    rig.start(worker, is_resumable=True)

    receipt = cancel(rig, handle)

    assert (receipt, rig.effects) == (CancelReceipt(ASKED), [CancelNotice(worker, handle, False)])


def test_job_of_a_worker_that_does_not_hear_ends_at_once(rig):
    rig.submit_background()
    handle = rig.start(rig.worker())

    assert (cancel(rig, handle).verdict, rig.take_notices(), len(ends(rig))) == (CANCELLED, [], 1)


def test_forced_cancel_ends_the_run_and_tells_the_worker(rig, worker, running):
    receipt = cancel(rig, running, is_forced=True)

    assert (receipt.verdict, rig.take_notices()) == (CANCELLED, [CancelNotice(worker, running, True)])
    assert ends(rig) == [Finished(running, Outcome.CANCELLED, b"", NOW)]


def test_late_report_of_a_job_that_ended_by_force_is_passed_over(rig, worker, running):
    cancel(rig, running, is_forced=True)
    rig.effects.clear()

    rig.complete(worker, running)

    assert rig.effects == [OutcomeSettled(worker, running)]


def test_force_ends_a_job_that_was_asked_to_stop(rig, running):
    cancel(rig, running)

    assert (cancel(rig, running, is_forced=True).verdict, len(ends(rig))) == (CANCELLED, 1)


def test_job_that_is_done_before_it_could_stop_has_succeeded(rig, worker, running):
    cancel(rig, running)

    rig.complete(worker, running)

    assert [end.outcome for end in ends(rig)] == [Outcome.SUCCEEDED]


def test_job_that_stopped_is_cancelled_and_its_client_hears_that_it_failed(rig, worker):
    client = rig.client()
    handle = rig.submit(client)
    rig.start(worker)
    cancel(rig, handle)

    rig.fail_ext(worker, handle, outcome=Outcome.CANCELLED)

    assert [news.kind for news in rig.take_news()] == [NewsKind.FAIL]


@pytest.mark.parametrize("lose", [lambda rig, worker: rig.disconnect(worker), give_back])
def test_job_that_was_asked_to_stop_does_not_run_again(rig, worker, running, lose):
    cancel(rig, running)
    rig.effects.clear()

    lose(rig, worker)

    assert [end.outcome for end in ends(rig)] == [Outcome.CANCELLED]


def test_orphan_is_told_when_its_worker_is_back(rig, worker, running):
    rig.disconnect(worker, was_cut=True)
    receipt = cancel(rig, running)
    before = rig.take_notices()
    again = rig.heedful_worker()

    verdict = rig.resume(again, running)

    assert (receipt.verdict, before, verdict) == (ASKED, [], ResumeVerdict.ACCEPTED)
    assert rig.take_notices() == [CancelNotice(again, running, False)]


def test_orphan_whose_worker_does_not_come_back_is_cancelled(rig, worker, running):
    rig.disconnect(worker, was_cut=True)
    cancel(rig, running)
    rig.effects.clear()

    rig.pass_time(40.0)

    failure = JobFailure(message="server or connection lost at attempt 1, and no retry is left")
    assert ends(rig) == [Finished(running, Outcome.CANCELLED, b"", NOW + 40, failure)]


def test_orphan_whose_worker_cannot_come_back_ends_at_once(rig):
    stored = make_stored_run(is_resumable=False)
    rig.queue.restore([stored], now=NOW)

    assert cancel(rig, stored.handle).verdict is CANCELLED


def test_restored_run_is_told_to_stop_when_its_worker_is_back(rig, worker):
    stored = make_stored_run()
    stored.is_cancel_asked = True
    rig.queue.restore([stored], now=NOW)

    rig.resume(worker, stored.handle)

    assert rig.take_notices() == [CancelNotice(worker, stored.handle, False)]


def test_restored_job_that_was_to_stop_and_does_not_run_is_cancelled(rig):
    stored = make_stored(attempt=1)
    stored.is_cancel_asked = True

    rig.queue.restore([stored], now=NOW)

    assert (ends(rig), rig.grab(rig.worker())) == ([Finished(stored.handle, Outcome.CANCELLED, b"", NOW)], None)


def test_wish_to_stop_an_upgraded_job_is_recorded_when_its_acceptance_is_committed(rig, worker):
    rig.submit(rig.client(), unique=b"u1")
    handle = rig.start(worker, is_resumable=True)
    rig.receipt(rig.client(), background(unique=b"u1"))
    cancel(rig, handle)
    accepted, *others = rig.take_changes()

    rig.queue.committed(accepted, now=NOW)

    assert (others, [type(change) for change in rig.take_changes()]) == ([], [Started, CancelAsked])


@pytest.mark.parametrize("is_forced", [False, True])
def test_job_that_is_over_is_unknown(rig, worker, running, is_forced):
    rig.complete(worker, running)

    with pytest.raises(JobUnknown):
        cancel(rig, running, is_forced=is_forced)


def test_job_that_never_was_is_unknown(rig):
    with pytest.raises(JobUnknown, match="no live job has the handle"):
        cancel(rig, JobHandle(b"H:nobody"))
