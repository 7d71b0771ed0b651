"""What is answered to which request, and to whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gearjobs.core.jobs import ConnectionId
from gearjobs.errors import HttpRefusal, UsageError
from gearjobs.protocol.codec import Packet, encode_response
from gearjobs.protocol.http_messages import HttpResponse
from gearjobs.protocol.packets import PacketType as T
from gearjobs.server.config import ServerConfig
from gearjobs.server.connection import Connection
from gearjobs.server.entrance.admission import Admission
from gearjobs.server.http.http_endpoint import HttpEndpoint, HttpServices
from gearjobs.server.http.http_peer import HttpPeer
from gearjobs.server.memory_budget import MemoryBudget
from tests.support.fake_transport import QuietHandler
from tests.support.gearmand import free_port
from tests.support.http_wire import HttpWire, Response
from tests.support.time_travel import travelling, turns

LIMIT = 100_000
BUDGET = 150_000
BEARER = {"Authorization": "Bearer s3cret"}


class Office:
    """An endpoint whose job server the test plays; to be made in a running loop."""

    def __init__(self, *, token: str = "", has_metrics: bool = True, **guards: Any) -> None:
        self.server = QuietHandler()
        self.reasons: list[str] = []
        self.accepted: list[str] = []
        config = ServerConfig(listen=("127.0.0.1",), http_port=0, http_token=token, max_packet_bytes=LIMIT, **guards)
        self.admission = Admission(10)
        services = HttpServices(
            self.admission,
            MemoryBudget(BUDGET),
            lambda: Connection(ConnectionId(1), self.server, max_packet_bytes=LIMIT),
            lambda: self.reasons,
            self._metrics if has_metrics else None,
        )
        self.endpoint = HttpEndpoint(config, services)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> Response:
        wire = self.send(method, path, body=body, headers=headers, host=host)
        await turns()
        return wire.response(method=method)

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        host: str = "127.0.0.1",
    ) -> HttpWire:
        """Send a request, and leave the answer to come."""
        wire = HttpWire(host=host)
        peer = HttpPeer(self.endpoint, max_body_bytes=LIMIT)
        peer.connection_made(wire)
        lines = [f"{method} {path} HTTP/1.1", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        peer.data_received("\r\n".join([*lines, "", ""]).encode() + body)
        return wire

    def submitted(self) -> list[tuple[int, tuple[bytes, ...]]]:
        """The packets that reached the server."""
        return [(packet.type, packet.arguments) for packet in self.server.packets if isinstance(packet, Packet)]

    async def _metrics(self, accept: str) -> HttpResponse:
        self.accepted.append(accept)
        return HttpResponse(200, b"figures")


def in_office(**options: Any):
    """Run a test of an office in a loop."""

    def decorate(test):
        @travelling
        async def run(*args, **kwargs):
            await test(Office(**options), *args, **kwargs)

        def plain():
            run()

        plain.__name__ = test.__name__
        return plain

    return decorate


@in_office()
async def test_function_is_submitted_and_its_result_answered(office):
    wire = office.send("POST", "/resize", body=b"photo", headers={"X-Gearman-Unique": "u1"})
    assert office.submitted() == [(T.SUBMIT_JOB, (b"resize", b"u1", b"photo"))]

    office.server.connected_peers[0].send(encode_response(T.WORK_COMPLETE, b"H:1", b"small"))
    office.server.flush()

    assert (wire.response().status, wire.response().body) == (200, b"small")


@in_office()
async def test_every_method_of_gearmands_submits(office):
    for method in ("POST", "PUT", "GET", "HEAD"):
        office.send(method, "/resize", body=b"p")

    assert office.submitted() == [(T.SUBMIT_JOB, (b"resize", b"-", b"p"))] * 4


@in_office()
async def test_client_that_leaves_takes_its_connection_along(office):
    wire = office.send("POST", "/resize")
    (peer,) = office.endpoint._peers

    peer.connection_lost(None)

    assert office.server.lost_peers == office.server.connected_peers
    assert (wire.read, office.endpoint._peers) == ([], set())


@in_office()
async def test_no_function_is_not_found(office):
    for method in ("GET", "POST", "PUT"):
        response = await office.ask(method, "/")
        assert (response.status, response.reason, response.body) == (404, "NOT_FOUND", b"")


@in_office()
async def test_head_of_nothing_is_fine(office):
    assert (await office.ask("HEAD", "/")).status == 200


@in_office()
async def test_trace_echoes_the_request_without_its_secrets(office):
    headers = {"X-A": "b", **BEARER, "cookie": "c", "Proxy-Authorization": "d"}

    response = await office.ask("TRACE", "/resize", body=b"photo", headers=headers)

    assert (response.status, response.headers["Content-Type"]) == (200, "message/http")
    assert response.body == b"TRACE /resize HTTP/1.1\r\nContent-Length: 5\r\nX-A: b\r\n\r\nphoto"


@in_office()
async def test_other_methods_are_not_allowed(office):
    response = await office.ask("DELETE", "/resize")

    assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, POST, PUT, TRACE")


@in_office()
async def test_nul_in_a_function_is_refused(office):
    assert (await office.ask("POST", "/a%00b")).status == 400
    assert office.server.connected_peers == []


@in_office(token="s3cret")
async def test_anyone_may_ask_for_health(office):
    for path, words in (("/healthz", b"ok\n"), ("/readyz", b"ready\n")):
        response = await office.ask("GET", path, host="10.0.0.7")
        assert (response.status, response.body) == (200, words)


@in_office()
async def test_server_that_is_not_ready_says_why_and_is_alive(office):
    office.reasons = ["the store refuses commits", "the job server is stopping"]

    response = await office.ask("GET", "/readyz")

    assert (response.status, response.body) == (503, b"the store refuses commits; the job server is stopping\n")
    assert (await office.ask("HEAD", "/healthz")).status == 200


@in_office()
async def test_function_with_the_name_of_a_page_takes_post(office):
    office.send("POST", "/healthz")
    office.send("POST", "/metrics")

    assert [arguments[0] for _, arguments in office.submitted()] == [b"healthz", b"metrics"]


@in_office()
async def test_metrics_are_made_in_the_form_that_is_accepted(office):
    response = await office.ask("GET", "/metrics", headers={"Accept": "application/openmetrics-text"}, host="::1")

    assert (response.status, response.body) == (200, b"figures")
    assert office.accepted == ["application/openmetrics-text"]


@in_office(has_metrics=False)
async def test_metrics_without_their_package_say_what_to_install(office):
    response = await office.ask("GET", "/metrics")

    assert (response.status, b"pip install gearjobs[metrics]" in response.body) == (501, True)


@in_office()
async def test_metrics_without_a_token_are_for_this_machine(office):
    for host in ("10.0.0.7", "fe80::1%eth0", "-"):
        assert (await office.ask("GET", "/metrics", host=host)).status == 403
    assert office.accepted == []


@in_office(token="s3cret")
async def test_token_opens_what_is_not_health(office):
    assert (await office.ask("GET", "/metrics", headers=BEARER, host="10.0.0.7")).status == 200
    office.send("POST", "/resize", headers=BEARER, host="10.0.0.7")

    assert len(office.submitted()) == 1


@in_office(token="s3cret")
async def test_without_the_token_nothing_else_is_answered(office):
    for headers in ({}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Basic s3cret"}):
        for method, path in (("GET", "/metrics"), ("POST", "/resize"), ("TRACE", "/"), ("GET", "/"), ("DELETE", "/")):
            response = await office.ask(method, path, headers=headers)
            assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert office.submitted() == []


@in_office(ssl=True, ssl_ca_file="ca.pem")
async def test_server_that_wants_certificates_takes_no_jobs_without_a_token(office):
    assert (await office.ask("POST", "/resize")).status == 403
    assert office.submitted() == []


@in_office(ssl=True, ssl_ca_file="ca.pem", token="s3cret")
async def test_token_stands_in_for_a_certificate(office):
    office.send("POST", "/resize", headers=BEARER)

    assert len(office.submitted()) == 1


@pytest.mark.parametrize("guard", [{"secret_file": "s"}, {"access_file": "a"}, {"ssl": True, "ssl_ca_file": "ca.pem"}])
def test_server_that_asks_who_clients_are_shows_metrics_to_nobody_without_a_token(guard):
    @in_office(**guard)
    async def play(office):
        assert (await office.ask("GET", "/metrics")).status == 403
        assert (await office.ask("GET", "/readyz")).status == 200

    play()


@in_office()
async def test_web_pages_cannot_run_jobs_on_the_machine_of_who_reads_them(office):
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        # A name of the page's own that now leads to this machine.
        {"Sec-Fetch-Site": "same-origin"},
    ):
        assert (await office.ask("POST", "/resize", headers=headers)).status == 403
        assert (await office.ask("GET", "/metrics", headers=headers)).status == 403
    assert office.submitted() == []


@in_office()
async def test_address_typed_into_a_browser_is_answered(office):
    office.send("GET", "/resize", headers={"Sec-Fetch-Site": "none"})

    assert len(office.submitted()) == 1


@in_office()
async def test_memory_of_all_requests_together_is_bounded(office):
    wires = []
    for size in (90_000, 50_000, 20_000):
        wire, peer = HttpWire(), HttpPeer(office.endpoint, max_body_bytes=LIMIT)
        peer.connection_made(wire)
        peer.data_received(b"POST /f HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + bytes(size))
        wires.append(wire)

    assert [wire.is_aborted for wire in wires] == [True, False, False]


@in_office()
async def test_place_of_who_leaves_is_free_again(office):
    office.send("POST", "/resize")
    (peer,) = office.endpoint._peers
    office.admission.enter(peer, "127.0.0.1")

    peer.connection_lost(None)

    assert not office.admission._hosts


@in_office()
async def test_close_ends_who_has_not_asked_and_leaves_who_waits(office):
    waiting = office.send("POST", "/resize")
    idle, peer = HttpWire(), HttpPeer(office.endpoint, max_body_bytes=LIMIT)
    peer.connection_made(idle)

    office.endpoint.close()

    assert (idle.is_aborted, waiting.is_aborted) == (True, False)


@in_office()
async def test_close_gives_up_metrics_that_are_being_made(office):
    never = asyncio.Event()

    async def hang(accept):
        await never.wait()
        raise AssertionError

    office.endpoint._services.metrics = hang
    wire = office.send("GET", "/metrics")
    await turns()

    office.endpoint.close()
    await turns()

    assert wire.read == []
    assert office.endpoint._tasks == set()


@in_office()
async def test_endpoint_listens_until_it_is_told_not_to(office):
    office.endpoint.open()
    ((host, port),) = office.endpoint.addresses
    _, writer = await asyncio.open_connection(host, port)

    office.endpoint.stop_listening()

    with pytest.raises(OSError):
        await asyncio.open_connection(host, port)
    writer.close()
    office.endpoint.close()


@travelling
async def test_port_that_is_taken_is_said():
    office = Office()
    blocker = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", free_port())
    taken = blocker.sockets[0].getsockname()[1]
    config = ServerConfig(listen=("127.0.0.1",), http_port=taken)
    endpoint = HttpEndpoint(config, office.endpoint._services)

    with pytest.raises(UsageError, match=str(taken)):
        endpoint.open()
    blocker.close()


def test_refusal_says_status_and_words():
    assert str(HttpRefusal(404, "no")) == "404: no"
