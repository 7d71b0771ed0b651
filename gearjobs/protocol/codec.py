"""Bytes to packets and back: the incremental decoder of both directions, and the encoder.

A Decoder is given the bytes of one connection in whatever pieces they arrive and gives out packets and text lines, the
two mixed as the peer likes: the first byte of each decides, as in gearmand. Whole packets are read straight from the
piece they came in; only a packet cut by a piece's end is gathered, each byte once, so that no way of cutting a stream
costs more than its length. This is the hot path of the server: a packet costs one dictionary look-up, which checks its
magic, type and direction at once.

What the numbers mean stands in packets.py; the answers to text lines are written by admin_text.py. Nothing here does
I/O, and nothing here answers: a WireError tells the connection what to answer or to close.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from struct import Struct

from gearjobs.errors import UsageError, WireError
from gearjobs.protocol.packets import (
    HEADER_BYTES,
    PACKETS,
    REQUEST_MAGIC,
    RESPONSE_MAGIC,
    ErrorCode,
    PacketSpec,
    PacketType,
    Refusal,
    Sender,
)

#: Longest body read unless told otherwise: 64 MiB, the largest payload probed through gearmand, which has no limit.
DEFAULT_MAX_BODY_BYTES = 64 * 1024 * 1024
#: Longest text line without its end: gearmand's receive buffer of 8 KiB, beyond which it closes.
MAX_LINE_BYTES = 8192
#: Most words of a text line: `maxqueue FUNCTION HIGH NORMAL LOW`; gearmand closes at the sixth.
MAX_LINE_WORDS = 5

_NUL = b"\0"
_HEADER = Struct(">4sII")
# The same twelve bytes, magic and type as one number: one look-up decides about both.
_read_header = Struct(">QI").unpack_from
_TYPE_MASK = 0xFFFFFFFF
_WRONG_MAGIC = {REQUEST_MAGIC: Refusal.NOT_REQUEST_MAGIC, RESPONSE_MAGIC: Refusal.NOT_RESPONSE_MAGIC}
_ARGUMENT_COUNTS: dict[int, int] = {number: len(spec.arguments) for number, spec in PACKETS.items()}


@dataclass(slots=True, init=False)
class Packet:
    """One packet of the wire, its arguments apart."""

    #: A PacketType.
    type: int
    #: As many as the packet table names; payloads are exact bytes.
    arguments: tuple[bytes, ...]

    # One that `dataclass` writes is not compiled.
    def __init__(self, type: int, arguments: tuple[bytes, ...]) -> None:  # noqa: A002 - the field's name
        self.type = type
        self.arguments = arguments


@dataclass(slots=True)
class TextLine:
    """One line of the administrative text protocol."""

    #: At least one; the first is empty when the line is empty or begins with a space.
    words: tuple[bytes, ...]


def encode_request(type_: int, *arguments: bytes) -> bytes:
    """Return the packet to a job server.

    Args:
        type_: a PacketType.
        arguments: as many as the packet table names.

    Raises:
        UsageError: the number of arguments is wrong, or one but the last holds a NUL, which would shift the others.
    """
    return _encode(REQUEST_MAGIC, type_, arguments)


def encode_response(type_: int, *arguments: bytes) -> bytes:
    """Return the packet from a job server; arguments and errors as for encode_request."""
    return _encode(RESPONSE_MAGIC, type_, arguments)


def _encode(magic: bytes, type_: int, arguments: tuple[bytes, ...]) -> bytes:
    body = _NUL.join(arguments)
    count = len(arguments)
    # One count over all but the last argument finds a NUL in any of them.
    if count != _ARGUMENT_COUNTS[type_] or (
        count > 1 and body.count(_NUL, 0, len(body) - len(arguments[-1])) != count - 1
    ):
        raise _not_encodable(PACKETS[type_], arguments)
    return _HEADER.pack(magic, type_, len(body)) + body


def _not_encodable(spec: PacketSpec, arguments: tuple[bytes, ...]) -> UsageError:
    if len(arguments) != len(spec.arguments):
        return UsageError(f"{_signature(spec)}, got {len(arguments)}")
    name, value = next((name, value) for name, value in zip(spec.arguments, arguments, strict=True) if _NUL in value)
    return UsageError(f"{spec.type.name} {name} must not contain a NUL byte, got {value[:75]!r}")


def _signature(spec: PacketSpec) -> str:
    return f"{spec.type.name} takes {len(spec.arguments)} arguments ({', '.join(spec.arguments)})"


def _may_come(spec: PacketSpec, magic: bytes) -> bool:
    if magic == REQUEST_MAGIC:
        return spec.sender not in {Sender.SERVER, Sender.NOBODY}
    return spec.sender is Sender.SERVER or spec.is_relayed


def _separators_by_start(magic: bytes) -> dict[int, tuple[PacketType, int]]:
    """Return {first eight bytes: (type, NULs between its arguments)} of the packets that may come with the magic."""
    return {
        int.from_bytes(magic, "big") << 32 | number: (spec.type, len(spec.arguments) - 1)
        for number, spec in PACKETS.items()
        if _may_come(spec, magic)
    }


_EXPECTED = {magic: _separators_by_start(magic) for magic in (REQUEST_MAGIC, RESPONSE_MAGIC)}


class Decoder:
    """Turns the bytes of one connection into packets and text lines, in order.

    Args:
        expects: the magic this side reads: REQUEST_MAGIC at the server, RESPONSE_MAGIC at clients and workers.
        max_body_bytes: longest body accepted; a longer one is refused at its header, before any of it is kept.
        reads_text: True where a first byte that is not NUL begins a text line (the server).
    """

    __slots__ = (
        "_chunk",
        "_expected",
        "_expects",
        "_failure",
        "_max_body_bytes",
        "_offset",
        "_partial",
        "_reads_text",
        "_waiting",
    )

    def __init__(
        self, *, expects: bytes, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES, reads_text: bool = False
    ) -> None:
        self._expects = expects
        self._expected = _EXPECTED[expects]
        self._max_body_bytes = max_body_bytes
        self._reads_text = reads_text
        # The piece being read, and how far.
        self._chunk = b""
        self._offset = 0
        # Pieces that came before that one was read to its end.
        self._waiting: deque[bytes] = deque()
        # The beginning of a packet or line whose end is in none of the pieces read so far.
        self._partial = bytearray()
        # Code, text and silence of the fatal error; not the error itself: its traceback would keep this decoder alive.
        self._failure: tuple[ErrorCode, str, bool] | None = None

    @property
    def has_partial(self) -> bool:
        """True while bytes are held that were not given out: after None from next_packet, a packet's beginning."""
        return bool(self._partial or self._waiting) or self._offset < len(self._chunk)

    @property
    def partial_bytes(self) -> int:
        """How many bytes of an unfinished packet are held, after None from next_packet."""
        return len(self._partial)

    def receive(self, chunk: bytes) -> None:
        """Take the next bytes of the stream; after a fatal error they are thrown away."""
        if self._failure is not None:
            return
        if self._offset == len(self._chunk) and not self._waiting:
            self._chunk = chunk
            self._offset = 0
        else:
            self._waiting.append(chunk)

    def next_packet(self) -> Packet | TextLine | None:
        """Return the next packet or line, None when more bytes are needed.

        Raises:
            WireError: what came is not allowed. Unless it is fatal, it was skipped and the next call goes on behind
                it; a fatal one is raised by every further call.
        """
        chunk = self._chunk
        offset = self._offset
        body_start = offset + HEADER_BYTES
        if body_start <= len(chunk) and not self._partial:
            start, body_bytes = _read_header(chunk, offset)
            expected = self._expected.get(start)
            end = body_start + body_bytes
            if expected is not None and end <= len(chunk) and body_bytes <= self._max_body_bytes:
                self._offset = end
                return _read_packet(expected, chunk[body_start:end])
        elif offset == len(chunk) and not (self._waiting or self._partial or self._failure):
            # All is read. An idle connection holds no bytes.
            self._chunk = b""
            self._offset = 0
            return None
        return self._next_packet_slowly()

    def _next_packet_slowly(self) -> Packet | TextLine | None:
        """Do next_packet's work for all but a whole, expected packet in the piece being read."""
        if self._failure is not None:
            raise _fatal(self._failure)
        if self._partial:
            first = self._partial[0]
        elif self._load():
            first = self._chunk[self._offset]
        else:
            return None
        if first == 0:
            return self._gathered_packet()
        if self._reads_text:
            return self._gathered_line()
        raise self._fail(ErrorCode.INVALID_MAGIC, f"expected {self._expects!r}, got a first byte of {first:#04x}")

    def _load(self) -> bool:
        """Go to the next waiting piece once this one is read; False when no unread byte is left."""
        while self._offset == len(self._chunk):
            self._offset = 0
            if not self._waiting:
                # Let go of it: an idle connection holds no bytes.
                self._chunk = b""
                return False
            self._chunk = self._waiting.popleft()
        return True

    def _gather(self, wanted_bytes: int) -> bool:
        """Move bytes to the partial packet until it has so many; False when they have not come yet."""
        missing_bytes = wanted_bytes - len(self._partial)
        while missing_bytes > 0:
            if not self._load():
                return False
            gathered = self._chunk[self._offset : self._offset + missing_bytes]
            self._partial += gathered
            self._offset += len(gathered)
            missing_bytes -= len(gathered)
        return True

    def _gathered_packet(self) -> Packet | None:
        if not self._gather(HEADER_BYTES):
            return None
        start, body_bytes = _read_header(self._partial)
        refusal = self._judge_header(start, body_bytes)
        if not self._gather(HEADER_BYTES + body_bytes):
            return None
        del self._partial[:HEADER_BYTES]
        body = bytes(self._partial)
        self._partial.clear()
        if refusal is not None:
            raise WireError(*refusal.value)
        return _read_packet(self._expected[start], body)

    def _judge_header(self, start: int, body_bytes: int) -> Refusal | None:
        """Return why the packet is to be refused once it was skipped; raise when it cannot be skipped."""
        magic = (start >> 32).to_bytes(4, "big")
        number = start & _TYPE_MASK
        if magic not in _WRONG_MAGIC:
            raise self._fail(ErrorCode.INVALID_MAGIC, f"expected magic {self._expects!r}, got {magic!r}")
        if number not in PACKETS:
            raise self._fail(ErrorCode.INVALID_COMMAND, f"expected a packet type of the protocol, got {number}")
        if body_bytes > self._max_body_bytes:
            text = f"{PACKETS[number].type.name} must have at most {self._max_body_bytes} bytes, got {body_bytes}"
            raise self._fail(ErrorCode.ARGUMENT_TOO_LARGE, text, is_silent=False)
        if magic != self._expects:
            return _WRONG_MAGIC[self._expects]
        return None if start in self._expected else Refusal.NOT_A_REQUEST

    def _gathered_line(self) -> TextLine | None:
        while self._load():
            last = self._offset + MAX_LINE_BYTES + 1 - len(self._partial)
            newline = self._chunk.find(b"\n", self._offset, last)
            if newline >= 0:
                line = bytes(self._partial) + self._chunk[self._offset : newline]
                self._offset = newline + 1
                self._partial.clear()
                return self._read_line(line)
            gathered = self._chunk[self._offset : last]
            self._partial += gathered
            self._offset += len(gathered)
            if len(self._partial) > MAX_LINE_BYTES:
                text = f"a line must end within {MAX_LINE_BYTES} bytes, got {bytes(self._partial[:75])!r}..."
                raise self._fail(ErrorCode.INVALID_PACKET, text)
        return None

    def _read_line(self, line: bytes) -> TextLine:
        first, *others = line.removesuffix(b"\r").split(b" ")
        words = (first, *[word for word in others if word])
        if len(words) > MAX_LINE_WORDS:
            text = f"a line must have at most {MAX_LINE_WORDS} words, got {len(words)}: {line[:75]!r}"
            raise self._fail(ErrorCode.INVALID_PACKET, text)
        return TextLine(words)

    def _fail(self, code: ErrorCode, text: str, *, is_silent: bool = True) -> WireError:
        """Give the stream up, with everything still held of it; return the error that every further call raises."""
        self._failure = (code, text, is_silent)
        self._chunk = b""
        self._offset = 0
        self._waiting.clear()
        self._partial.clear()
        return _fatal(self._failure)


def _fatal(failure: tuple[ErrorCode, str, bool]) -> WireError:
    code, text, is_silent = failure
    return WireError(code, text, is_fatal=True, is_silent=is_silent)


def _read_packet(expected: tuple[PacketType, int], body: bytes) -> Packet:
    type_, separators = expected
    if separators < 0:
        # What stands in the body of a packet without arguments means nothing to gearmand either.
        return Packet(type_, ())
    arguments = body.split(_NUL, separators)
    if len(arguments) <= separators:
        _fill_up(PACKETS[type_], arguments)
    return Packet(type_, tuple(arguments))


def _fill_up(spec: PacketSpec, arguments: list[bytes]) -> None:
    """Add the empty data that some peers leave out, such as Perl's worker in WORK_COMPLETE.

    But not to a submit: of SUBMIT_REDUCE_JOB without the aggregator, which PROTOCOL's text forgets, the payload would
    be lost.
    """
    can_be_missing = spec.ends_with_data and spec.sender is not Sender.CLIENT
    if not can_be_missing or len(arguments) != len(spec.arguments) - 1:
        raise WireError(ErrorCode.INVALID_PACKET, f"{_signature(spec)}, got {len(arguments)}")
    arguments.append(b"")
