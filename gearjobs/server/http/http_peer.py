"""One HTTP connection: reads one request, hands it over, writes one response, ends; each within its time.

A peer that is slow with its request, or with reading the response, is given up: the head within 10 s, a body at 1 KiB/s
and a response likewise. When one leaves, whatever is done for its request is told so. What is answered is decided
elsewhere (`http_endpoint`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol, cast

from gearjobs.errors import HttpRefusal
from gearjobs.protocol.http_messages import HttpRequest, HttpResponse, RequestReader, render_response
from gearjobs.server.admin_commands import VERSION_TEXT
from gearjobs.server.http.http_exchange import text_response

logger = logging.getLogger("gearjobs.server")

#: Seconds a peer has for its head.
HEAD_LIMIT_S: Final = 10.0
#: Seconds between two looks at how far a body or a response is, and what must have passed in between: 1 KiB/s.
PROGRESS_INTERVAL_S: Final = 10.0
PROGRESS_LEAST_BYTES: Final = 10 * 1024
#: Seconds for which the rest of a refused request is read and thrown away. Closed at once, the kernel would answer that
#: rest with a reset, and the peer would lose the refusal to it.
LINGER_S: Final = 2.0
#: Bytes a peer may send behind its request; there is nobody to read them.
EXCESS_LIMIT_BYTES: Final = 64 * 1024

#: Methods that are answered, and named where another one came.
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "TRACE")
#: gearmand says `Gearman/<its version>`.
SERVER_NAME: Final = f"Gearman/{VERSION_TEXT}"

_HEADERS_OF_STATUS: Final[dict[int, tuple[tuple[str, str], ...]]] = {
    HTTPStatus.UNAUTHORIZED: (("WWW-Authenticate", "Bearer"),),
    HTTPStatus.METHOD_NOT_ALLOWED: (("Allow", ", ".join(METHODS)),),
    # Full queues and stores that are down take longer than a moment.
    HTTPStatus.SERVICE_UNAVAILABLE: (("Retry-After", "1"),),
}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Work(Protocol):
    """What is done for a request whose response takes time."""

    @property
    def held_bytes(self) -> int:
        """Memory held for it."""

    def leave(self) -> None:
        """Nobody waits for the response any more: the peer left, or has it."""


class HttpHandler(Protocol):
    """The endpoint, as a connection sees it."""

    def connected(self, peer: HttpPeer) -> None:
        """The connection is open."""

    def asked(self, peer: HttpPeer, request: HttpRequest) -> None:
        """A request is there, to be answered by `peer.respond`, now or later."""

    def has_grown(self, peer: HttpPeer) -> None:
        """The connection holds more memory than before."""

    def disconnected(self, peer: HttpPeer) -> None:
        """The connection is closed."""


class HttpPeer(asyncio.Protocol):
    """The asyncio side of one connection.

    Args:
        handler: who answers.
        max_body_bytes: longest body of a request.
    """

    def __init__(self, handler: HttpHandler, *, max_body_bytes: int) -> None:
        self.host = "-"
        #: Host and port.
        self.address = "-"
        #: What is done for its request; it is told when the connection is closed.
        self.work: Work | None = None
        self._handler = handler
        self._reader = RequestReader(max_body_bytes=max_body_bytes)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        #: What was passed of the body or the response at the last look.
        self._passed_bytes = 0
        self._response_bytes = 0
        self._excess_bytes = 0
        self._is_answered = False
        #: True while nothing is read from the peer: all together hold too much memory.
        self._is_held_off = False

    @property
    def transport(self) -> asyncio.Transport:
        """The connection's transport; there is one once it is connected."""
        if self._transport is None:
            raise AssertionError("asked for the transport of a connection that was never made")
        return self._transport

    @property
    def is_waiting(self) -> bool:
        """Whether its request is complete and not answered."""
        return self._reader.is_complete and not self._is_answered

    @property
    def buffered_bytes(self) -> int:
        """Memory held for a request that is not complete, for its result, and for a response that has not left."""
        unsent_bytes = 0 if self._transport is None else self._transport.get_write_buffer_size()
        return self._reader.buffered_bytes + unsent_bytes + (0 if self.work is None else self.work.held_bytes)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A listening socket makes no other kind; uvloop's are not subclasses, so isinstance cannot tell.
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.host, self.address = str(peer[0]), f"{peer[0]}:{peer[1]}"
        self._look_again(HEAD_LIMIT_S, self._judge_head)
        self._handler.connected(self)

    def data_received(self, data: bytes) -> None:
        if self._is_answered:
            return
        if self._reader.is_complete:
            self._drop_excess(data)
            return
        is_new = self._reader.request is None
        try:
            request = self._reader.receive(data)
        except HttpRefusal as refusal:
            self.refuse(refusal)
            return
        if request is not None:
            self._stop_looking()
            self._handler.asked(self, request)
            # The job has its own copy by now, and may wait for long.
            request.body = b""
        elif is_new and self._reader.request is not None:
            self._look_again(PROGRESS_INTERVAL_S, self._judge_body)
            if self._reader.wants_continue:
                self.transport.write(_CONTINUE)
        self.note_growth()

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_answered = True
        self._stop_looking()
        if self.work is not None:
            self.work.leave()
        self._handler.disconnected(self)

    def refuse(self, refusal: HttpRefusal) -> None:
        """Answer with the refusal's status and words."""
        logger.info("refuse http peer=%s: %s", self.host, refusal)
        self.respond(text_response(refusal.status, refusal.text))

    def respond(self, response: HttpResponse) -> None:
        """Write the response and end the connection; a peer that was answered, or is gone, hears nothing more."""
        if self._is_answered:
            return
        self._is_answered = True
        request = self._reader.request
        usual = (("Server", SERVER_NAME), *_HEADERS_OF_STATUS.get(response.status, ()))
        rendered = render_response(
            HttpResponse(response.status, response.body, response.headers + usual),
            is_http_11=request is not None and request.is_http_11,
            is_head=request is not None and request.method == "HEAD",
        )
        self._response_bytes, self._passed_bytes = len(rendered), 0
        self.transport.write(rendered)
        self.note_growth()
        if self._reader.is_complete:
            self.transport.close()
            self._look_again(PROGRESS_INTERVAL_S, self._judge_response)
        else:
            self.transport.write_eof()
            self._look_again(LINGER_S, self.abort)

    def note_growth(self) -> None:
        """Let the memory that is held for this connection be counted."""
        self._handler.has_grown(self)

    def hold_off(self) -> None:
        """Read no more from the peer until `go_on`."""
        self._is_held_off = True
        self.transport.pause_reading()

    def go_on(self) -> None:
        """Read from the peer again."""
        self._is_held_off = False
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def abort(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def _drop_excess(self, data: bytes) -> None:
        self._excess_bytes += len(data)
        if self._excess_bytes > EXCESS_LIMIT_BYTES:
            self.abort()

    def _judge_head(self) -> None:
        self.refuse(HttpRefusal(HTTPStatus.REQUEST_TIMEOUT, f"a request's head must come within {HEAD_LIMIT_S:g} s"))

    def _judge_body(self) -> None:
        # One that is not read from cannot be blamed.
        if self._has_passed(self._reader.body_bytes) or self._is_held_off:
            self._look_again(PROGRESS_INTERVAL_S, self._judge_body)
        else:
            self.refuse(HttpRefusal(HTTPStatus.REQUEST_TIMEOUT, "a request's body must come at 1 KiB/s at least"))

    def _judge_response(self) -> None:
        if self._has_passed(self._response_bytes - self.transport.get_write_buffer_size()):
            self._look_again(PROGRESS_INTERVAL_S, self._judge_response)
        else:
            self.abort()

    def _has_passed(self, passed_bytes: int) -> bool:
        before, self._passed_bytes = self._passed_bytes, passed_bytes
        return passed_bytes - before >= PROGRESS_LEAST_BYTES

    def _look_again(self, delay_s: float, judge: Callable[[], None]) -> None:
        self._stop_looking()
        self._timer = asyncio.get_running_loop().call_later(delay_s, judge)

    def _stop_looking(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
