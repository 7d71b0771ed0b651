"""One HTTP connection: one request, one response, each within its time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gearjobs.errors import HttpRefusal
from gearjobs.protocol.http_messages import HttpRequest, HttpResponse
from gearjobs.server.http.http_peer import (
    EXCESS_LIMIT_BYTES,
    HEAD_LIMIT_S,
    LINGER_S,
    PROGRESS_INTERVAL_S,
    PROGRESS_LEAST_BYTES,
    HttpPeer,
)
from tests.support.http_wire import HttpWire
from tests.support.time_travel import advance, travelling

GET = b"GET /resize HTTP/1.1\r\n\r\n"
HALF_A_POST = b"POST /resize HTTP/1.1\r\nContent-Length: 50000\r\n\r\n"
LIMIT = 100_000


class Asked:
    """A handler that notes what it is asked and leaves the answer to the test."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.open: list[HttpPeer] = []
        #: What peers held each time that they grew.
        self.growth: list[int] = []

    def connected(self, peer: HttpPeer) -> None:
        self.open.append(peer)

    def asked(self, peer: HttpPeer, request: HttpRequest) -> None:
        self.requests.append(replace(request))
        self.kept = request

    def has_grown(self, peer: HttpPeer) -> None:
        self.growth.append(peer.buffered_bytes)

    def disconnected(self, peer: HttpPeer) -> None:
        self.open.remove(peer)


class SlowWork:
    """What is done for a request, as far as the connection cares."""

    held_bytes = 7

    def __init__(self) -> None:
        self.has_left = False

    def leave(self) -> None:
        self.has_left = True


class Line:
    """A connection and both its ends; to be made in a running loop."""

    def __init__(self, *said: bytes) -> None:
        self.handler = Asked()
        self.wire = HttpWire()
        self.peer = HttpPeer(self.handler, max_body_bytes=LIMIT)
        self.peer.connection_made(self.wire)
        for piece in said:
            self.peer.data_received(piece)

    @property
    def status(self) -> int:
        return self.wire.response().status


@travelling
async def test_request_is_handed_over_and_answered():
    line = Line(GET[:10], GET[10:])

    line.peer.respond(HttpResponse(200, b"photo"))

    assert [request.path for request in line.handler.requests] == [b"resize"]
    assert (line.peer.host, line.wire.response().body) == ("10.0.0.7", b"photo")
    assert line.wire.is_closing()


@travelling
async def test_every_response_names_the_server_as_gearmand_does():
    line = Line(GET)

    line.peer.respond(HttpResponse(200))

    assert line.wire.response().headers["Server"].startswith("Gearman/")


@travelling
async def test_version_of_the_response_is_that_of_the_request():
    for version, number, connection in ((b"1.0", 10, None), (b"1.1", 11, "close")):
        line = Line(b"GET / HTTP/%s\r\n\r\n" % version)
        line.peer.respond(HttpResponse(200))

        response = line.wire.response()
        assert (response.version, response.headers.get("Connection")) == (number, connection)


@travelling
async def test_response_to_head_has_no_body():
    line = Line(b"HEAD /resize HTTP/1.1\r\n\r\n")

    line.peer.respond(HttpResponse(200, b"photo"))

    assert line.wire.response(method="HEAD").headers["Content-Length"] == "5"
    assert line.wire.written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("status", "header", "value"),
    [
        (401, "WWW-Authenticate", "Bearer"),
        (405, "Allow", "GET, HEAD, POST, PUT, TRACE"),
        (503, "Retry-After", "1"),
    ],
)
def test_status_brings_the_header_that_it_requires(status, header, value):
    @travelling
    async def play():
        line = Line(GET)
        line.peer.refuse(HttpRefusal(status, "no"))

        response = line.wire.response()
        assert (response.status, response.headers[header], response.body) == (status, value, b"no\n")

    play()


@travelling
async def test_only_the_first_answer_counts():
    line = Line(GET)

    line.peer.respond(HttpResponse(200, b"one"))
    line.peer.respond(HttpResponse(500, b"two"))

    assert line.wire.response().body == b"one"


@travelling
async def test_bad_request_is_refused_and_its_rest_thrown_away():
    # Closed at once, the kernel would answer the rest with a reset, and the peer would lose the refusal to it.
    line = Line(b"nonsense\r\n\r\n", b"more" * 100_000)

    assert line.status == 400
    assert line.wire.has_ended
    assert not line.wire.is_closing()

    await advance(LINGER_S)
    assert line.wire.is_aborted


@travelling
async def test_client_that_expects_it_is_told_to_go_on():
    line = Line(b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert line.wire.read == [b"HTTP/1.1 100 Continue\r\n\r\n"]

    line.peer.data_received(b"a")
    line.peer.data_received(b"b")

    assert line.handler.requests[0].body == b"ab"
    assert len(line.wire.read) == 1


@travelling
async def test_payload_is_let_go_once_the_job_has_it():
    line = Line(b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab")

    assert line.handler.requests[0].body == b"ab"
    assert line.handler.kept.body == b""


@travelling
async def test_head_that_does_not_come_is_given_up():
    line = Line(b"GET / HTT")
    await advance(HEAD_LIMIT_S - 1)
    line.peer.data_received(b"P")

    await advance(1)

    assert line.status == 408


@travelling
async def test_head_that_came_has_its_time_no_more():
    line = Line(GET)

    await advance(10 * HEAD_LIMIT_S)

    assert line.wire.read == []
    assert line.peer.is_waiting


@travelling
async def test_body_that_comes_at_its_least_speed_is_waited_for():
    line = Line(HALF_A_POST)

    for _ in range(4):
        line.peer.data_received(b"x" * PROGRESS_LEAST_BYTES)
        await advance(PROGRESS_INTERVAL_S)

    assert line.wire.read == []
    assert not line.peer.is_waiting


@travelling
async def test_body_that_trickles_is_given_up():
    line = Line(HALF_A_POST, b"x" * PROGRESS_LEAST_BYTES)
    await advance(PROGRESS_INTERVAL_S)
    line.peer.data_received(b"x" * (PROGRESS_LEAST_BYTES - 1))

    await advance(PROGRESS_INTERVAL_S)

    assert line.status == 408


@travelling
async def test_response_that_is_read_slowly_is_waited_for_and_one_that_is_not_read_is_given_up():
    line = Line(GET)
    line.wire.peer_reads = False
    line.peer.respond(HttpResponse(200, bytes(100_000)))

    line.wire.let_peer_read(PROGRESS_LEAST_BYTES)
    await advance(PROGRESS_INTERVAL_S)
    assert not line.wire.is_aborted

    await advance(PROGRESS_INTERVAL_S)
    assert line.wire.is_aborted


@travelling
async def test_bytes_behind_the_request_are_borne_to_a_limit():
    line = Line(GET, b"x" * EXCESS_LIMIT_BYTES)
    assert not line.wire.is_aborted

    line.peer.data_received(b"x")

    assert line.wire.is_aborted


@travelling
async def test_who_works_on_the_request_is_told_when_the_peer_leaves():
    line, work = Line(GET), SlowWork()
    line.peer.work = work

    line.peer.connection_lost(None)
    line.peer.respond(HttpResponse(200))

    assert work.has_left
    assert line.handler.open == []
    assert line.wire.read == []


@travelling
async def test_memory_of_request_result_and_response_is_counted():
    line = Line(HALF_A_POST, b"x" * 49_000)
    assert line.handler.growth[-1] == 49_000

    line.peer.data_received(b"x" * 1000)
    line.peer.work, line.wire.peer_reads = SlowWork(), False
    line.peer.respond(HttpResponse(200, bytes(1000)))

    assert line.handler.growth[-1] == len(line.wire.unread) + 7


@travelling
async def test_peer_that_left_before_it_was_accepted_has_no_host():
    peer = HttpPeer(Asked(), max_body_bytes=LIMIT)
    peer.connection_made(HttpWire(host=None))

    assert peer.host == "-"
    peer.connection_lost(None)


@travelling
async def test_peer_that_is_held_off_is_not_read_from_and_not_blamed():
    line = Line(HALF_A_POST)

    line.peer.hold_off()
    assert not line.wire.is_reading()
    await advance(PROGRESS_INTERVAL_S)
    assert not line.wire.is_closing()

    line.peer.go_on()
    assert line.wire.is_reading()
    await advance(PROGRESS_INTERVAL_S)
    assert line.status == 408


@travelling
async def test_peer_that_left_while_it_was_held_off_is_left_alone():
    line = Line(HALF_A_POST)
    line.peer.hold_off()
    line.wire.abort()

    line.peer.go_on()

    assert not line.wire.is_reading()
