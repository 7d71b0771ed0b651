"""What holds for all bytes: round trips, cuts that change nothing, garbage that harms nobody, and a linear price.

The price is counted in bytes that the decoder looks at or copies, not in time: its input and its gathering buffer are
replaced by classes that count what is taken from them.
"""

from __future__ import annotations

from itertools import pairwise
from struct import pack
from typing import SupportsIndex, overload

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gearjobs.errors import WireError
from gearjobs.protocol.codec import Decoder, Packet, TextLine, encode_request, encode_response
from gearjobs.protocol.packets import PACKETS, REQUEST_MAGIC, RESPONSE_MAGIC, PacketSpec, PacketType, Sender

# What came out of a decoder: packets, lines, and errors as (code, text, fatal, silent).
Outcome = Packet | TextLine | tuple[str, str, bool, bool]

MAX_BODY_BYTES = 256
# A byte of a line is searched for the newline, taken from its piece, gathered, and taken out with the whole line.
MOST_TOUCHES_A_BYTE = 4

property_settings = settings(deadline=None)

word = st.binary(max_size=12).map(lambda raw: raw.translate(None, b"\0\n\r "))
# A payload that would be a packet if its beginning were forgotten.
inner_packet = st.just(encode_request(PacketType.ECHO_REQ, b"inner") * 2)
separated = st.binary(max_size=12).map(lambda raw: raw.replace(b"\0", b""))


def packets_of(spec: PacketSpec) -> st.SearchStrategy[Packet]:
    arguments = [*([separated] * (len(spec.arguments) - 1)), st.binary(max_size=40) | inner_packet][
        : len(spec.arguments)
    ]
    return st.tuples(*arguments).map(lambda chosen: Packet(spec.type, tuple(chosen)))


requests = st.sampled_from(
    [spec for spec in PACKETS.values() if spec.sender not in {Sender.SERVER, Sender.NOBODY}],
).flatmap(packets_of)
responses = st.sampled_from(
    [spec for spec in PACKETS.values() if spec.sender is Sender.SERVER or spec.is_relayed],
).flatmap(packets_of)
lines = st.lists(word.filter(len), min_size=1, max_size=5).map(lambda words: TextLine(tuple(words)))
# Whole, refused, cut and unreadable things, as a stream may hold them one behind the other.
framed = st.builds(
    lambda magic, number, body: magic + pack(">II", number, len(body)) + body,
    st.sampled_from([REQUEST_MAGIC, REQUEST_MAGIC, RESPONSE_MAGIC]),
    st.integers(1, 42) | st.integers(128, 133),
    st.binary(max_size=20),
)
broken = st.builds(
    lambda magic, number, length: magic + pack(">II", number, length),
    st.sampled_from([REQUEST_MAGIC, RESPONSE_MAGIC, b"\0BAD"]),
    st.integers(0, 140) | st.integers(0, 2**32 - 1),
    st.integers(0, 2 * MAX_BODY_BYTES) | st.integers(0, 2**32 - 1),
)
text = st.binary(max_size=30) | st.lists(word, max_size=7).map(lambda words: b" ".join(words) + b"\r\n")
streams = st.lists(framed | framed | text | broken, max_size=8).map(b"".join)


def server_decoder(max_body_bytes: int = MAX_BODY_BYTES) -> Decoder:
    return Decoder(expects=REQUEST_MAGIC, max_body_bytes=max_body_bytes, reads_text=True)


def encoded(packet: Packet | TextLine) -> bytes:
    if isinstance(packet, TextLine):
        return b" ".join(packet.words) + b"\r\n"
    return encode_request(packet.type, *packet.arguments)


def outcomes_of(decoder: Decoder, most: int = 1_000_000) -> list[Outcome]:
    """Read until nothing comes, the stream was given up, or so many outcomes came."""
    outcomes: list[Outcome] = []
    while len(outcomes) < most:
        try:
            packet = decoder.next_packet()
        except WireError as error:
            outcomes.append((error.code, error.text, error.is_fatal, error.is_silent))
            if error.is_fatal:
                return outcomes
        else:
            if packet is None:
                return outcomes
            outcomes.append(packet)
    return outcomes


def pieces_of(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


@property_settings
@given(requests | lines)
def test_request_or_line_reads_back(packet: Packet | TextLine) -> None:
    decoder = server_decoder()

    decoder.receive(encoded(packet))

    assert outcomes_of(decoder) == [packet]
    assert not decoder.has_partial


@property_settings
@given(responses)
def test_response_reads_back(packet: Packet) -> None:
    decoder = Decoder(expects=RESPONSE_MAGIC)

    decoder.receive(encode_response(packet.type, *packet.arguments))

    assert outcomes_of(decoder) == [packet]
    assert not decoder.has_partial


@property_settings
@given(st.lists(requests | lines, max_size=8), st.lists(st.integers(0, 2000), max_size=12))
def test_any_cut_of_packets_and_lines_gives_the_same_ones(packets: list[Packet | TextLine], cuts: list[int]) -> None:
    decoder = server_decoder()
    outcomes: list[Outcome] = []

    for piece in pieces_of(b"".join(map(encoded, packets)), cuts):
        decoder.receive(piece)
        outcomes += outcomes_of(decoder)

    assert outcomes == packets


@property_settings
@given(streams, st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 3)), max_size=12))
def test_any_cut_of_any_bytes_gives_the_same_packets_and_errors(stream: bytes, cuts: list[tuple[int, int]]) -> None:
    whole, cut = server_decoder(), server_decoder()
    whole.receive(stream)
    expected = outcomes_of(whole)
    outcomes: list[Outcome] = []

    # The pieces may pile up, for between two of them only some packets are read.
    for piece, (_, reads) in zip(pieces_of(stream, [at for at, _ in cuts]), [*cuts, (0, 0)], strict=True):
        cut.receive(piece)
        outcomes += outcomes_of(cut, reads)
    outcomes += outcomes_of(cut)

    # A decoder that gave up repeats its error at every read.
    assert outcomes[: len(expected)] == expected
    assert all(outcome == expected[-1] for outcome in outcomes[len(expected) :])
    assert whole.has_partial == cut.has_partial


@property_settings
@given(st.binary(max_size=400) | streams, st.booleans(), st.sampled_from([REQUEST_MAGIC, RESPONSE_MAGIC]))
def test_garbage_raises_nothing_but_wire_errors(stream: bytes, reads_text: bool, magic: bytes) -> None:
    decoder = Decoder(expects=magic, max_body_bytes=MAX_BODY_BYTES, reads_text=reads_text)

    decoder.receive(stream)
    outcomes = outcomes_of(decoder)

    assert len(outcomes) <= len(stream)


@property_settings
@given(streams, requests)
def test_stream_that_was_not_given_up_can_still_be_read(stream: bytes, packet: Packet) -> None:
    decoder = server_decoder()
    decoder.receive(stream)
    outcomes = outcomes_of(decoder)
    is_given_up = bool(outcomes) and isinstance(outcomes[-1], tuple) and outcomes[-1][2]

    if not is_given_up and not decoder.has_partial:
        decoder.receive(encoded(packet))

        assert outcomes_of(decoder) == [packet]


class Touches:
    """Counts bytes that were searched or copied."""

    def __init__(self) -> None:
        self.count = 0


class CountedPiece(bytes):
    """A piece of the stream that counts what is taken of it and searched in it."""

    touches: Touches

    @overload
    def __getitem__(self, key: SupportsIndex, /) -> int: ...
    @overload
    def __getitem__(self, key: slice, /) -> bytes: ...
    def __getitem__(self, key: SupportsIndex | slice, /) -> int | bytes:
        if not isinstance(key, slice):
            return super().__getitem__(key)
        self.touches.count += len(range(*key.indices(len(self))))
        return super().__getitem__(key)

    def find(self, *sought_start_end) -> int:
        sought, start, end = sought_start_end
        at = super().find(sought, start, end)
        self.touches.count += (at if at >= 0 else min(end, len(self))) - start
        return at


class CountedPartial(bytearray):
    """The decoder's gathering buffer, counting what goes in and out."""

    touches: Touches

    def __iadd__(self, gathered):  # type: ignore[misc]  # the decoder adds bytes only
        self.touches.count += len(gathered)
        self.extend(gathered)
        return self

    def __bytes__(self) -> bytes:
        self.touches.count += len(self)
        return b"".join([memoryview(self)])


def counted(piece: bytes, touches: Touches) -> CountedPiece:
    result = CountedPiece(piece)
    result.touches = touches
    return result


STREAMS = {
    "one long body": encode_request(PacketType.ECHO_REQ, b"x" * 20_000),
    "one long line": b"x" * 8_000 + b"\n",
    "many packets": encode_request(PacketType.SUBMIT_JOB_BG, b"wc", b"u", b"payload") * 400,
    "many lines": b"show jobs\r\n" * 1_000,
    "a long body nobody may send": encode_response(PacketType.ECHO_RES, b"x" * 20_000),
}


@pytest.mark.parametrize("is_read_at_once", [True, False])
@pytest.mark.parametrize("piece_bytes", [1, 7, 100, 4_096, 1_000_000])
@pytest.mark.parametrize("name", STREAMS)
def test_no_cut_of_a_stream_makes_the_decoder_touch_its_bytes_again_and_again(
    name, piece_bytes, is_read_at_once
) -> None:
    decoder, touches, stream = server_decoder(max_body_bytes=20_000), Touches(), STREAMS[name]
    decoder._partial = CountedPartial()
    decoder._partial.touches = touches
    outcomes: list[Outcome] = []

    for start in range(0, len(stream), piece_bytes):
        decoder.receive(counted(stream[start : start + piece_bytes], touches))
        outcomes += outcomes_of(decoder) if is_read_at_once else []
    outcomes += outcomes_of(decoder)

    assert outcomes
    assert not decoder.has_partial
    assert 0 < touches.count <= MOST_TOUCHES_A_BYTE * len(stream)
