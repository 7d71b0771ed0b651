"""Many background jobs in one go, against servers that take them, refuse some, and break off."""

from __future__ import annotations

import pytest

from gearjobs.client.client import Client
from gearjobs.client.requests import JobRequest, job_request, put_in_background
from gearjobs.errors import ServerError, ServerUnavailable
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from tests.support.gearmand import free_port
from tests.support.scripted_server import ScriptedServer

T = PacketType
HANDLE = "H:a:1"
RAW_HANDLE = HANDLE.encode()


@pytest.fixture
def dead() -> ServerAddress:
    """Where nobody listens."""
    return ServerAddress("127.0.0.1", free_port())


def client_of(*servers: ServerAddress, answer_timeout_s: float = 5.0) -> Client:
    return Client(servers, connect_timeout_s=1.0, answer_timeout_s=answer_timeout_s)


def background_jobs(*handles: str, payload: bytes = b"p") -> list[JobRequest]:
    requests = [job_request("f", payload) for _ in handles]
    for request, handle in zip(requests, handles, strict=True):
        put_in_background(request, handle=handle)
    return requests


def test_many_jobs_are_submitted_before_the_first_answer():
    def script(peer):
        peer.negotiate_client(has_extensions=True)
        handles = [peer.expect(T.SUBMIT_JOB_EXT)[0] for _ in range(3)]
        peer.say(T.JOB_CREATED, handles[0])
        peer.say(T.ERROR, b"QUEUE_ERROR", b"Job queue is full")
        peer.say(T.JOB_CREATED, b"H:joined:1")
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        first, second, third = client.submit_all(background_jobs("H:a:1", "H:a:2", "H:a:3"))

    assert (first, third) == ("H:a:1", "H:joined:1")
    assert isinstance(second, ServerError)
    assert second.text == "Job queue is full"


def test_more_jobs_than_a_portion_wait_for_its_answers():
    def script(peer):
        peer.negotiate_client()
        for count in (500, 500, 1):
            for _ in range(count):
                peer.expect(T.SUBMIT_JOB_BG)
            for _ in range(count):
                peer.say(T.JOB_CREATED, RAW_HANDLE)
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert client.submit_all(background_jobs(*[""] * 1001)) == [HANDLE] * 1001


def test_portion_is_bounded_in_bytes():
    def script(peer):
        peer.negotiate_client()
        for _ in range(2):
            peer.expect(T.SUBMIT_JOB_BG)
            peer.say(T.JOB_CREATED, RAW_HANDLE)
        peer.expect_end()

    with ScriptedServer(script) as server, client_of(server.address) as client:
        assert client.submit_all(background_jobs("", "", payload=bytes(5_000_000))) == [HANDLE] * 2


def test_many_jobs_with_handles_are_sent_once_more_to_a_server_that_broke_off():
    def break_off(peer):
        peer.negotiate_client(has_extensions=True)
        peer.say(T.ECHO_RES, *peer.expect(T.ECHO_REQ))
        peer.expect(T.SUBMIT_JOB_EXT)

    def answer(peer):
        peer.negotiate_client(has_extensions=True)
        for _ in range(2):
            peer.say(T.JOB_CREATED, peer.expect(T.SUBMIT_JOB_EXT)[0])
        peer.expect_end()

    with ScriptedServer(break_off, answer) as server, client_of(server.address) as client:
        client.echo(b"")
        assert client.submit_all(background_jobs("H:a:1", "H:a:2")) == ["H:a:1", "H:a:2"]


def test_many_jobs_without_handles_are_sent_once_only():
    def break_off(peer):
        peer.negotiate_client()
        peer.expect(T.SUBMIT_JOB_BG)

    with (
        ScriptedServer(break_off) as server,
        client_of(server.address) as client,
        pytest.raises(ServerUnavailable, match="may or may not"),
    ):
        client.submit_all(background_jobs("", ""))


def test_no_jobs_ask_no_server(dead):
    with client_of(dead) as client:
        assert client.submit_all([]) == []
