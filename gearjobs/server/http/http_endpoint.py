"""The HTTP module (`-r http`): jobs for whoever speaks HTTP, and health and metrics for whoever watches.

`POST /FUNCTION` (or PUT, GET, HEAD) is a job, as in gearmand's module of the same name; `GET /healthz`, `/readyz` and
`/metrics` are the server's own, so functions of these names take POST. Who may ask: health anyone; with a token in the
configuration the rest takes that token; without one, jobs are as open as they are on the gear port, and metrics, which
name functions, are for this machine, if for anybody. A request that a browser sends on a web page's behalf is refused,
or every page somebody looks at could run jobs on that somebody's machine.

One connection is `http_peer`'s, one job `http_exchange`'s.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hmac import compare_digest
from http import HTTPStatus
from typing import Final

from gearjobs.errors import HttpRefusal, UsageError
from gearjobs.protocol.http_messages import HttpRequest, HttpResponse
from gearjobs.server.config import ServerConfig
from gearjobs.server.connection import Connection
from gearjobs.server.entrance.accepting import Acceptor
from gearjobs.server.entrance.admin_rights import is_local
from gearjobs.server.entrance.admission import Admission
from gearjobs.server.entrance.listening import open_sockets
from gearjobs.server.http.http_exchange import JobExchange, text_response
from gearjobs.server.http.http_peer import METHODS, HttpPeer
from gearjobs.server.memory_budget import MemoryBudget
from gearjobs.servers import UNIX_PREFIX

logger = logging.getLogger("gearjobs.server")

#: Header lines that TRACE does not echo: a page's script must not read its browser's secrets from there.
_SECRET_HEADERS: Final = (b"authorization:", b"cookie:", b"proxy-authorization:")


@dataclass(slots=True)
class HttpServices:
    """What the endpoint asks the job server for."""

    #: The places for connections, and the memory they may hold; both are shared with Gearman's port.
    admission: Admission
    budget: MemoryBudget
    #: Makes the server's side of a new client connection.
    open_connection: Callable[[], Connection]
    #: Returns why the server is not ready; nothing when it is.
    reasons_not_ready: Callable[[], list[str]]
    #: Returns the metrics in the form that an Accept header asks for; None where they cannot be had.
    metrics: Callable[[str], Awaitable[HttpResponse]] | None


class HttpEndpoint:
    """The HTTP side of one job server.

    Args:
        config: how the server was asked to run; its `http_port` must be given.
        services: what requests are answered with.
    """

    def __init__(self, config: ServerConfig, services: HttpServices) -> None:
        self._config = config
        self._services = services
        self._peers: set[HttpPeer] = set()
        self._acceptors: list[Acceptor] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._pages: dict[bytes, Callable[[HttpPeer, HttpRequest], None]] = {
            b"healthz": self._healthz,
            b"readyz": self._readyz,
            b"metrics": self._metrics,
        }

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of every address it listens on."""
        return [sock.getsockname()[:2] for acceptor in self._acceptors for sock in acceptor.sockets]

    def open(self) -> None:
        """Listen; to be called in the loop.

        Raises:
            UsageError: an address cannot be listened on.
        """
        hosts = tuple(host for host in self._config.listen if not host.startswith(UNIX_PREFIX))
        if not hosts:
            raise UsageError("the protocol http needs an address to listen on besides a Unix socket: give --listen one")
        for sock in open_sockets(replace(self._config, listen=hosts, port=self._config.http_port or 0)):
            self._acceptors.append(Acceptor(sock, self._accept, admission=self._services.admission))
        for host, port in self.addresses:
            logger.info("listen http address=%s port=%d", host, port)

    def stop_listening(self) -> None:
        """Take no new connections."""
        for acceptor in self._acceptors:
            acceptor.close()

    def close(self) -> None:
        """Take no more requests; those whose jobs are under way are answered when the server closes their clients."""
        self.stop_listening()
        for task in self._tasks:
            task.cancel()
        for peer in list(self._peers):
            if not peer.is_waiting:
                peer.abort()

    def connected(self, peer: HttpPeer) -> None:
        """A peer connected."""
        self._peers.add(peer)

    def has_grown(self, peer: HttpPeer) -> None:
        """A peer holds more memory than before."""
        self._services.budget.note(peer)

    def disconnected(self, peer: HttpPeer) -> None:
        """A peer is gone."""
        self._peers.discard(peer)
        self._services.admission.leave(peer)
        self._services.budget.forget(peer)

    def asked(self, peer: HttpPeer, request: HttpRequest) -> None:
        """Answer a request, now or later."""
        try:
            self._answer(peer, request)
        except HttpRefusal as refusal:
            peer.refuse(refusal)

    def _accept(self) -> HttpPeer:
        return HttpPeer(self, max_body_bytes=self._config.max_packet_bytes)

    def _answer(self, peer: HttpPeer, request: HttpRequest) -> None:
        page = self._pages.get(request.path) if request.method in ("GET", "HEAD") else None
        if page is not None:
            page(peer, request)
            return
        self._admit(request)
        if request.method not in METHODS:
            text = f"the method must be one of {', '.join(METHODS)}, got {request.method}"
            raise HttpRefusal(HTTPStatus.METHOD_NOT_ALLOWED, text)
        if request.method == "TRACE":
            peer.respond(_echo(request))
        elif request.path:
            self._submit(peer, request)
        elif request.method == "HEAD":
            peer.respond(HttpResponse(HTTPStatus.OK))
        else:
            # Without a word, as gearmand's: the HTTP client of its test suite cannot take a body here.
            peer.respond(HttpResponse(HTTPStatus.NOT_FOUND))

    def _healthz(self, peer: HttpPeer, request: HttpRequest) -> None:
        peer.respond(text_response(HTTPStatus.OK, "ok"))

    def _readyz(self, peer: HttpPeer, request: HttpRequest) -> None:
        reasons = self._services.reasons_not_ready()
        if reasons:
            raise HttpRefusal(HTTPStatus.SERVICE_UNAVAILABLE, "; ".join(reasons))
        peer.respond(text_response(HTTPStatus.OK, "ready"))

    def _metrics(self, peer: HttpPeer, request: HttpRequest) -> None:
        self._admit(request)
        if not self._config.http_token and (self._asks_who_clients_are or not is_local(peer.host)):
            raise HttpRefusal(
                HTTPStatus.FORBIDDEN, "to read metrics from here, set HTTP_TOKEN in the settings and bear it"
            )
        if self._services.metrics is None:
            text = "metrics need prometheus-client: pip install gearjobs[metrics]"
            raise HttpRefusal(HTTPStatus.NOT_IMPLEMENTED, text)
        accept = request.headers.get(b"accept", b"").decode("latin-1")
        task = asyncio.get_running_loop().create_task(_respond(peer, self._services.metrics(accept)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _asks_for_certificates(self) -> bool:
        return self._config.ssl and bool(self._config.ssl_ca_file)

    @property
    def _asks_who_clients_are(self) -> bool:
        return self._asks_for_certificates or bool(self._config.secret_file or self._config.access_file)

    def _admit(self, request: HttpRequest) -> None:
        """See to it that this request may ask for more than health.

        Raises:
            HttpRefusal: it may not.
        """
        if self._config.http_token:
            given = request.headers.get(b"authorization", b"")
            # In constant time: how long a comparison takes must not tell how much of a guess was right.
            if not compare_digest(given, f"Bearer {self._config.http_token}".encode()):
                raise HttpRefusal(HTTPStatus.UNAUTHORIZED, "expected Authorization: Bearer and the server's HTTP_TOKEN")
        elif b"origin" in request.headers or request.headers.get(b"sec-fetch-site", b"none") != b"none":
            raise HttpRefusal(HTTPStatus.FORBIDDEN, "requests of web pages are not answered without HTTP_TOKEN")

    def _submit(self, peer: HttpPeer, request: HttpRequest) -> None:
        if not self._config.http_token and self._asks_for_certificates:
            raise HttpRefusal(HTTPStatus.FORBIDDEN, "clients must show a certificate; HTTP_TOKEN stands in for it here")
        exchange = JobExchange(
            request,
            self._services.open_connection(),
            asker=peer,
            max_result_bytes=self._config.max_packet_bytes,
        )
        peer.work = exchange
        exchange.begin()


async def _respond(peer: HttpPeer, response: Awaitable[HttpResponse]) -> None:
    peer.respond(await response)


def _echo(request: HttpRequest) -> HttpResponse:
    lines = [line for line in request.head.splitlines() if not line.lower().startswith(_SECRET_HEADERS)]
    body = b"\r\n".join(lines) + b"\r\n\r\n" + request.body
    return HttpResponse(HTTPStatus.OK, body, (("Content-Type", "message/http"),))
