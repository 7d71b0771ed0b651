"""HTTP/1.0 and 1.1 as the job server needs it: one request in, one response out. Pure: bytes in, values out.

A connection carries one request and ends with its response, as in gearmand's HTTP module; so whatever stands behind
the request is never read as another one, and the disputes over where a request ends, which smuggling lives on, have
nothing to win here. That is why these few rules stand here instead of a dependency on a parser for all of HTTP.
Strict where leniency has hurt others (folded lines, blanks before colons, two lengths, control characters), lenient
as gearmand is with bare line feeds and a missing Host. Sizes are bounded: what is too long is refused as soon as it
is known.

What a request asks for and what becomes of it is `server/http/http_endpoint`'s. Source: RFC 9112; gearmand's http
plugin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote_to_bytes

from gearjobs.errors import HttpRefusal

#: Bytes of a request's first line and header lines together. 16 KiB is what nginx and Node allow.
HEAD_LIMIT_BYTES: Final = 16 * 1024
#: Header lines; Python's http.client allows as many.
HEADER_LIMIT: Final = 100
#: Bytes of a chunk's size line, its extensions included; nobody sends any.
CHUNK_LINE_LIMIT_BYTES: Final = 256

_HEAD_END: Final = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) +([!-~\x80-\xff]+) +HTTP/([0-9]\.[0-9])")
#: A quotation mark is no part of a name, but gearmand takes it, and a header of a name like that means nothing.
_HEADER: Final = re.compile(rb"([!\"#$%&'*+.^_`|~0-9A-Za-z-]+):([\t -~\x80-\xff]*)")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t -~\x80-\xff]*)?")
#: Scheme and authority of a target in the form for proxies, which a server must take, too.
_AUTHORITY: Final = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)


@dataclass(slots=True)
class HttpResponse:
    """One response, but for what depends on the request's version and method."""

    status: int
    body: bytes = b""
    #: Names and values, free of control characters; the body's length is added when it is rendered.
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class HttpRequest:
    """One request; its body is complete when the reader says so."""

    #: As it came; methods are case-sensitive.
    method: str
    #: The path without its leading slashes, percent signs decoded; any bytes.
    path: bytes
    #: True for HTTP/1.1, False for 1.0.
    is_http_11: bool
    #: Values by lower-case name; what is repeated is joined by commas.
    headers: dict[bytes, bytes]
    #: First line and header lines as they came, without the empty line.
    head: bytes
    body: bytes = b""


class RequestReader:
    """Reads one request from the bytes of a connection, in whatever pieces they come.

    Args:
        max_body_bytes: longest body; a longer one is refused as soon as its length is known.
    """

    def __init__(self, *, max_body_bytes: int) -> None:
        #: The request, once its head is there.
        self.request: HttpRequest | None = None
        #: True once its body is there, too.
        self.is_complete = False
        self._max_body_bytes = max_body_bytes
        self._buffer = bytearray()
        self._searched_bytes = 0
        # One array and not a list of pieces: a body that comes two bytes at a time would take twenty times its size.
        self._body = bytearray()
        #: Bytes still to come of the body, or of the present chunk.
        self._missing_bytes = 0
        self._is_chunked = False
        #: True between the data of a chunk and the size of the next.
        self._is_behind_chunk = False
        #: Lines that may still come behind the last chunk, while they come.
        self._trailers_left: int | None = None

    @property
    def body_bytes(self) -> int:
        """How much of the body is there."""
        return len(self._body)

    @property
    def buffered_bytes(self) -> int:
        """Memory held for a request that is not complete."""
        return len(self._body) + len(self._buffer)

    @property
    def wants_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body."""
        request = self.request
        if request is None or not request.is_http_11 or self.is_complete or self._body:
            return False
        return request.headers.get(b"expect", b"").lower() == b"100-continue"

    def receive(self, chunk: bytes) -> HttpRequest | None:
        """Read on; return the request when it is complete. What comes behind it is thrown away.

        Raises:
            HttpRefusal: this cannot be read as a request, or is too long; nothing more is to be received.
        """
        if self.request is None:
            self._buffer += chunk
            chunk = self._read_head()
        if self.request is not None and not self.is_complete:
            self._read_body(chunk)
        return self.request if self.is_complete else None

    def _read_head(self) -> bytes:
        """Read the head if it is all there; return what came behind it."""
        if not self._searched_bytes:
            # Empty lines before a request are left over from the one before on other servers.
            del self._buffer[: len(self._buffer) - len(self._buffer.lstrip(b"\r\n"))]
        end = _HEAD_END.search(self._buffer, max(0, self._searched_bytes - 3), HEAD_LIMIT_BYTES)
        if end is None:
            if len(self._buffer) >= HEAD_LIMIT_BYTES:
                text = f"the request's head must be at most {HEAD_LIMIT_BYTES} bytes"
                raise HttpRefusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
            self._searched_bytes = len(self._buffer)
            return b""
        self.request = _parse_head(bytes(self._buffer[: end.start()]))
        rest = bytes(self._buffer[end.end() :])
        self._buffer.clear()
        self._frame_body(self.request)
        return rest

    def _frame_body(self, request: HttpRequest) -> None:
        """Find out where the body ends."""
        coding, length = request.headers.get(b"transfer-encoding"), request.headers.get(b"content-length")
        if coding is None:
            if length is None:
                length = b"0"
            elif not _LENGTH.fullmatch(length):
                raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"Content-Length must be one number, got {_shown(length)}")
            self._missing_bytes = self._admit(int(length))
        elif length is not None:
            raise HttpRefusal(HTTPStatus.BAD_REQUEST, "Content-Length and Transfer-Encoding contradict each other")
        elif coding.lower() != b"chunked":
            text = f"the only Transfer-Encoding understood is chunked, got {_shown(coding)}"
            raise HttpRefusal(HTTPStatus.NOT_IMPLEMENTED, text)
        else:
            self._is_chunked = True

    def _read_body(self, chunk: bytes) -> None:
        if self._is_chunked:
            self._buffer += chunk
            self._read_chunks()
        else:
            self._take(chunk)
            if not self._missing_bytes:
                self._complete()

    def _read_chunks(self) -> None:
        while not self.is_complete:
            if self._missing_bytes:
                self._take(bytes(self._buffer[: self._missing_bytes]))
                if self._missing_bytes:
                    return
                self._is_behind_chunk = True
            line = self._read_line()
            if line is None:
                return
            if self._trailers_left is not None:
                self._pass_trailer(line)
            elif self._is_behind_chunk:
                if line:
                    raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"a chunk must end in a line end, got {_shown(line)}")
                self._is_behind_chunk = False
            else:
                self._begin_chunk(line)

    def _begin_chunk(self, line: bytes) -> None:
        found = _CHUNK_LINE.fullmatch(line)
        if found is None:
            raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"a chunk must begin with its length, got {_shown(line)}")
        self._missing_bytes = self._admit(int(found[1], 16))
        if not self._missing_bytes:
            self._trailers_left = HEADER_LIMIT

    def _pass_trailer(self, line: bytes) -> None:
        if not line:
            self._complete()
        elif not self._trailers_left:
            raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"a body may have {HEADER_LIMIT} trailers, got more")
        else:
            self._trailers_left -= 1

    def _read_line(self) -> bytes | None:
        """Remove and return the buffer's first line; None while it is not complete."""
        end = self._buffer.find(b"\n", 0, CHUNK_LINE_LIMIT_BYTES)
        if end < 0:
            if len(self._buffer) >= CHUNK_LINE_LIMIT_BYTES:
                text = f"a chunk's length and a trailer must be at most {CHUNK_LINE_LIMIT_BYTES} bytes"
                raise HttpRefusal(HTTPStatus.BAD_REQUEST, text)
            return None
        line = bytes(self._buffer[:end]).removesuffix(b"\r")
        del self._buffer[: end + 1]
        return line

    def _admit(self, count: int) -> int:
        if len(self._body) + count > self._max_body_bytes:
            text = f"the body must be at most {self._max_body_bytes} bytes"
            raise HttpRefusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, text)
        return count

    def _take(self, piece: bytes) -> None:
        """Take what the piece has of the missing bytes; of chunks, it is taken out of the buffer."""
        piece = piece[: self._missing_bytes]
        if self._is_chunked:
            del self._buffer[: len(piece)]
        self._body += piece
        self._missing_bytes -= len(piece)

    def _complete(self) -> None:
        if self.request is None:
            raise AssertionError("a body was completed before its head")
        self.request.body = bytes(self._body)
        self._body.clear()
        self._buffer.clear()
        self.is_complete = True


def render_response(response: HttpResponse, *, is_http_11: bool = False, is_head: bool = False) -> bytes:
    """Return the bytes of a response; the status's phrase is spelled as gearmand spells it (`404 NOT_FOUND`).

    Args:
        response: what is said.
        is_http_11: True when the request was HTTP/1.1; the connection is then said to end.
        is_head: True when the request was HEAD: the body is only measured.
    """
    lines = [f"HTTP/1.{int(is_http_11)} {response.status} {HTTPStatus(response.status).name}"]
    lines += [f"{name}: {value}" for name, value in response.headers]
    lines.append(f"Content-Length: {len(response.body)}")
    if is_http_11:
        lines.append("Connection: close")
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    return head if is_head else head + response.body


def _parse_head(head: bytes) -> HttpRequest:
    first, *lines = (line.removesuffix(b"\r") for line in head.split(b"\n"))
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"expected METHOD /PATH HTTP/1.1, got {_shown(first)}")
    method, target, version = found.groups()
    if version not in (b"1.0", b"1.1"):
        text = f"only HTTP/1.0 and HTTP/1.1 are spoken here, got HTTP/{version.decode()}"
        raise HttpRefusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, text)
    if len(lines) > HEADER_LIMIT:
        text = f"a request may have {HEADER_LIMIT} header lines, got {len(lines)}"
        raise HttpRefusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, text)
    return HttpRequest(method.decode(), _path_of(target), version == b"1.1", _parse_headers(lines), head)


def _path_of(target: bytes) -> bytes:
    """Return the path of a request's target; a query and a fragment are not part of it."""
    path = re.split(rb"[?#]", _AUTHORITY.sub(b"", target, count=1), maxsplit=1)[0]
    return unquote_to_bytes(path.lstrip(b"/"))


def _parse_headers(lines: Iterable[bytes]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise HttpRefusal(HTTPStatus.BAD_REQUEST, f"a header line must be NAME: VALUE, got {_shown(line)}")
        name, value = found[1].lower(), found[2].strip(b" \t")
        headers[name] = b"%s, %s" % (headers[name], value) if name in headers else value
    return headers


def _shown(raw: bytes) -> str:
    """Return a peer's bytes for a sentence, cut to what a reader needs."""
    return repr(raw[:75])
