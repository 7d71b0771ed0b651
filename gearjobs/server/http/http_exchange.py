"""One HTTP request as one client of the job server: says it in packets, and makes the response of the answers.

To the server it is a Connection like any other, whose transport is this object: what may be refused, held for the
store or dropped when the client leaves is decided where it is decided for every client, and nothing of it stands here.
gearmand does the same within its connections; its mistakes are not copied: pieces of WORK_DATA stand before the result
and not on the status line, a warning is not the end, and a failed job is not `200 OK`. Reading the request and
writing the response are `http_peer`'s.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final, Protocol

from gearjobs.errors import HttpRefusal
from gearjobs.protocol.codec import Decoder, Packet, encode_request
from gearjobs.protocol.http_messages import HttpRequest, HttpResponse
from gearjobs.protocol.packets import RESPONSE_MAGIC, ErrorCode, PacketType
from gearjobs.server.connection import Connection

#: By whether it is a background job, and by X-Gearman-Priority; what is neither high nor low is normal.
_SUBMITS: Final[dict[bool, dict[bytes, PacketType]]] = {
    False: {b"high": PacketType.SUBMIT_JOB_HIGH, b"low": PacketType.SUBMIT_JOB_LOW},
    True: {b"high": PacketType.SUBMIT_JOB_HIGH_BG, b"low": PacketType.SUBMIT_JOB_LOW_BG},
}
#: gearmand's default: a request with the same function and body joins the one before.
_UNIQUE_BY_BODY: Final = b"-"

#: What an ERROR packet is in HTTP; the sender is at fault where nothing else is said.
_STATUS_OF_ERROR: Final[dict[str, HTTPStatus]] = {
    ErrorCode.QUEUE_ERROR: HTTPStatus.SERVICE_UNAVAILABLE,
    # Not 401: what would help is no header of this request.
    ErrorCode.AUTH_REQUIRED: HTTPStatus.FORBIDDEN,
    ErrorCode.ACCESS_DENIED: HTTPStatus.FORBIDDEN,
}

#: Of a job's result, whose kind nobody knows, browsers are to think nothing.
_RESULT_HEADERS: Final = (("Content-Type", "application/octet-stream"), ("X-Content-Type-Options", "nosniff"))
_TEXT_HEADERS: Final = (("Content-Type", "text/plain; charset=utf-8"),)

#: Bytes that a packet has before its payload, at most, where the payload is as long as the server allows.
_ARGUMENT_ROOM_BYTES: Final = 64 * 1024


def submit_packet(request: HttpRequest) -> bytes:
    """Return the SUBMIT_JOB packet that the request means.

    Raises:
        HttpRefusal: the function's name cannot be said in a packet.
    """
    if b"\0" in request.path:
        raise HttpRefusal(HTTPStatus.BAD_REQUEST, "the name of a function cannot have %00 in it")
    headers = request.headers
    is_background = _is_background(request)
    default = PacketType.SUBMIT_JOB_BG if is_background else PacketType.SUBMIT_JOB
    packet_type = _SUBMITS[is_background].get(headers.get(b"x-gearman-priority", b"").lower(), default)
    unique = headers.get(b"x-gearman-unique") or _UNIQUE_BY_BODY
    return encode_request(packet_type, request.path, unique, request.body)


def text_response(status: int, text: str) -> HttpResponse:
    """Return a response in words."""
    return HttpResponse(status, f"{text}\n".encode(), _TEXT_HEADERS)


class Asker(Protocol):
    """The connection that a request came by."""

    @property
    def transport(self) -> asyncio.Transport:
        """Its transport."""

    def respond(self, response: HttpResponse) -> None:
        """Take the response; called once."""

    def note_growth(self) -> None:
        """Take notice that more memory is held for it than before."""


class JobExchange(asyncio.Transport):
    """A client connection that one request makes.

    Args:
        request: what is asked; see `submit_packet`.
        connection: the server's side, new.
        asker: the connection that the request came by.
        max_result_bytes: longest result, with its pieces.
    """

    def __init__(self, request: HttpRequest, connection: Connection, *, asker: Asker, max_result_bytes: int) -> None:
        super().__init__({name: asker.transport.get_extra_info(name) for name in ("peername", "sockname", "socket")})
        self._connection = connection
        self._asker = asker
        self._max_result_bytes = max_result_bytes
        self._packet = submit_packet(request)
        self._is_background = _is_background(request)
        self._decoder = Decoder(
            expects=RESPONSE_MAGIC, max_body_bytes=max_result_bytes + _ARGUMENT_ROOM_BYTES, reads_text=False
        )
        self._handle = b""
        self._pieces = bytearray()
        self._is_answered = False
        self._is_closing = False

    @property
    def held_bytes(self) -> int:
        """Memory held for the result."""
        return len(self._pieces)

    def begin(self) -> None:
        """Connect and submit the job."""
        self._connection.connection_made(self)
        if not self._is_closing:
            self._connection.data_received(self._packet)
        self._packet = b""

    def leave(self) -> None:
        """Disconnect: the peer is gone, or has its response."""
        self._is_closing = self._is_answered = True
        self._connection.connection_lost(None)

    def write(self, data: Any) -> None:
        """Take the server's packets."""
        if self._is_answered:
            return
        self._decoder.receive(bytes(data))
        while not self._is_answered and isinstance(packet := self._decoder.next_packet(), Packet):
            self._take(packet)

    def close(self) -> None:
        """The server ends the connection."""
        self._is_closing = True
        self._answer(text_response(HTTPStatus.SERVICE_UNAVAILABLE, "the job server ended the connection"))

    def abort(self) -> None:
        self.close()

    def is_closing(self) -> bool:
        return self._is_closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered but the result, which has its own limit."""

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """The one request was read before this connection was made."""

    def resume_reading(self) -> None:
        """See `pause_reading`."""

    def _take(self, packet: Packet) -> None:
        match packet.type:
            case PacketType.JOB_CREATED:
                self._handle = packet.arguments[0]
                if self._is_background:
                    self._answer_job(HTTPStatus.OK, "JOB_CREATED")
            case PacketType.WORK_DATA:
                self._add(packet.arguments[1])
            case PacketType.WORK_COMPLETE:
                self._add(packet.arguments[1])
                self._answer_job(HTTPStatus.OK, "WORK_COMPLETE", bytes(self._pieces))
            case PacketType.WORK_FAIL:
                self._answer_job(HTTPStatus.INTERNAL_SERVER_ERROR, "WORK_FAIL")
            case PacketType.WORK_EXCEPTION:
                self._answer_job(HTTPStatus.INTERNAL_SERVER_ERROR, "WORK_EXCEPTION", packet.arguments[1])
            case PacketType.ERROR:
                self._answer_error(*packet.arguments)
            case _:
                # How far the job is and what it warns of has no place in a response.
                pass

    def _add(self, piece: bytes) -> None:
        if len(self._pieces) + len(piece) > self._max_result_bytes:
            text = f"the job's result must be at most {self._max_result_bytes} bytes"
            self._answer(text_response(HTTPStatus.BAD_GATEWAY, text))
        else:
            self._pieces += piece
            self._asker.note_growth()

    def _answer_error(self, code: bytes, text: bytes) -> None:
        status = _STATUS_OF_ERROR.get(code.decode("ascii", "replace"), HTTPStatus.BAD_REQUEST)
        response = text_response(status, f"{code.decode('utf-8', 'replace')}: {text.decode('utf-8', 'replace')}")
        response.headers += (("X-Gearman-Command", "ERROR"),)
        self._answer(response)

    def _answer_job(self, status: int, command: str, body: bytes = b"") -> None:
        said = (("X-Gearman-Job-Handle", self._handle.decode("latin-1")), ("X-Gearman-Command", command))
        self._answer(HttpResponse(status, body, said + _RESULT_HEADERS))

    def _answer(self, response: HttpResponse) -> None:
        if not self._is_answered:
            self._is_answered = True
            self._pieces = bytearray()
            self._asker.respond(response)


def _is_background(request: HttpRequest) -> bool:
    return request.headers.get(b"x-gearman-background", b"").lower() == b"true"
