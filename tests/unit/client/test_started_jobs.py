"""Foreground jobs that are started and waited for later, against servers that behave and servers that do not."""

from __future__ import annotations

import pytest

from gearjobs.client import portions
from gearjobs.client.client import Client
from gearjobs.client.in_flight import JobCreated, JobData, JobProgress
from gearjobs.client.requests import background_request, job_request
from gearjobs.client.server_walk import Repeat, ServerFailed
from gearjobs.errors import DeadlineExceeded, JobFailed, ServerError, ServerUnavailable
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress, ServerList
from tests.support.gearmand import free_port
from tests.support.scripted_server import Peer, ScriptedServer

T = PacketType


def client_of(*servers: ServerAddress, **options) -> Client:
    return Client(servers, connect_timeout_s=1.0, **options)


def take(peer: Peer, handle: bytes) -> None:
    peer.expect(T.SUBMIT_JOB)
    peer.say(T.JOB_CREATED, handle)


def test_events_are_iterated_over_until_the_end_and_the_result_is_there():
    def script(peer):
        peer.negotiate_client()
        take(peer, b"H:1")
        peer.say(T.WORK_DATA, b"H:1", b"part")
        peer.say(T.WORK_STATUS, b"H:1", b"1", b"2")
        peer.say(T.WORK_COMPLETE, b"H:1", b"done")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client, client.start("f", b"p") as job:
        assert list(job) == [JobCreated("H:1"), JobData("H:1", b"part"), JobProgress("H:1", 1, 2)]
        assert (job.handle, job.is_over, job.result()) == ("H:1", True, b"done")


def test_connection_of_a_job_that_is_over_is_used_again():
    def script(peer):
        peer.negotiate_client()
        for _ in range(2):
            take(peer, b"H:1")
            peer.say(T.WORK_COMPLETE, b"H:1", b"done")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert [client.start("f", b"p").result() for _ in range(2)] == [b"done", b"done"]


def test_job_that_is_given_up_is_left_by_closing_its_connection():
    def script(peer):
        peer.negotiate_client()
        take(peer, b"H:1")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        with client.start("f", b"p") as job:
            assert not job.is_over

        with pytest.raises(ServerUnavailable, match="given up"):
            job.result()


def test_job_that_takes_too_long_may_be_waited_for_again():
    def script(peer):
        peer.negotiate_client()
        take(peer, b"H:1")
        peer.expect(T.ECHO_REQ)
        peer.say(T.WORK_COMPLETE, b"H:1", b"done")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        job = client.start("f", b"p")
        with pytest.raises(DeadlineExceeded, match=r"job H:1 did not end within 0.05 s"):
            job.result(0.05)
        # Lets the script go on.
        job._line._connection.tell(encode_request(T.ECHO_REQ, b""), deadline=float("inf"))

        assert job.result(5.0) == b"done"


def test_failure_is_raised_by_result():
    def script(peer):
        peer.negotiate_client()
        take(peer, b"H:1")
        peer.say(T.WORK_FAIL, b"H:1")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        job = client.start("f", b"p")

        assert list(job) == [JobCreated("H:1")]
        with pytest.raises(JobFailed):
            job.result()


def test_refused_job_raises_and_the_connection_stays():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.ERROR, b"QUEUE_FULL", b"full")
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        with pytest.raises(ServerError, match="QUEUE_FULL"):
            client.start("f", b"p")
        assert client.echo(b"still there") == b"still there"


def test_jobs_of_a_batch_share_a_connection_and_end_in_any_order():
    def script(peer):
        peer.negotiate_client()
        for number in (1, 2, 3, 4):
            assert peer.expect(T.SUBMIT_JOB)[2] == b"%d" % number
        for number in (1, 2):
            peer.say(T.JOB_CREATED, b"H:%d" % number)
        peer.say(T.ERROR, b"QUEUE_FULL", b"full")
        peer.say(T.WORK_COMPLETE, b"H:2", b"")
        peer.say(T.JOB_CREATED, b"H:4")
        peer.say(T.WORK_DATA, b"H:1", b"nobody listens")
        peer.say(T.WORK_FAIL, b"H:4")
        peer.say(T.WORK_COMPLETE, b"H:1", b"one")
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        ends = client.do_all([job_request("f", b"%d" % number) for number in (1, 2, 3, 4)])

        assert ends[:2] == [b"one", b""]
        assert [type(end) for end in ends[2:]] == [ServerError, JobFailed]
        assert client.echo(b"") == b""


def test_no_jobs_are_no_batch():
    with client_of(ServerAddress("127.0.0.1", free_port())) as client:
        assert client.do_all([]) == []


def test_batch_of_which_all_is_refused_leaves_the_connection_good():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        peer.say(T.ERROR, b"QUEUE_FULL", b"full")
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        (end,) = client.do_all([job_request("f", b"")])

        assert isinstance(end, ServerError)
        assert client.echo(b"") == b""


def test_what_has_not_ended_in_time_is_given_up_and_the_rest_is_returned():
    def script(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB)
        take(peer, b"H:1")
        peer.say(T.JOB_CREATED, b"H:2")
        peer.say(T.WORK_COMPLETE, b"H:2", b"two")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        first, second = client.do_all([job_request("f", b"1"), job_request("f", b"2")], timeout_s=0.1)

    assert isinstance(first, DeadlineExceeded)
    assert second == b"two"


def test_server_that_breaks_off_costs_its_own_jobs_only():
    def breaking(peer):
        peer.negotiate_client()
        take(peer, b"H:1")

    def good(peer):
        peer.negotiate_client()
        take(peer, b"H:2")
        peer.say(T.WORK_COMPLETE, b"H:2", b"done")
        peer.expect_end()

    with (
        ScriptedServer(breaking) as one,
        ScriptedServer(good) as two,
        client_of(one.address, two.address, balance="unique") as client,
    ):
        ends = client.do_all([job_request("f", b"", unique=unique_for(address, one, two)) for address in (one, two)])

    assert isinstance(ends[0], ServerUnavailable)
    assert ends[1] == b"done"


def test_result_that_comes_while_jobs_are_submitted_does_not_stop_both():
    # The server reads nothing while its result is not read, as ours does: a client that only wrote would wait for ever.
    large = bytes(24_000_000)

    def script(peer):
        peer.negotiate_client()
        take(peer, b"H:1")
        peer.say(T.WORK_COMPLETE, b"H:1", large)
        take(peer, b"H:2")
        peer.say(T.WORK_COMPLETE, b"H:2", b"done")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address, answer_timeout_s=5.0) as client:
        assert client.do_all([job_request("f", b""), job_request("f", large)]) == [large, b"done"]


def test_jobs_of_one_unique_go_to_one_server_and_to_another_when_it_is_lost():
    def script(peer):
        peer.negotiate_client()
        while peer.next() is not None:
            peer.say(T.JOB_CREATED, b"H:1")

    dead = ServerAddress("127.0.0.1", free_port())
    with ScriptedServer(script) as server, client_of(dead, server.address, balance="unique") as client:
        handles = client.submit_all([background_request("f", b"", unique=b"%d" % number) for number in range(20)])

    assert handles == ["H:1"] * 20


def unique_for(wanted: ScriptedServer, *servers: ScriptedServer) -> bytes:
    """Return a unique whose first server it is."""
    known = ServerList([server.address for server in servers])
    return next(b"%d" % number for number in range(1_000) if known.to_try(0.0, b"%d" % number)[0] == wanted.address)


def accepting_nothing(peer: Peer) -> None:
    peer.negotiate_client()
    peer.expect(T.SUBMIT_JOB)
    peer.expect_end()


def test_batch_that_is_not_accepted_in_time_is_given_up():
    with ScriptedServer(accepting_nothing) as server:
        client = client_of(server.address)
        with pytest.raises(DeadlineExceeded, match=r"could not be submitted within 0.05 s"):
            client.do_all([job_request("f", b"1")], timeout_s=0.05)


def test_batch_whose_server_does_not_answer_is_not_known_of():
    with ScriptedServer(accepting_nothing) as server:
        client = client_of(server.address, answer_timeout_s=0.05)
        with pytest.raises(ServerUnavailable, match=r"no answer, so the job may or may not have been taken"):
            client.do_all([job_request("f", b"1")])


def test_portions_of_a_batch_share_a_connection(monkeypatch):
    monkeypatch.setattr(portions, "PORTION", 2)

    def script(peer):
        peer.negotiate_client()
        for number in range(5):
            take(peer, b"H:%d" % number)
        for number in range(5):
            peer.say(T.WORK_COMPLETE, b"H:%d" % number, b"%d" % number)
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        ends = client.do_all([job_request("f", b"") for _ in range(5)])

    assert ends == [b"0", b"1", b"2", b"3", b"4"]


def test_batch_whose_server_breaks_off_between_portions_is_not_known_of(monkeypatch):
    monkeypatch.setattr(portions, "PORTION", 1)

    def script(peer):
        peer.negotiate_client()
        take(peer, b"H:1")
        peer.expect(T.SUBMIT_JOB)

    with (
        ScriptedServer(script) as server,
        client_of(server.address) as client,
        pytest.raises(ServerUnavailable, match="may or may not have been taken"),
    ):
        client.do_all([job_request("f", b"") for _ in range(2)])


def test_batch_of_which_a_later_portion_is_not_accepted_in_time_is_given_up(monkeypatch):
    monkeypatch.setattr(portions, "PORTION", 1)

    def script(peer):
        peer.negotiate_client()
        take(peer, b"H:1")
        accepting_nothing_more(peer)

    with (
        ScriptedServer(script, answering_echo) as server,
        client_of(server.address) as client,
    ):
        with pytest.raises(DeadlineExceeded, match=r"could not be submitted within 0.2 s"):
            client.do_all([job_request("f", b"") for _ in range(2)], timeout_s=0.2)

        assert client.echo(b"it is in good standing") == b"it is in good standing"


def test_line_that_breaks_as_more_is_started_costs_its_other_jobs():
    def script(peer):
        peer.negotiate_client()
        take(peer, b"H:1")
        peer.expect_end()

    def break_off(connection):
        raise ServerFailed(connection.address, ConnectionResetError("gone"), repeat=Repeat.ANYWHERE)

    with ScriptedServer(script) as server, client_of(server.address) as client, client.start("f", b"") as job:
        with pytest.raises(ServerFailed):
            job._line.start(break_off)

        with pytest.raises(ServerUnavailable, match="gone"):
            job.result()


def accepting_nothing_more(peer: Peer) -> None:
    peer.expect(T.SUBMIT_JOB)
    peer.expect_end()


def answering_echo(peer: Peer) -> None:
    peer.negotiate_client()
    peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
    peer.expect_end()
