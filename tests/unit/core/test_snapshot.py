"""What the admin lines and GET_STATUS are told."""

from __future__ import annotations

import pytest

from gearjobs.core.jobs import ConnectionId, JobHandle, JobState
from gearjobs.core.snapshot import (
    FunctionLoad,
    FunctionView,
    PeerView,
    RunView,
    StatusView,
    view_functions,
    view_jobs,
    view_loads,
    view_peers,
    view_status,
)
from tests.support.core_builders import MAIL, RESIZE, make_job, make_peer, make_queue, make_running, make_waiting


def test_function_is_shown_with_its_counts():
    queue = make_queue(make_waiting(priority=50), make_waiting(priority=50), make_waiting(), make_waiting(priority=-50))
    queue.running, queue.workers = 5, {ConnectionId(1), ConnectionId(2), ConnectionId(3)}

    assert view_functions([queue]) == [FunctionView(RESIZE, high=2, normal=1, low=1, running=5, workers=3)]


def test_delayed_jobs_count_as_normal_ones():
    queue = make_queue(make_waiting())
    queue.delayed = 4

    assert view_functions([queue])[0].normal == 5


def test_total_includes_running_jobs():
    assert FunctionView(RESIZE, high=1, normal=2, low=4, running=8, workers=16).total == 15


def test_functions_are_shown_in_the_order_of_their_first_mention():
    assert [view.name for view in view_functions([make_queue(name=MAIL), make_queue()])] == [MAIL, RESIZE]


def test_load_tells_delayed_jobs_from_waiting_ones_and_how_long_those_wait():
    job = make_waiting()
    job.queued_at = 10.0
    queue = make_queue(job)
    queue.delayed, queue.running, queue.workers = 4, 5, {ConnectionId(1)}

    assert view_loads([queue]) == [FunctionLoad(RESIZE, (0, 1, 0), 4, 5, 1, oldest_queued_at=10.0)]


def test_idle_function_has_no_oldest_job():
    assert view_loads([make_queue()])[0].oldest_queued_at is None


def test_connection_is_shown_with_its_functions():
    peer = make_peer(7, make_queue(), make_queue(name=MAIL))

    assert view_peers([peer]) == [PeerView(7, "10.0.0.7:5000", "-", (RESIZE, MAIL))]


def test_functions_at_which_a_worker_is_benched_are_shown():
    resize, mail = make_queue(), make_queue(name=MAIL)
    mail.benched.add(ConnectionId(7))

    assert view_peers([make_peer(7, resize, mail)])[0].benched == (MAIL,)
    assert [load.benched for load in view_loads([resize, mail])] == [0, 1]


def test_connection_that_only_submits_is_shown_too():
    assert view_peers([make_peer(7)])[0].functions == ()


@pytest.mark.parametrize(
    ("state", "attempt", "retries"),
    [
        (JobState.WAITING, 0, 0),
        (JobState.RUNNING, 1, 0),
        # Used to show 0 until the job was handed out again; gearmand counts when it is queued again.
        (JobState.WAITING, 1, 1),
        (JobState.RUNNING, 2, 1),
    ],
)
def test_retries_are_the_runs_that_were_cut_short(state, attempt, retries):
    job = make_job()
    job.state, job.attempt = state, attempt

    assert view_jobs([job])[0].retries == retries


@pytest.mark.parametrize(("is_background", "is_committed"), [(True, True), (True, False), (False, True)])
def test_only_committed_background_jobs_are_shown_as_kept(is_background, is_committed):
    job = make_job(is_background=is_background)
    job.is_kept = is_committed

    assert view_jobs([job])[0].is_kept is (is_background and is_committed)


def test_job_is_shown_with_handle_and_unique():
    view = view_jobs([make_job(b"H:9", unique=b"u1")])[0]

    assert (view.handle, view.unique) == (b"H:9", b"u1")


def test_job_that_ended_is_shown_no_more():
    job = make_job()
    job.state = JobState.ENDED

    assert view_jobs([job]) == []


def test_job_that_was_cancelled_before_it_ran_does_not_run_while_that_is_stored():
    job = make_job()
    job.state = JobState.ENDED

    assert view_status(job) == StatusView(is_known=True, is_running=False)


def test_status_of_an_unknown_job_is_all_zero():
    assert view_status(None) == StatusView(is_known=False, is_running=False, numerator=0, denominator=0, clients=0)


def test_status_of_a_waiting_job():
    assert view_status(make_waiting()) == StatusView(is_known=True, is_running=False)


def test_status_of_a_running_job_tells_how_far_it_is():
    job = make_running()
    job.numerator, job.denominator = 3, 10

    assert view_status(job) == StatusView(is_known=True, is_running=True, numerator=3, denominator=10)


def test_status_counts_the_clients_that_wait():
    job = make_waiting()
    job.clients = (ConnectionId(1), ConnectionId(2), ConnectionId(1))

    assert view_status(job).clients == 3


def test_job_whose_outcome_is_not_committed_yet_still_counts_as_running():
    job = make_running()
    job.state = JobState.ENDED

    assert view_status(job).is_running


def test_connection_is_shown_with_what_it_runs_and_waits_for():
    peer, job = make_peer(), make_running()
    job.started_at = 70.0
    peer.held[job.handle] = job
    peer.awaited[JobHandle(b"H:9")] = make_waiting(b"H:9")

    (view,) = view_peers([peer])

    assert (view.runs, view.awaited) == ((RunView(job.handle, RESIZE, started_at=70.0, attempt=1),), 1)
