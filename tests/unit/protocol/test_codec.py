"""Bytes to packets and back, case by case; what holds for all bytes stands in tests/property/."""

from __future__ import annotations

from struct import pack
from sys import getrefcount

import pytest

from gearjobs.errors import UsageError, WireError
from gearjobs.protocol.codec import (
    MAX_LINE_BYTES,
    Decoder,
    Packet,
    TextLine,
    encode_request,
    encode_response,
)
from gearjobs.protocol.packets import REQUEST_MAGIC, RESPONSE_MAGIC, PacketType


def server_decoder(max_body_bytes: int = 1024) -> Decoder:
    return Decoder(expects=REQUEST_MAGIC, max_body_bytes=max_body_bytes, reads_text=True)


def client_decoder() -> Decoder:
    return Decoder(expects=RESPONSE_MAGIC)


def raw_packet(number: int, body: bytes = b"", magic: bytes = REQUEST_MAGIC) -> bytes:
    return magic + pack(">II", number, len(body)) + body


def read_all(decoder: Decoder, stream: bytes) -> list[Packet | TextLine]:
    decoder.receive(stream)
    return list(iter(decoder.next_packet, None))


def refusal_of(decoder: Decoder, stream: bytes) -> WireError:
    decoder.receive(stream)
    with pytest.raises(WireError) as caught:
        decoder.next_packet()
    return caught.value


def assert_given_up_silently(decoder: Decoder, error: WireError) -> None:
    assert error.is_fatal
    assert error.is_silent
    assert str(refusal_of(decoder, raw_packet(PacketType.PRE_SLEEP))) == str(error)


def test_empty_piece_behind_a_packet_is_nothing():
    decoder = Decoder(expects=REQUEST_MAGIC)
    for piece in (encode_request(PacketType.GRAB_JOB), b""):
        decoder.receive(piece)

    assert decoder.next_packet() == Packet(PacketType.GRAB_JOB, ())
    assert (decoder.next_packet(), decoder.has_partial) == (None, False)


def test_request_is_magic_type_length_and_arguments_apart_by_nul() -> None:
    packet = encode_request(PacketType.SUBMIT_JOB, b"wc", b"u", b"a\0b")

    assert packet == b"\0REQ\0\0\0\x07\0\0\0\x08wc\0u\0a\0b"


def test_response_has_its_own_magic() -> None:
    assert encode_response(PacketType.JOB_CREATED, b"H:a:1") == b"\0RES\0\0\0\x08\0\0\0\x05H:a:1"


def test_packet_without_arguments_is_its_header() -> None:
    assert encode_request(PacketType.GRAB_JOB) == b"\0REQ\0\0\0\x09\0\0\0\0"


@pytest.mark.parametrize("arguments", [(), (b"wc",), (b"wc", b"u", b"x", b"y")])
def test_wrong_number_of_arguments_is_not_encoded(arguments: tuple[bytes, ...]) -> None:
    expected = rf"SUBMIT_JOB takes 3 arguments \(function, unique, payload\), got {len(arguments)}"

    with pytest.raises(UsageError, match=expected):
        encode_request(PacketType.SUBMIT_JOB, *arguments)


def test_nul_that_would_shift_the_arguments_is_not_encoded() -> None:
    with pytest.raises(UsageError, match=r"SUBMIT_JOB unique must not contain a NUL byte, got b'u\\x00'"):
        encode_request(PacketType.SUBMIT_JOB, b"wc", b"u\0", b"payload")
    with pytest.raises(UsageError, match=r"WORK_COMPLETE handle must not contain a NUL byte, got b'\\x00'"):
        encode_response(PacketType.WORK_COMPLETE, b"\0", b"")


def test_pipelined_packets_come_in_order() -> None:
    stream = raw_packet(1, b"wc") + raw_packet(9) + raw_packet(18, b"wc\0u\0payload")

    packets = read_all(server_decoder(), stream)

    assert packets == [
        Packet(PacketType.CAN_DO, (b"wc",)),
        Packet(PacketType.GRAB_JOB, ()),
        Packet(PacketType.SUBMIT_JOB_BG, (b"wc", b"u", b"payload")),
    ]


def test_lines_and_packets_mix_on_one_connection() -> None:
    packets = read_all(server_decoder(), b"status\n" + raw_packet(9) + b"version\r\n")

    assert packets == [TextLine((b"status",)), Packet(PacketType.GRAB_JOB, ()), TextLine((b"version",))]


def test_nuls_beyond_the_separators_belong_to_the_last_argument() -> None:
    packets = read_all(
        server_decoder(), raw_packet(7, b"f\0u\0a\0\0b") + raw_packet(1, b"f\0") + raw_packet(16, b"\0\0")
    )

    assert [packet.arguments for packet in packets if isinstance(packet, Packet)] == [
        (b"f", b"u", b"a\0\0b"),
        (b"f\0",),
        (b"\0\0",),
    ]


def test_empty_body_is_one_empty_argument() -> None:
    assert read_all(server_decoder(), raw_packet(16) + raw_packet(1)) == [Packet(16, (b"",)), Packet(1, (b"",))]


def test_body_of_a_packet_without_arguments_is_skipped() -> None:
    assert read_all(server_decoder(), raw_packet(9, b"abc") + raw_packet(4)) == [Packet(9, ()), Packet(4, ())]


def test_data_left_out_is_empty() -> None:
    # Perl's worker sends WORK_COMPLETE without its data when the result is empty.
    assert read_all(server_decoder(), raw_packet(13, b"H:a:1")) == [Packet(13, (b"H:a:1", b""))]


@pytest.mark.parametrize(
    ("number", "body", "text"),
    [
        (7, b"f", "SUBMIT_JOB takes 3 arguments (function, unique, payload), got 1"),
        (7, b"f\x00u", "SUBMIT_JOB takes 3 arguments (function, unique, payload), got 2"),
        (
            37,
            b"f\x00u\x00sum\x00photo",
            "SUBMIT_REDUCE_JOB takes 5 arguments (function, unique, reducer, aggregator, payload), got 4",
        ),
        (12, b"H:a:1\x001", "WORK_STATUS takes 3 arguments (handle, numerator, denominator), got 2"),
        (23, b"f", "CAN_DO_TIMEOUT takes 2 arguments (function, timeout_ms), got 1"),
    ],
)
def test_packet_with_too_few_arguments_is_refused_and_skipped(number: int, body: bytes, text: str) -> None:
    decoder = server_decoder()

    error = refusal_of(decoder, raw_packet(number, body) + raw_packet(9))

    assert (error.code, error.text, error.is_fatal) == ("INVALID_PACKET", text, False)
    assert decoder.next_packet() == Packet(9, ())


@pytest.mark.parametrize("number", [5, 6, 8, 10, 11, 17, 19, 20, 27, 31, 40, 42, 130])
def test_what_only_a_server_sends_is_refused_and_skipped(number: int) -> None:
    decoder = server_decoder()

    error = refusal_of(decoder, raw_packet(number, b"a body") + raw_packet(9))

    assert (error.code, error.text, error.is_fatal) == ("INVALID_COMMAND", "Command not expected", False)
    assert decoder.next_packet() == Packet(9, ())


@pytest.mark.parametrize("number", [1, 9, 16, 18, 128, 131])
def test_what_no_server_sends_is_refused_by_a_client(number: int) -> None:
    error = refusal_of(client_decoder(), raw_packet(number, magic=RESPONSE_MAGIC))

    assert (error.code, error.is_fatal) == ("INVALID_COMMAND", False)


def test_client_reads_what_the_server_passes_on_from_a_worker() -> None:
    packets = read_all(client_decoder(), encode_response(PacketType.WORK_STATUS, b"H:a:1", b"1", b"2"))

    assert packets == [Packet(PacketType.WORK_STATUS, (b"H:a:1", b"1", b"2"))]


def test_response_magic_is_refused_by_the_server_and_the_packet_skipped() -> None:
    decoder = server_decoder()

    error = refusal_of(decoder, raw_packet(9, b"body", RESPONSE_MAGIC) + raw_packet(9))

    assert (error.code, error.text, error.is_fatal) == ("INVALID_MAGIC", "Request magic expected", False)
    assert decoder.next_packet() == Packet(9, ())


def test_request_magic_is_refused_by_a_client() -> None:
    error = refusal_of(client_decoder(), raw_packet(6))

    assert (error.code, error.text, error.is_fatal) == ("INVALID_MAGIC", "Response magic expected", False)


def test_other_magic_ends_the_stream_silently() -> None:
    decoder = server_decoder()

    error = refusal_of(decoder, raw_packet(9, magic=b"\0ABC"))

    assert error.text == r"expected magic b'\x00REQ', got b'\x00ABC'"
    assert_given_up_silently(decoder, error)


@pytest.mark.parametrize("number", [0, 43, 127, 255, 2**32 - 1])
def test_unknown_type_ends_the_stream_silently(number: int) -> None:
    decoder = server_decoder()

    error = refusal_of(decoder, raw_packet(number))

    assert error.text.endswith(f"got {number}")
    assert_given_up_silently(decoder, error)


def test_body_of_the_longest_length_is_read_in_one_piece_or_two() -> None:
    decoder, stream = server_decoder(max_body_bytes=4), raw_packet(16, b"1234")

    assert read_all(decoder, stream) == [Packet(16, (b"1234",))]
    assert read_all(decoder, stream[:14]) == []
    assert read_all(decoder, stream[14:]) == [Packet(16, (b"1234",))]


def test_longer_body_ends_the_stream_at_its_header_with_an_answer() -> None:
    error = refusal_of(server_decoder(max_body_bytes=4), raw_packet(16, b"12345")[:12])

    assert (error.code, error.text) == ("ARGUMENT_TOO_LARGE", "ECHO_REQ must have at most 4 bytes, got 5")
    assert error.is_fatal
    assert not error.is_silent


def test_text_is_no_answer_to_a_client() -> None:
    decoder = client_decoder()

    error = refusal_of(decoder, b"HTTP/1.1 400 Bad Request\r\n")

    assert error.text == r"expected b'\x00RES', got a first byte of 0x48"
    assert_given_up_silently(decoder, error)


def test_decoder_that_gave_up_keeps_nothing() -> None:
    decoder = server_decoder()

    refusal_of(decoder, raw_packet(0) + b"more")
    decoder.receive(b"and more")

    assert not decoder.has_partial


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", (b"",)),
        (b"\r", (b"",)),
        (b"show  unique   jobs", (b"show", b"unique", b"jobs")),
        (b" status", (b"", b"status")),
        (b"status ", (b"status",)),
        (b"a\r\r", (b"a\r",)),
        (b"maxqueue f 1 2 3", (b"maxqueue", b"f", b"1", b"2", b"3")),
        (b"\x01", (b"\x01",)),
        (b"create function a\tb\0c", (b"create", b"function", b"a\tb\0c")),
    ],
)
def test_line_is_words_apart_by_spaces(line: bytes, words: tuple[bytes, ...]) -> None:
    assert read_all(server_decoder(), line + b"\n") == [TextLine(words)]


def test_sixth_word_ends_the_stream_silently() -> None:
    decoder = server_decoder()

    error = refusal_of(decoder, b"maxqueue f 1 2 3 4\n")

    assert error.text == "a line must have at most 5 words, got 6: b'maxqueue f 1 2 3 4'"
    assert_given_up_silently(decoder, error)


def test_line_of_the_longest_length_is_read_in_one_piece_or_two() -> None:
    decoder, line = server_decoder(), b"x" * MAX_LINE_BYTES

    assert read_all(decoder, line + b"\n") == [TextLine((line,))]
    assert read_all(decoder, line) == []
    assert read_all(decoder, b"\n") == [TextLine((line,))]


def test_longer_line_ends_the_stream_silently_before_its_end_comes() -> None:
    decoder = server_decoder()

    error = refusal_of(decoder, b"x" * (MAX_LINE_BYTES + 1))

    assert error.text.startswith("a line must end within 8192 bytes, got b'xxx")
    assert_given_up_silently(decoder, error)


def test_packet_comes_out_with_its_last_byte() -> None:
    decoder = server_decoder()
    stream = raw_packet(18, b"wc\0u\0payload")

    early = [packet for byte in stream[:-1] for packet in read_all(decoder, bytes([byte]))]

    assert early == []
    assert read_all(decoder, stream[-1:]) == [Packet(18, (b"wc", b"u", b"payload"))]


def test_refused_packet_is_refused_with_its_last_byte() -> None:
    decoder = server_decoder()
    stream = raw_packet(8, b"H:a:1")

    assert read_all(decoder, stream[:-1]) == []
    assert refusal_of(decoder, stream[-1:]).code == "INVALID_COMMAND"


def test_line_comes_out_with_its_newline() -> None:
    decoder = server_decoder()

    assert read_all(decoder, b"sta") == []
    assert read_all(decoder, b"tus\r") == []
    assert read_all(decoder, b"\n" + raw_packet(9)) == [TextLine((b"status",)), Packet(9, ())]


def test_pieces_may_be_received_before_the_earlier_ones_are_read() -> None:
    decoder = server_decoder()
    stream = raw_packet(9) + b"status\n" + raw_packet(18, b"wc\0u\0payload")

    for position in range(0, len(stream), 5):
        decoder.receive(stream[position : position + 5])

    assert list(iter(decoder.next_packet, None)) == [
        Packet(9, ()),
        TextLine((b"status",)),
        Packet(18, (b"wc", b"u", b"payload")),
    ]


def test_piece_received_late_stays_behind_those_that_wait() -> None:
    # A piece once overtook another that waited, when it came just after the one before them had been read to its end.
    decoder = server_decoder()
    decoder.receive(b"first\n" + raw_packet(9))
    decoder.receive(b"second\n")

    packets = [decoder.next_packet(), decoder.next_packet()]
    decoder.receive(b"third\n")
    packets += [decoder.next_packet(), decoder.next_packet()]

    assert packets == [TextLine((b"first",)), Packet(9, ()), TextLine((b"second",)), TextLine((b"third",))]


def test_payload_that_looks_like_a_packet_is_a_payload_wherever_it_is_cut() -> None:
    payload = raw_packet(9) + raw_packet(4)
    stream = raw_packet(16, payload)

    for cut in range(len(stream)):
        decoder = server_decoder()
        packets = read_all(decoder, stream[:cut]) + read_all(decoder, stream[cut:])
        assert packets == [Packet(16, (payload,))]


def test_piece_read_to_its_end_is_let_go() -> None:
    decoder, stream = server_decoder(), raw_packet(16, b"payload")
    references = getrefcount(stream)

    read_all(decoder, stream)

    assert getrefcount(stream) == references


def test_empty_piece_changes_nothing() -> None:
    decoder = server_decoder()

    assert read_all(decoder, raw_packet(9)[:5]) == []
    assert read_all(decoder, b"") == []
    assert read_all(decoder, raw_packet(9)[5:]) == [Packet(9, ())]


def test_partial_is_what_was_received_and_not_given_out() -> None:
    decoder = server_decoder()

    partials = [decoder.has_partial]
    for piece in (raw_packet(9)[:3], raw_packet(9)[3:], b"status", b"\n"):
        decoder.receive(piece)
        decoder.next_packet()
        partials.append(decoder.has_partial)

    assert partials == [False, True, False, True, False]


def test_bytes_waiting_behind_a_packet_are_partial_too() -> None:
    decoder = server_decoder()

    decoder.receive(raw_packet(9))
    decoder.receive(raw_packet(9))
    decoder.next_packet()

    assert decoder.has_partial


def test_partial_bytes_are_those_of_the_unfinished_packet_alone() -> None:
    decoder = server_decoder()

    counts = [decoder.partial_bytes]
    for piece in (raw_packet(9) + raw_packet(9)[:3], raw_packet(9)[3:8], raw_packet(9)[8:], b"stat", b"us\n"):
        decoder.receive(piece)
        while decoder.next_packet() is not None:
            pass
        counts.append(decoder.partial_bytes)

    assert counts == [0, 3, 8, 0, 4, 0]
