"""Acceptances that the store did not keep, because it holds a live job of that unique already."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import Accepted
from gearjobs.core.effects import News, NewsKind
from gearjobs.core.jobs import JobHandle
from tests.support.core_builders import background
from tests.support.core_stages import QueueRig

#: The live job, of another server.
OTHER = JobHandle(b"H:other")


@pytest.fixture
def rig():
    return QueueRig()


@pytest.fixture
def client(rig):
    return rig.client()


def join(rig):
    """Play a store that has a live job of the unique of every acceptance recorded so far."""
    for change in rig.take_changes():
        if isinstance(change, Accepted):
            rig.queue.joined(change, OTHER, now=rig.now)


def submit_background(rig, client):
    return rig.receipt(client, background(unique=b"u1")).handle


def test_job_that_another_server_has_is_gone_without_a_trace(rig, client):
    handle = submit_background(rig, client)

    join(rig)

    assert rig.effects == []
    assert (rig.queue.jobs(), rig.queue.get_status(handle).is_known) == ([], False)
    assert rig.grab(rig.worker()) is None


def test_its_unique_is_free_here(rig, client):
    submit_background(rig, client)
    join(rig)

    again = submit_background(rig, client)

    assert rig.queue.get_status(again).is_known


def test_client_that_joined_it_meanwhile_hears_of_the_other_that_it_cannot_be_waited_for(rig, client):
    submit_background(rig, client)
    waiting = rig.client()
    rig.submit(waiting, unique=b"u1")

    join(rig)

    assert rig.take_news() == [News(waiting, NewsKind.FAIL, OTHER)]
    rig.disconnect(waiting)


def test_job_that_was_a_foreground_one_first_goes_on_as_such(rig, client):
    handle = rig.submit(client, unique=b"u1")
    submit_background(rig, client)

    join(rig)

    worker = rig.worker()
    assert rig.start(worker) == handle
    rig.complete(worker, handle)
    assert rig.effects == [News(client, NewsKind.COMPLETE, handle, (b"done",))]


def test_job_that_was_a_foreground_one_and_that_nobody_waits_for_any_more_is_dropped(rig, client):
    rig.submit(client, unique=b"u1")
    submit_background(rig, rig.client())
    rig.disconnect(client)

    join(rig)

    assert (rig.effects, rig.grab(rig.worker())) == ([], None)


def test_job_that_was_cancelled_meanwhile_is_forgotten(rig, client):
    handle = submit_background(rig, client)
    accepted = rig.take_changes()[0]
    rig.queue.cancel_job(handle, now=rig.now)
    rig.effects.clear()

    rig.queue.joined(accepted, OTHER, now=rig.now)

    assert (rig.effects, rig.queue.get_status(handle).is_known) == ([], False)


def test_job_that_is_not_known_any_more_is_passed_over(rig, client):
    submit_background(rig, client)
    accepted = rig.take_changes()[0]
    rig.queue.joined(accepted, OTHER, now=rig.now)

    rig.queue.joined(accepted, OTHER, now=rig.now)

    assert rig.effects == []
