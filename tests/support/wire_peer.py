"""A raw peer of a job server: says any bytes, and expects exactly what must come, each to a deadline.

It frames packets by itself and not with gearjobs' codec, so that a fault there cannot hide itself. What it reads it
keeps in order: packets and the lines of text answers may be mixed on one connection, and the reader says which is next.
"""

from __future__ import annotations

import socket
import struct
import time
from types import TracebackType
from typing import Final, Self

from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress

T = PacketType

#: Seconds an answer may take. A good server answers within milliseconds; the rest is for a busy machine.
PATIENCE_S: Final = 10.0

_HEADER = struct.Struct(">4sII")


def frame(packet_type: int, *arguments: bytes, magic: bytes = b"\0REQ") -> bytes:
    """Return a packet's bytes; nothing is checked, for a peer may say what it likes."""
    body = b"\0".join(arguments)
    return _HEADER.pack(magic, packet_type, len(body)) + body


class WirePeer:
    """One connection to a job server.

    Args:
        address: where the server listens.
        receive_buffer_bytes: the kernel's buffer for what was not read yet; its own choice when 0.
    """

    def __init__(self, address: ServerAddress, *, receive_buffer_bytes: int = 0) -> None:
        self.socket = socket.socket(socket.AF_UNIX if address.path else socket.AF_INET)
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(address.path or (address.host, address.port))
        except OSError:
            self.socket.close()
            raise
        # Small pieces leave as they are said.
        if not address.path:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = bytearray()
        self._echoes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def say(self, packet_type: int, *arguments: bytes) -> None:
        """Send a packet."""
        self.socket.sendall(frame(packet_type, *arguments))

    def say_raw(self, raw: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(raw)

    def next(self, what: str = "a packet", *, timeout_s: float = PATIENCE_S) -> tuple[PacketType, list[bytes]]:
        """Return the next packet's type and its arguments, split at every NUL."""
        packet_type, body = self.next_body(what, timeout_s=timeout_s)
        return packet_type, body.split(b"\0") if body else []

    def next_body(self, what: str = "a packet", *, timeout_s: float = PATIENCE_S) -> tuple[PacketType, bytes]:
        """Return the next packet's type and its body."""
        deadline = time.monotonic() + timeout_s
        self._fill(_HEADER.size, deadline, what)
        magic, packet_type, body_bytes = _HEADER.unpack_from(self._unread)
        assert magic == b"\0RES", f"expected {what}, got {bytes(self._unread[:75])!r}"
        self._fill(_HEADER.size + body_bytes, deadline, what)
        body = bytes(self._unread[_HEADER.size : _HEADER.size + body_bytes])
        del self._unread[: _HEADER.size + body_bytes]
        return PacketType(packet_type), body

    def expect(self, packet_type: PacketType, *, timeout_s: float = PATIENCE_S) -> list[bytes]:
        """Return the arguments of the next packet, which must be of this type."""
        came, arguments = self.next(packet_type.name, timeout_s=timeout_s)
        assert came == packet_type, f"expected {packet_type.name}, got {came.name} {arguments}"
        return arguments

    def expect_body(self, packet_type: PacketType, *, timeout_s: float = PATIENCE_S) -> bytes:
        """Return the body of the next packet, which must be of this type."""
        came, body = self.next_body(packet_type.name, timeout_s=timeout_s)
        assert came == packet_type, f"expected {packet_type.name}, got {came.name} {body[:75]!r}"
        return body

    def expect_line(self, what: str = "a line", *, timeout_s: float = PATIENCE_S) -> bytes:
        """Return the next line of a text answer with its line end."""
        deadline = time.monotonic() + timeout_s
        while (end := self._unread.find(b"\n")) < 0:
            self._read_more(deadline, what)
        line = bytes(self._unread[: end + 1])
        del self._unread[: end + 1]
        return line

    def expect_end(self, *, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the server closes; nothing more may come before that."""
        deadline = time.monotonic() + timeout_s
        while not self._unread:
            try:
                self._read_more(deadline, "the end of the connection")
            except ConnectionError:
                return
        raise AssertionError(f"expected the end of the connection, got {bytes(self._unread[:75])!r}")

    def expect_quiet(self) -> None:
        """Prove that all that was said is carried out and that no answer is left.

        A server answers in order, so the answer to an echo comes behind every other.
        """
        self._echoes += 1
        mark = b"quiet %d" % self._echoes
        self.say(T.ECHO_REQ, mark)
        came, body = self.next_body("nothing but the answer to an echo")
        assert (came, body) == (T.ECHO_RES, mark), f"expected silence, got {came.name} {body[:75]!r}"

    def ask(self, line: str) -> list[bytes]:
        """Send a text line and return the lines of its answer, a list's end left out."""
        self.say_raw(f"{line}\n".encode())
        lines = [self.expect_line(f"the answer to {line}")]
        if lines[0].startswith((b"OK", b"ERR")):
            return lines
        while lines[-1] != b".\n":
            lines.append(self.expect_line(f"the answer to {line}"))
        return lines[:-1]

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def leave(self) -> None:
        """Close the connection and wait until the server has closed its end, too."""
        self.socket.shutdown(socket.SHUT_WR)
        self.expect_end()
        self.close()

    # What workers and clients say most often.

    def can_do(self, *functions: bytes) -> None:
        """Register the functions; they are registered when this returns."""
        for function in functions:
            self.say(T.CAN_DO, function)
        self.expect_quiet()

    def submit(
        self, function: bytes, payload: bytes = b"payload", *, unique: bytes = b"", timeout_s: float = PATIENCE_S
    ) -> bytes:
        """Submit a foreground job and return its handle."""
        self.say(T.SUBMIT_JOB, function, unique, payload)
        return self.expect_body(T.JOB_CREATED, timeout_s=timeout_s)

    def submit_background(self, function: bytes, payload: bytes = b"payload", *, unique: bytes = b"") -> bytes:
        """Submit a background job and return its handle."""
        self.say(T.SUBMIT_JOB_BG, function, unique, payload)
        return self.expect_body(T.JOB_CREATED)

    def grab(self) -> tuple[bytes, bytes]:
        """Take a job that must be there; return its handle and payload."""
        self.say(T.GRAB_JOB)
        handle, _, payload = self.expect_body(T.JOB_ASSIGN).split(b"\0", 2)
        return handle, payload

    def grab_or_none(self) -> tuple[bytes, bytes] | None:
        """Take a job; return its handle and payload, or None when none waits."""
        self.say(T.GRAB_JOB)
        came, body = self.next_body("JOB_ASSIGN or NO_JOB")
        if came == T.NO_JOB:
            return None
        handle, _, payload = body.split(b"\0", 2)
        return handle, payload

    def use_extensions(self) -> None:
        """Turn gearjobs' extensions on."""
        self.say(T.OPTION_REQ, b"gearjobs/1")
        assert self.expect_body(T.OPTION_RES) == b"gearjobs/1"

    def _fill(self, wanted_bytes: int, deadline: float, what: str) -> None:
        while len(self._unread) < wanted_bytes:
            self._read_more(deadline, what)

    def _read_more(self, deadline: float, what: str) -> None:
        # At least a moment: a timeout of 0 would mean not to wait, and what came already counts.
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            chunk = self.socket.recv(262144)
        except TimeoutError:
            got = f", got only {bytes(self._unread[:75])!r}" if self._unread else ""
            raise AssertionError(f"waited in vain for {what}{got}") from None
        finally:
            self.socket.settimeout(PATIENCE_S)
        if not chunk:
            raise ConnectionResetError(f"expected {what}, got the end of the connection")
        self._unread += chunk
