"""What gearmand loses or runs twice (PROTOCOL, section 7): each found by probing it, none to be shared.

Left out are what is no business of the queue: the store's keys (f), numbers on the wire (h).
"""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Accepted, Finished, Forgotten, JobDetails, Outcome
from gearjobs.core.effects import NewsKind
from tests.support.core_builders import NOW, RESIZE, background, foreground
from tests.support.core_stages import QueueRig


@pytest.fixture
def rig():
    return QueueRig()


def recorded(rig):
    return [type(change) for change in rig.take_changes()]


def test_7a_queued_background_job_survives_a_foreground_client_that_joined_and_left(rig):
    handle, joiner = rig.submit_background(unique=b"u1"), rig.client()
    rig.submit(joiner, unique=b"u1")

    rig.disconnect(joiner)

    assert rig.grab(rig.worker()) == handle


def test_7a_job_being_stored_survives_a_foreground_client_that_joined_and_left(rig):
    joiner = rig.client()
    handle = rig.receipt(rig.client(), background(unique=b"u1")).handle
    rig.submit(joiner, unique=b"u1")

    rig.disconnect(joiner)
    rig.commit()

    assert rig.grab(rig.worker()) == handle


def test_7a_outcome_of_a_background_job_is_kept_though_a_client_joined_and_left(rig):
    joiner, worker = rig.client(), rig.worker()
    handle = rig.submit_background(unique=b"u1")
    rig.submit(joiner, unique=b"u1")
    rig.start(worker)
    rig.disconnect(joiner)

    rig.complete(worker, handle)

    assert Finished(handle, Outcome.SUCCEEDED, b"done", NOW) in rig.take_changes()


def test_7a_background_job_whose_joiner_left_is_run_again_when_its_worker_is_lost(rig):
    joiner, worker = rig.client(), rig.worker()
    handle = rig.submit_background(unique=b"u1")
    rig.submit(joiner, unique=b"u1")
    rig.start(worker)
    rig.disconnect(joiner)

    rig.disconnect(worker)

    assert rig.grab(rig.worker()) == handle


@pytest.mark.parametrize("submission", [foreground(unique=b"u1"), background(unique=b"u1")])
def test_7b_submit_with_the_unique_of_an_abandoned_job_makes_a_job_that_runs(rig, submission):
    leaver = rig.client()
    abandoned = rig.submit(leaver, unique=b"u1")
    rig.disconnect(leaver)

    handle = rig.receipt(rig.client(), submission).handle
    rig.commit()

    assert handle != abandoned
    assert rig.grab(rig.worker()) == handle


def test_7b_client_that_joined_an_abandoned_running_job_is_told_its_end(rig):
    leaver, joiner, worker = rig.client(), rig.client(), rig.worker()
    rig.submit(leaver, unique=b"u1")
    handle = rig.start(worker)
    rig.disconnect(leaver)

    rig.submit(joiner, unique=b"u1")
    rig.complete(worker, handle)

    assert [(news.connection, news.kind) for news in rig.take_news()] == [(joiner, NewsKind.COMPLETE)]


def test_7b_abandoned_running_job_that_was_joined_is_run_again_when_its_worker_is_lost(rig):
    leaver, worker = rig.client(), rig.worker()
    handle = rig.submit(leaver, unique=b"u1")
    rig.start(worker)
    rig.disconnect(leaver)
    rig.submit(rig.client(), unique=b"u1")

    rig.disconnect(worker)

    assert rig.grab(rig.worker()) == handle


@pytest.mark.parametrize("submission", [foreground(unique=b"u1"), background(unique=b"u1")])
def test_7b_submit_with_the_unique_of_a_cancelled_job_makes_a_job_that_runs(rig, submission):
    cancelled = rig.submit_background(unique=b"u1")
    rig.queue.cancel_job(cancelled, now=rig.now)

    handle = rig.receipt(rig.client(), submission).handle
    rig.commit()

    assert handle != cancelled
    assert rig.grab(rig.worker()) == handle


def test_7c_background_submit_that_joins_a_foreground_job_is_stored(rig):
    rig.submit(rig.client(), unique=b"u1")

    receipt = rig.receipt(rig.client(), background(unique=b"u1"))

    assert (recorded(rig), receipt.awaits_store) == ([Accepted], True)


def test_7c_background_submit_that_joins_a_running_foreground_job_is_stored(rig):
    rig.submit(rig.client(), unique=b"u1")
    rig.start(rig.worker())

    receipt = rig.receipt(rig.client(), background(unique=b"u1"))

    assert (recorded(rig), receipt.awaits_store) == ([Accepted], True)


def test_7c_foreground_job_that_a_background_submit_joined_outlives_its_client(rig):
    client = rig.client()
    handle = rig.submit(client, unique=b"u1")
    rig.submit_background(unique=b"u1")

    rig.disconnect(client)

    assert rig.grab(rig.worker()) == handle


def test_7c_foreground_job_whose_upgrade_was_refused_ends_with_its_client(rig):
    # Its background submitter heard ERROR: nobody waits for it any more.
    client = rig.client()
    rig.submit(client, unique=b"u1")
    rig.receipt(rig.client(), background(unique=b"u1"))

    rig.disconnect(client)
    rig.refuse()

    assert rig.grab(rig.worker()) is None


def test_7c_refused_upgrade_leaves_the_foreground_client_its_job(rig):
    client, worker = rig.client(), rig.worker()
    handle = rig.submit(client, unique=b"u1")
    rig.receipt(rig.client(), background(unique=b"u1"))
    rig.refuse()

    rig.complete(worker, rig.start(worker))

    news = rig.take_news()
    assert [(one.connection, one.handle, one.awaits_store) for one in news] == [(client, handle, False)]


def test_7c_details_of_the_joining_background_submit_are_stored(rig):
    # Ours, not gearmand's: the row named neither its task nor who enqueued it, who then was not let see it.
    details = JobDetails(task="shop.tasks.resize", enqueued_by="7")
    handle = rig.submit(rig.client(), unique=b"u1")

    rig.receipt(rig.client(), background(unique=b"u1", details=details))

    assert rig.take_changes() == [Accepted(handle, RESIZE, b"u1", b"photo", 0, 0.0, NOW, details)]


def test_7d_client_of_a_cancelled_running_job_hears_of_one_end(rig):
    client, worker = rig.client(), rig.worker()
    handle = rig.submit(client)
    rig.start(worker)

    rig.queue.cancel_job(handle, now=rig.now)
    rig.complete(worker, handle)

    assert [(news.connection, news.kind) for news in rig.take_news()] == [(client, NewsKind.FAIL)]


def test_7e_unique_of_64_bytes_and_its_payload_reach_the_worker_whole(rig):
    rig.submit(rig.client(), unique=b"u" * 64, payload=b"photo")

    job = rig.queue.grab_job(rig.worker(), now=NOW)

    assert job is not None
    assert (job.unique, job.payload) == (b"u" * 64, b"photo")


@pytest.mark.parametrize("submission", [foreground(unique=b"u1"), background(unique=b"u1")])
def test_7g_submit_with_the_unique_of_a_dropped_job_makes_a_job_that_runs(rig, submission):
    dropped = rig.submit_background(unique=b"u1")
    rig.queue.drop_function(RESIZE)

    handle = rig.receipt(rig.client(), submission).handle
    rig.commit()

    assert handle != dropped
    assert rig.grab(rig.worker()) == handle


def test_7g_row_of_a_dropped_job_is_deleted(rig):
    handle = rig.submit_background()

    rig.queue.drop_function(RESIZE)

    assert rig.take_changes() == [Forgotten(handle)]
