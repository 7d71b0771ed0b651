"""What each packet means to the queue and to the record; what the peers hear of it stands in the wire dialogues."""

from __future__ import annotations

import time
from itertools import chain
from typing import TypeVar

import pytest

from gearjobs.core.changes import (
    Accepted,
    Change,
    Finished,
    JobDetails,
    JobFailure,
    Outcome,
    Progressed,
    Started,
    Streamed,
)
from gearjobs.core.reattachment import ReattachRules
from gearjobs.errors import QueueRefusal
from gearjobs.protocol.attributes import FailureReport, SubmitAttributes, decode_assign, encode
from gearjobs.protocol.packets import PACKETS, PacketType, Sender
from gearjobs.server.assignments import Assignments
from gearjobs.server.dispatch import _translate
from tests.support.eventually import eventually
from tests.support.troubled_store import TroubledStore

T = PacketType
Kind = TypeVar("Kind", bound=Change)

#: What gearmand refuses as well.
NEVER_MADE = {T.ALL_YOURS}


class NobodysJobs:
    """Stands in for Durability: the lease has run out."""

    is_lease_held = False


@pytest.fixture
def running(client, worker):
    """A background job that the worker runs."""
    client.submit_background(b"resize")
    return worker.grab()[0]


def recorded(store: TroubledStore, kind: type[Kind]) -> Kind:
    """Return the one change of its kind, once it is committed."""

    def found() -> list[Kind]:
        return [change for change in chain.from_iterable(list(store.batches)) if isinstance(change, kind)]

    (change,) = eventually(found, 5.0, f"{kind.__name__} in the store")
    return change


def test_every_packet_of_a_peer_has_a_handler(server):
    from_peers = {number for number, spec in PACKETS.items() if spec.sender not in {Sender.SERVER, Sender.NOBODY}}

    assert set(server.server._dispatch._table) == from_peers - NEVER_MADE


@pytest.mark.parametrize(
    ("submit", "priority"),
    [(T.SUBMIT_JOB_BG, 0), (T.SUBMIT_JOB_HIGH_BG, 50), (T.SUBMIT_JOB_LOW_BG, -50)],
)
def test_background_job_is_recorded_as_it_came(store, client, submit, priority):
    client.say(submit, b"resize", b"photo7", b"\0\xff")
    handle = client.expect_body(T.JOB_CREATED)

    job = recorded(store, Accepted)
    assert (job.handle, job.function, job.unique, job.payload) == (handle, b"resize", b"photo7", b"\0\xff")
    assert (job.priority, job.run_at, job.reducer, job.details) == (priority, 0.0, b"", None)


@pytest.mark.parametrize("submit", [T.SUBMIT_JOB, T.SUBMIT_JOB_HIGH, T.SUBMIT_JOB_LOW])
def test_foreground_job_is_not_recorded(store, client, submit):
    client.say(submit, b"resize", b"", b"photo")
    client.expect(T.JOB_CREATED)

    assert store.batches == []


def test_time_of_an_epoch_job_is_recorded(store, client):
    client.say(T.SUBMIT_JOB_EPOCH, b"resize", b"", b"4000000000", b"photo")
    client.expect(T.ERROR)
    client.say(T.SUBMIT_JOB_EPOCH, b"resize", b"", b"1900000000", b"photo")
    client.expect(T.JOB_CREATED)

    assert recorded(store, Accepted).run_at == 1_900_000_000


def test_next_time_of_a_schedule_is_recorded(store, client):
    client.say(T.SUBMIT_JOB_SCHED, b"resize", b"", b"30", b"", b"", b"", b"", b"photo")
    client.expect(T.JOB_CREATED)

    job = recorded(store, Accepted)
    assert (time.localtime(job.run_at).tm_min, job.payload) == (30, b"photo")
    assert 0 < job.run_at - job.accepted_at <= 3600


def test_reducer_is_recorded(store, client):
    client.say(T.SUBMIT_REDUCE_JOB_BACKGROUND, b"count", b"", b"sum", b"", b"photo")
    client.expect(T.JOB_CREATED)

    assert recorded(store, Accepted).reducer == b"sum"


def test_what_a_gearjobs_client_says_of_a_job_is_recorded(store, client):
    said = SubmitAttributes(7, 1_900_000_000.5, "album.resize", "photos", "default", "42", {"trace": [1]})
    client.say(T.SUBMIT_JOB_EXT, b"H:me:1", b"resize", b"u", encode(said), b"photo")
    client.expect(T.JOB_CREATED)

    job = recorded(store, Accepted)
    assert (job.handle, job.priority, job.run_at) == (b"H:me:1", 7, 1_900_000_000.5)
    assert job.details == JobDetails("album.resize", "photos", "default", "42", {"trace": [1]})


def test_submit_that_objects_to_a_live_job_hears_its_handle(client):
    said = encode(SubmitAttributes(terms={"on_conflict": "raise"}))
    client.say(T.SUBMIT_JOB_EXT, b"H:me:1", b"resize", b"u", said, b"photo")
    client.expect(T.JOB_CREATED)

    client.say(T.SUBMIT_JOB_EXT, b"H:me:2", b"resize", b"u", said, b"photo")

    text = b"a job of b'resize' with the unique b'u' is not finished: H:me:1"
    assert client.expect(T.ERROR) == [b"UNIQUE_TAKEN", text]


def test_result_is_recorded(store, worker, running):
    worker.say(T.WORK_COMPLETE, running, b"\0thumb")

    end = recorded(store, Finished)
    assert (end.handle, end.outcome, end.result, end.failure) == (running, Outcome.SUCCEEDED, b"\0thumb", None)


def test_failure_without_a_reason_is_recorded_as_one(store, worker, running):
    worker.say(T.WORK_FAIL, running)

    end = recorded(store, Finished)
    assert (end.outcome, end.result) == (Outcome.FAILED, b"")
    assert end.failure == JobFailure(message="the worker reported WORK_FAIL without a reason")


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"no paper", "no paper"), ("kein Papier: ä".encode(), "kein Papier: ä"), (b"\xff\0x", "�" + "�x"), (b"", "")],
)
def test_exception_is_recorded_as_text(store, worker, running, body, message):
    worker.say(T.WORK_EXCEPTION, running, body)

    assert recorded(store, Finished).failure == JobFailure(message=message)


def test_failure_report_is_recorded_whole(store, worker, running):
    worker.say(T.WORK_FAIL_EXT, running, encode(FailureReport("shop.NoPaper", "empty", "Traceback ...")))

    assert recorded(store, Finished).failure == JobFailure("shop.NoPaper", "empty", "Traceback ...")


def test_failure_report_that_cannot_be_read_ends_the_job_all_the_same(store, worker, running):
    worker.say(T.WORK_FAIL_EXT, running, b"no JSON")

    failure = recorded(store, Finished).failure
    assert failure is not None
    assert "cannot be read" in failure.message


def test_progress_is_recorded_as_numbers(store, worker, running):
    worker.say(T.WORK_STATUS, running, b"2.5", b"ten")

    progress = recorded(store, Progressed)
    assert (progress.numerator, progress.denominator, progress.message) == (2.5, 0.0, "")


def test_progress_in_words_is_recorded(store, worker, running):
    worker.say(T.WORK_STATUS_EXT, running, b"1", b"2", "half\0way ä".encode() + b"\xff")

    progress = recorded(store, Progressed)
    assert (progress.numerator, progress.denominator, progress.message) == (1.0, 2.0, "half�way ä�")


@pytest.mark.parametrize(("packet", "is_warning"), [(T.WORK_DATA, False), (T.WORK_WARNING, True)])
def test_pieces_are_recorded(store, worker, running, packet, is_warning):
    worker.say(packet, running, b"a\0b")

    piece = recorded(store, Streamed)
    assert (piece.handle, piece.is_warning, piece.body) == (running, is_warning, b"a\0b")


def test_worker_is_recorded_by_its_name(store, client, worker):
    worker.say(T.SET_CLIENT_ID, b"press \xff\n" + b"x" * 200)
    client.submit_background(b"resize")
    handle, _ = worker.grab()

    job = eventually(lambda: store.unfinished[handle].was_running and store.unfinished[handle], 5.0, "the start")
    assert job.worker_ids == ["press \\xff\\x0a" + "x" * 119]


def test_nudge_adopts_what_clients_inserted(server, client, worker):
    server.insert(b"H:row:1", function=b"resize", payload=b"photo")

    client.say(T.ADOPT_JOBS)
    worker.say(T.PRE_SLEEP)
    worker.expect(T.NOOP)

    assert worker.grab() == (b"H:row:1", b"photo")


def test_refusal_that_has_no_packet_is_a_bug():
    with pytest.raises(AssertionError, match="no ERROR packet is known for QueueRefusal"):
        _translate(QueueRefusal("why not"), T.ECHO_REQ)


def test_start_that_its_worker_may_come_back_to_is_recorded_as_such(store, running):
    # `running` came by a plain GRAB_JOB, whose worker could not tell its attempt.
    assert recorded(store, Started).is_resumable is False


def test_start_by_the_extension_is_recorded_as_resumable(store, client, worker):
    client.submit_background(b"resize")
    worker.say(T.GRAB_JOB_EXT)
    worker.expect_body(T.JOB_ASSIGN_EXT)

    assert recorded(store, Started).is_resumable


@pytest.mark.parametrize("report", [T.WORK_FAIL, T.WORK_FAIL_EXT, T.WORK_EXCEPTION, T.WORK_COMPLETE])
def test_end_of_a_job_that_is_not_the_workers_is_settled(worker, report):
    worker.say(report, b"H:nobody", *([b"{}"] if report != T.WORK_FAIL else []))

    assert worker.expect(T.OUTCOME_SETTLED) == [b"H:nobody"]
    worker.expect(T.ERROR)
    worker.expect_quiet()


def test_worker_may_not_go_on_where_the_server_does_not_surely_own_its_jobs(server, worker):
    server.server._dispatch._durability = NobodysJobs()

    worker.say(T.RENEW_JOBS)

    assert worker.expect(T.RENEW_RES) == [b"0"]


def test_worker_is_told_the_servers_own_times(store, server, client, worker):
    server.server._dispatch._assignments = Assignments(ReattachRules(lease_s=3.0, resume_s=7.5))
    client.submit_background(b"resize")

    worker.say(T.GRAB_JOB_EXT)

    attributes = decode_assign(worker.expect(T.JOB_ASSIGN_EXT)[3])
    assert (attributes.lease_s, attributes.resume_s) == (3.0, 7.5)


def test_worker_that_comes_back_with_a_run_is_noticed_to_vanish_though_it_asks_for_no_job(server, worker):
    worker.say(T.RESUME_JOB, b"H:nobody:1", b"1")

    worker.expect(T.RESUME_RES)
    assert [connection._is_watched for connection in server.server._connections.values()] == [True]
