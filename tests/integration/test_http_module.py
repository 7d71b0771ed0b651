"""The HTTP module over the network: what it shares with gearmand's, and what ours does better.

What holds for both servers is asked of both. Debian's gearmand answers HTTP/1.0 whatever it is asked; ours answers as
gearmand 2.0 does, in the version of the request.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from gearjobs.protocol.packets import PacketType as T
from gearjobs.server.config import ServerConfig
from gearjobs.servers import ServerAddress
from gearjobs.stores.memory import MemoryStore
from tests.support.eventually import eventually
from tests.support.gearmand import free_port, running_gearmand
from tests.support.http_wire import Response, exchange, read_response, read_to_end
from tests.support.job_server import LOOPS, MemoryServer, running_memory_server
from tests.support.troubled_store import OUTAGE, TroubledStore
from tests.support.wire_peer import WirePeer

SOON_S = 10.0
FUNCTIONS = (b"reverse", b"fail", b"except", b"stream", b"warn", b"empty")


@dataclass
class HttpServer:
    """A job server that speaks HTTP."""

    gear: ServerAddress
    http: ServerAddress
    #: Ours.
    thread: MemoryServer | None = None

    @property
    def ours(self) -> MemoryServer:
        assert self.thread is not None, "gearmand runs in no thread of ours"
        return self.thread

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        lines = [f"{method} {path} HTTP/1.1", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        raw = "\r\n".join([*lines, "", ""]).encode() + body
        return exchange(self.http.host, self.http.port, raw, method=method)


@contextmanager
def running_ours(
    loop: str = "asyncio", *, exceptions: bool = False, store: MemoryStore | None = None
) -> Iterator[HttpServer]:
    config = ServerConfig(listen=("127.0.0.1",), port=0, http_port=0, exceptions=exceptions)
    with running_memory_server(config, store=store, loop=loop) as server:
        host, port = server.server.http_addresses[0]
        yield HttpServer(server.address, ServerAddress(host, port), server)


@pytest.fixture(params=LOOPS)
def ours(request) -> Iterator[HttpServer]:
    with running_ours(request.param) as server:
        yield server


@pytest.fixture(params=[*LOOPS, pytest.param("gearmand", marks=pytest.mark.interop)])
def any_http_server(request, tmp_path: Path) -> Iterator[HttpServer]:
    """Ours on each loop, and gearmand."""
    if request.param != "gearmand":
        with running_ours(request.param) as server:
            yield server
        return
    http = ServerAddress("127.0.0.1", free_port())
    options = ("--protocol=http", f"--http-port={http.port}")
    with running_gearmand(tmp_path / "gearmand.log", *options) as gear:
        yield HttpServer(gear, http)


@contextmanager
def working(server: HttpServer) -> Iterator[None]:
    """Have a worker do the functions, in a thread."""
    with WirePeer(server.gear) as peer:
        peer.can_do(*FUNCTIONS)
        thread = threading.Thread(target=work, args=(peer,))
        thread.start()
        try:
            yield
        finally:
            with suppress(OSError):
                peer.socket.shutdown(socket.SHUT_RDWR)
            thread.join(SOON_S)
            assert not thread.is_alive()


def work(peer: WirePeer) -> None:
    """Do jobs until the connection ends."""
    with suppress(OSError):
        peer.say(T.GRAB_JOB)
        while True:
            packet_type, body = peer.next_body("a job", timeout_s=60)
            if packet_type == T.NO_JOB:
                peer.say(T.PRE_SLEEP)
            elif packet_type == T.NOOP:
                peer.say(T.GRAB_JOB)
            else:
                do(peer, *body.split(b"\0", 2))
                peer.say(T.GRAB_JOB)


def do(peer: WirePeer, handle: bytes, function: bytes, payload: bytes) -> None:
    if function == b"fail":
        peer.say(T.WORK_FAIL, handle)
    elif function == b"except":
        peer.say(T.WORK_EXCEPTION, handle, b"out of paper")
    else:
        if function == b"stream":
            peer.say(T.WORK_DATA, handle, b"one,")
            peer.say(T.WORK_DATA, handle, b"two,")
        if function == b"warn":
            peer.say(T.WORK_STATUS, handle, b"1", b"2")
            peer.say(T.WORK_WARNING, handle, b"careful")
        peer.say(T.WORK_COMPLETE, handle, b"" if function == b"empty" else payload[::-1])


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_job_goes_there_and_back(any_http_server, method):
    with working(any_http_server):
        response = any_http_server.ask(method, "/reverse", b"abc\0def")

    assert (response.status, response.reason, response.body) == (200, "OK", b"fed\0cba")
    assert response.headers["X-Gearman-Command"] == "WORK_COMPLETE"
    assert response.headers["X-Gearman-Job-Handle"].startswith("H:")
    assert response.headers["Server"].startswith("Gearman/")


def test_get_is_a_job_without_a_payload(any_http_server):
    with working(any_http_server):
        response = any_http_server.ask("GET", "/reverse")

    assert (response.status, response.body) == (200, b"")


def test_background_job_is_acknowledged(any_http_server):
    response = any_http_server.ask("POST", "/later", b"abc", X_Gearman_Background="true")

    assert (response.status, response.body) == (200, b"")
    assert response.headers["X-Gearman-Command"] == "JOB_CREATED"
    with WirePeer(any_http_server.gear) as worker:
        worker.can_do(b"later")
        assert worker.grab() == (response.headers["X-Gearman-Job-Handle"].encode(), b"abc")


def test_jobs_of_one_unique_are_one_job(any_http_server):
    headers = {"X_Gearman_Background": "true", "X_Gearman_Unique": "u1"}

    first = any_http_server.ask("POST", "/later", b"a", **headers)
    second = any_http_server.ask("POST", "/later", b"b", **headers)

    assert first.headers["X-Gearman-Job-Handle"] == second.headers["X-Gearman-Job-Handle"]


def test_without_a_unique_jobs_of_one_body_are_one_job(any_http_server):
    handles = {
        any_http_server.ask("POST", "/later", body, X_Gearman_Background="true").headers["X-Gearman-Job-Handle"]
        for body in (b"a", b"a", b"b")
    }

    assert len(handles) == 2


def test_priorities_are_those_of_the_wire(any_http_server):
    for priority in ("low", "normal", "high"):
        any_http_server.ask(
            "POST", "/later", priority.encode(), X_Gearman_Background="true", X_Gearman_Priority=priority
        )

    with WirePeer(any_http_server.gear) as worker:
        worker.can_do(b"later")
        assert [worker.grab()[1] for _ in range(3)] == [b"high", b"normal", b"low"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_no_function_is_not_found(any_http_server, method):
    response = any_http_server.ask(method, "/")

    assert (response.status, response.reason, response.body) == (404, "NOT_FOUND", b"")


def test_head_of_nothing_is_fine(any_http_server):
    assert any_http_server.ask("HEAD", "/").status == 200


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_version_of_the_response_is_that_of_the_request(ours, version):
    raw = f"GET / HTTP/{version}\r\n\r\n".encode()

    response = exchange(ours.http.host, ours.http.port, raw)

    assert response.version == {"1.0": 10, "1.1": 11}[version]
    assert response.headers.get("Connection") == (None if version == "1.0" else "close")


@pytest.mark.parametrize(
    ("function", "status", "command", "body"),
    [
        ("fail", 500, "WORK_FAIL", b""),
        ("except", 500, "WORK_FAIL", b""),
        ("stream", 200, "WORK_COMPLETE", b"one,two,cba"),
        ("warn", 200, "WORK_COMPLETE", b"cba"),
        ("empty", 200, "WORK_COMPLETE", b""),
    ],
)
def test_ends_that_gearmand_gets_wrong(ours, function, status, command, body):
    with working(ours):
        response = ours.ask("POST", f"/{function}", b"abc")

    assert (response.status, response.headers["X-Gearman-Command"], response.body) == (status, command, body)
    assert len(response.headers["X-Gearman-Job-Handle"]) > len("H::") + 24


def test_exception_is_told_where_the_operator_wants_it():
    with running_ours(exceptions=True) as server, working(server):
        response = server.ask("POST", "/except", b"abc")

    assert (response.status, response.headers["X-Gearman-Command"]) == (500, "WORK_EXCEPTION")
    assert response.body == b"out of paper"


def test_long_payload_comes_back_as_it_went(ours):
    payload = bytes(range(256)) * 40_000

    with working(ours):
        assert ours.ask("POST", "/reverse", payload).body == payload[::-1]


def test_curl_gets_along(ours):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed, so nothing was tested with it")
    url = f"http://{ours.http.host}:{ours.http.port}/reverse"
    # Piped, so that curl sends chunks; long, so that it asks first whether to go on.
    command = [curl, "--silent", "--show-error", "--max-time", "10", "--data-binary", "@-", url]
    chunked = [*command, "--header", "Transfer-Encoding: chunked", "--header", "Expect: 100-continue"]

    with working(ours):
        for words in (command, chunked):
            run = subprocess.run(words, input=b"ab" * 1_000_000, capture_output=True, timeout=30)
            assert (run.returncode, run.stdout == b"ba" * 1_000_000) == (0, True), run.stderr


def test_client_that_leaves_takes_its_waiting_job_along(ours):
    with socket.create_connection((ours.http.host, ours.http.port)) as client:
        client.sendall(b"POST /later HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc")
        eventually(lambda: waiting(ours) == b"later\t1\t0\t0\n", SOON_S, "the job to be queued")

    eventually(lambda: waiting(ours) == b"later\t0\t0\t0\n", SOON_S, "the job to be dropped")


def waiting(server: HttpServer) -> bytes:
    with WirePeer(server.gear) as peer:
        return b"".join(peer.ask("status"))


def test_client_is_told_when_the_server_stops():
    with running_ours() as server, socket.create_connection((server.http.host, server.http.port)) as client:
        client.sendall(b"POST /later HTTP/1.1\r\n\r\n")
        eventually(lambda: waiting(server) == b"later\t1\t0\t0\n", SOON_S, "the job to be queued")
        server.ours.ask_to_stop()

        response = read_response(read_to_end(client))

    assert (response.status, response.body) == (503, b"the job server ended the connection\n")


def test_idle_client_does_not_keep_the_server_from_stopping():
    with running_ours() as server, socket.create_connection((server.http.host, server.http.port)) as client:
        assert server.ask("GET", "/healthz").status == 200
        server.ours.stop()
        with suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_server_with_work_is_alive_and_ready_and_shows_it(ours):
    with working(ours):
        ours.ask("POST", "/reverse", b"abc")

    assert ours.ask("GET", "/healthz").body == b"ok\n"
    assert ours.ask("GET", "/readyz").body == b"ready\n"
    metrics = ours.ask("GET", "/metrics")
    assert metrics.status == 200
    assert b'gearjobs_jobs_ended_total{function="reverse",outcome="succeeded"} 1.0\n' in metrics.body


def test_server_whose_store_is_down_is_alive_and_not_ready():
    store = TroubledStore()
    with running_ours(store=store) as server:
        store.failure = OUTAGE
        assert server.ask("POST", "/later", X_Gearman_Background="true").status == 503

        refusal = server.ask("GET", "/readyz")
        assert (refusal.status, refusal.body) == (503, b"the store refuses commits\n")
        assert server.ask("GET", "/healthz").status == 200

        store.failure = None
        assert server.ask("POST", "/later", X_Gearman_Background="true").status == 200
        assert server.ask("GET", "/readyz").status == 200


def test_server_that_drains_answers_no_new_connection(ours):
    server = ours.ours.server
    with WirePeer(ours.gear) as peer:
        peer.expect_quiet()
        ours.ours.do(server.drain)

        def is_refused() -> bool:
            try:
                socket.create_connection((ours.http.host, ours.http.port)).close()
            except OSError:
                return True
            return False

        eventually(is_refused, SOON_S, "the HTTP port to be closed")


def test_command_says_where_it_speaks_http(new_job_server):
    server = new_job_server("-r", "http", "--http-port=0")
    server.start()

    found = re.search(r"^gearjobs job server speaks HTTP on 127\.0\.0\.1:(\d+)$", server.said(), re.MULTILINE)
    assert found, server.said()
    response = exchange("127.0.0.1", int(found[1]), b"POST /later HTTP/1.1\r\nX-Gearman-Background: true\r\n\r\n")

    # Acknowledged means kept.
    handle = response.headers["X-Gearman-Job-Handle"].encode()
    assert (response.status, server.job(handle)["function"]) == (200, "later")
    assert server.terminate() == 0


def test_server_without_the_module_does_not_listen_for_it():
    with running_memory_server() as server:
        assert server.server.http_addresses == []
