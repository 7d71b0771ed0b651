"""HTTP without a network: a transport that takes what is written, and responses taken apart.

`HttpWire` is `fake_transport`'s with an end of its own to close; `read_response` reads what Python's http.client, which
is not gearjobs' parser, makes of the bytes.
"""

from __future__ import annotations

import io
import socket
import time
from dataclasses import dataclass
from http.client import HTTPResponse
from typing import cast

from tests.support.fake_transport import FakeTransport

#: Seconds an answer may take; the machine may be busy.
PATIENCE_S = 10.0


@dataclass
class Response:
    """A response as a client reads it."""

    version: int
    status: int
    reason: str
    headers: dict[str, str]
    body: bytes


class HttpWire(FakeTransport):
    """What an HTTP connection writes to."""

    def __init__(self, *, host: str | None = "10.0.0.7") -> None:
        super().__init__(peer=(host, 5121) if host else None)
        self.high_bytes = 2**31
        #: True once nothing more will be written.
        self.has_ended = False

    def write_eof(self) -> None:
        self.has_ended = True

    @property
    def written(self) -> bytes:
        """Everything the peer read."""
        return b"".join(self.read)

    def response(self, *, method: str = "GET") -> Response:
        """Return the one response that was written."""
        return read_response(self.written, method=method)


class _Replay:
    """As much of a socket as http.client asks for."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def makefile(self, mode: str) -> io.BytesIO:
        assert mode == "rb"
        return io.BytesIO(self._raw)


def read_response(raw: bytes, *, method: str = "GET") -> Response:
    """Return the response that the bytes are; nothing may stand behind it."""
    response = HTTPResponse(cast("socket.socket", _Replay(raw)), method=method)
    response.begin()
    body = response.read()
    assert response.fp is None or not response.fp.read(), f"expected one response, got {raw!r}"
    return Response(response.version, response.status, response.reason, dict(response.headers), body)


def exchange(host: str, port: int, raw: bytes, *, method: str = "") -> Response:
    """Send a request's bytes, read to the end of the connection and return the response."""
    with socket.create_connection((host, port), timeout=PATIENCE_S) as connection:
        connection.sendall(raw)
        return read_response(read_to_end(connection), method=method or raw.split(b" ")[0].decode())


def read_to_end(connection: socket.socket) -> bytes:
    """Return everything up to the end of the connection."""
    deadline = time.monotonic() + PATIENCE_S
    pieces: list[bytes] = []
    while True:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            piece = connection.recv(65536)
        except TimeoutError:
            raise AssertionError(f"waited in vain for the end of the connection, got {pieces[:5]}") from None
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
