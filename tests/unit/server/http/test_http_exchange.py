"""One HTTP request as one client: what the server hears, and what the peer is answered."""

from __future__ import annotations

import pytest

from gearjobs.core.jobs import ConnectionId
from gearjobs.errors import HttpRefusal
from gearjobs.protocol.codec import encode_request, encode_response
from gearjobs.protocol.http_messages import HttpRequest, HttpResponse
from gearjobs.protocol.packets import PacketType as T
from gearjobs.server.connection import Connection
from gearjobs.server.http.http_exchange import JobExchange, submit_packet
from tests.support.fake_transport import QuietHandler
from tests.support.http_wire import HttpWire

LIMIT = 100


def make_request(path: bytes = b"resize", body: bytes = b"photo", **headers: bytes) -> HttpRequest:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return HttpRequest("POST", path, is_http_11=True, headers=named, head=b"", body=body)


class Talk:
    """An exchange that has begun; the server and the peer are played by the test."""

    def __init__(self, server: QuietHandler | None = None, **headers: bytes) -> None:
        self.server = server or QuietHandler()
        self.connection = Connection(ConnectionId(1), self.server, max_packet_bytes=LIMIT)
        self.transport = HttpWire()
        self.responses: list[HttpResponse] = []
        #: What the exchange held each time that it grew.
        self.growth: list[int] = []
        self.exchange = JobExchange(make_request(**headers), self.connection, asker=self, max_result_bytes=LIMIT)
        self.exchange.begin()

    def respond(self, response: HttpResponse) -> None:
        self.responses.append(response)

    def note_growth(self) -> None:
        self.growth.append(self.exchange.held_bytes)

    def answer(self, packet_type: int, *arguments: bytes) -> None:
        self.connection.send(encode_response(packet_type, *arguments))
        self.server.flush()

    @property
    def response(self):
        (response,) = self.responses
        return response

    def said(self) -> tuple[int, str | None, bytes]:
        """The response's status, command and body."""
        return self.response.status, dict(self.response.headers).get("X-Gearman-Command"), self.response.body


@pytest.fixture
def talk():
    return Talk()


@pytest.mark.parametrize(
    ("background", "priority", "packet_type"),
    [
        (b"", b"", T.SUBMIT_JOB),
        (b"", b"high", T.SUBMIT_JOB_HIGH),
        (b"false", b"LOW", T.SUBMIT_JOB_LOW),
        (b"", b"urgent", T.SUBMIT_JOB),
        (b"true", b"", T.SUBMIT_JOB_BG),
        (b"TRUE", b"High", T.SUBMIT_JOB_HIGH_BG),
        (b"true", b"low", T.SUBMIT_JOB_LOW_BG),
    ],
)
def test_headers_decide_how_the_job_is_submitted(background, priority, packet_type):
    request = make_request(x_gearman_background=background, x_gearman_priority=priority, x_gearman_unique=b"u1")

    assert submit_packet(request) == encode_request(packet_type, b"resize", b"u1", b"photo")


@pytest.mark.parametrize("headers", [{}, {"x_gearman_unique": b""}])
def test_without_a_unique_the_body_is_the_key(headers):
    assert submit_packet(make_request(**headers)) == encode_request(T.SUBMIT_JOB, b"resize", b"-", b"photo")


def test_nul_in_a_function_is_refused():
    # It would end the packet's first argument: what follows would be taken for the unique.
    with pytest.raises(HttpRefusal) as refusal:
        submit_packet(make_request(b"resize\0u1"))

    assert refusal.value.status == 400


def test_body_may_have_nuls():
    assert submit_packet(make_request(body=b"\0a\0")) == encode_request(T.SUBMIT_JOB, b"resize", b"-", b"\0a\0")


def test_server_sees_a_client_that_submits(talk):
    assert talk.server.connected_peers == [talk.connection]
    assert (talk.connection.host, talk.connection.file_descriptor) == ("10.0.0.7", 7)
    assert [packet.type for packet in talk.server.packets] == [T.SUBMIT_JOB]


def test_result_is_the_answer(talk):
    talk.answer(T.JOB_CREATED, b"H:1")
    assert talk.responses == []

    talk.answer(T.WORK_COMPLETE, b"H:1", b"small\0photo")

    assert talk.said() == (200, "WORK_COMPLETE", b"small\0photo")
    assert dict(talk.response.headers)["X-Gearman-Job-Handle"] == "H:1"


def test_background_job_is_answered_when_it_is_kept():
    talk = Talk(x_gearman_background=b"true")

    talk.answer(T.JOB_CREATED, b"H:1")

    assert talk.said() == (200, "JOB_CREATED", b"")
    assert dict(talk.response.headers)["X-Gearman-Job-Handle"] == "H:1"


def test_pieces_stand_before_the_result(talk):
    # gearmand wrote them over the status line: `part/1.0 200 OK`.
    talk.answer(T.JOB_CREATED, b"H:1")
    talk.answer(T.WORK_DATA, b"H:1", b"one,")
    talk.answer(T.WORK_DATA, b"H:1", b"two,")
    talk.answer(T.WORK_COMPLETE, b"H:1", b"three")

    assert talk.said() == (200, "WORK_COMPLETE", b"one,two,three")


def test_status_and_warning_do_not_end_the_job(talk):
    # gearmand took the first warning for the result, and wrote the result behind its end.
    talk.answer(T.JOB_CREATED, b"H:1")
    talk.answer(T.WORK_STATUS, b"H:1", b"1", b"2")
    talk.answer(T.WORK_WARNING, b"H:1", b"careful")
    assert talk.responses == []

    talk.answer(T.WORK_COMPLETE, b"H:1", b"done")

    assert talk.said() == (200, "WORK_COMPLETE", b"done")


def test_failed_job_is_not_ok_and_keeps_its_whole_handle(talk):
    # gearmand answered 200 with a handle that lacked its last character.
    talk.answer(T.JOB_CREATED, b"H:17")
    talk.answer(T.WORK_DATA, b"H:17", b"half")
    talk.answer(T.WORK_FAIL, b"H:17")

    assert talk.said() == (500, "WORK_FAIL", b"")
    assert dict(talk.response.headers)["X-Gearman-Job-Handle"] == "H:17"


def test_exception_is_told_where_the_server_tells_it(talk):
    talk.answer(T.JOB_CREATED, b"H:1")
    talk.answer(T.WORK_EXCEPTION, b"H:1", b"out of paper")

    assert talk.said() == (500, "WORK_EXCEPTION", b"out of paper")


@pytest.mark.parametrize(
    ("code", "text", "status"),
    [
        (b"QUEUE_ERROR", b"Job queue is full", 503),
        (b"AUTH_REQUIRED", b"no secret", 403),
        (b"ACCESS_DENIED", b"http may not submit", 403),
        (b"ARGUMENT_TOO_LARGE", b"Unique value too large", 400),
        (b"\xff", b"\xfe", 400),
    ],
)
def test_refusal_of_the_server_is_told(talk, code, text, status):
    talk.answer(T.ERROR, code, text)

    words = f"{code.decode(errors='replace')}: {text.decode(errors='replace')}\n".encode()
    assert talk.said() == (status, "ERROR", words)


def test_memory_of_a_result_is_told_and_given_back(talk):
    talk.answer(T.JOB_CREATED, b"H:1")
    talk.answer(T.WORK_DATA, b"H:1", b"x" * 30)
    talk.answer(T.WORK_DATA, b"H:1", b"x" * 30)
    assert talk.growth == [30, 60]

    talk.answer(T.WORK_COMPLETE, b"H:1", b"")

    assert talk.exchange.held_bytes == 0


def test_long_result_is_not_gathered_without_end(talk):
    talk.answer(T.JOB_CREATED, b"H:1")
    talk.answer(T.WORK_DATA, b"H:1", b"x" * LIMIT)
    talk.answer(T.WORK_DATA, b"H:1", b"x")

    assert talk.response.status == 502


def test_nothing_is_answered_twice(talk):
    talk.answer(T.WORK_COMPLETE, b"H:1", b"done")
    talk.answer(T.WORK_FAIL, b"H:1")
    talk.exchange.close()

    assert talk.said() == (200, "WORK_COMPLETE", b"done")


def test_packets_of_one_write_are_read_up_to_the_answer(talk):
    for _ in range(2):
        talk.connection.send(encode_response(T.WORK_COMPLETE, b"H:1", b"done"))
    talk.server.flush()

    assert talk.said() == (200, "WORK_COMPLETE", b"done")


@pytest.mark.parametrize("end", ["close", "abort"])
def test_server_that_ends_the_connection_is_told_of(talk, end):
    getattr(talk.connection, end)()

    assert talk.response.status == 503
    assert talk.exchange.is_closing()


def test_client_that_leaves_is_disconnected_and_hears_nothing(talk):
    talk.exchange.leave()
    talk.answer(T.WORK_COMPLETE, b"H:1", b"done")

    assert talk.server.lost_peers == [talk.connection]
    assert talk.responses == []


def test_connection_that_is_refused_submits_nothing():
    class Refusing(QuietHandler):
        def connected(self, connection):
            connection.close()

    talk = Talk(Refusing())

    assert talk.server.packets == []
    assert talk.response.status == 503
