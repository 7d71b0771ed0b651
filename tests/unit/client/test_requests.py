"""Submissions as values and as packets."""

from __future__ import annotations

import pytest

from gearjobs.client.requests import (
    encode_submit,
    function_word,
    handle_word,
    is_idempotent,
    job_request,
    put_in_background,
    unique_word,
)
from gearjobs.errors import UsageError
from gearjobs.protocol.attributes import SubmitAttributes, decode_submit
from gearjobs.protocol.codec import Decoder, Packet
from gearjobs.protocol.packets import REQUEST_MAGIC, PacketType

HANDLE = "H:web:01"


def packet_of(raw: bytes) -> Packet:
    decoder = Decoder(expects=REQUEST_MAGIC)
    decoder.receive(raw)
    packet = decoder.next_packet()
    assert isinstance(packet, Packet)
    assert not decoder.has_partial
    return packet


@pytest.mark.parametrize(
    ("priority", "foreground", "background"),
    [
        (100, PacketType.SUBMIT_JOB_HIGH, PacketType.SUBMIT_JOB_HIGH_BG),
        (1, PacketType.SUBMIT_JOB_HIGH, PacketType.SUBMIT_JOB_HIGH_BG),
        (0, PacketType.SUBMIT_JOB, PacketType.SUBMIT_JOB_BG),
        (-1, PacketType.SUBMIT_JOB_LOW, PacketType.SUBMIT_JOB_LOW_BG),
        (-100, PacketType.SUBMIT_JOB_LOW, PacketType.SUBMIT_JOB_LOW_BG),
    ],
)
def test_sign_of_the_priority_chooses_the_lane_of_a_stock_server(priority, foreground, background):
    request = job_request("resize", b"a\0b", unique="u", priority=priority)
    in_foreground = encode_submit(request, has_extensions=False)
    put_in_background(request)

    assert packet_of(in_foreground) == Packet(foreground, (b"resize", b"u", b"a\0b"))
    assert packet_of(encode_submit(request, has_extensions=False)) == Packet(background, (b"resize", b"u", b"a\0b"))


def test_time_to_run_is_rounded_up_for_a_stock_server():
    request = job_request("resize", b"p", priority=50)
    put_in_background(request, run_at=1700000000.2)

    packet = packet_of(encode_submit(request, has_extensions=False))

    assert packet == Packet(PacketType.SUBMIT_JOB_EPOCH, (b"resize", b"", b"1700000001", b"p"))


def test_handle_and_exact_attributes_go_to_a_server_with_extensions():
    request = job_request("resize", b"p", unique=b"u", priority=7)
    put_in_background(request, run_at=1.5, handle=HANDLE, attributes=SubmitAttributes(task="album.resize"))

    packet = packet_of(encode_submit(request, has_extensions=True))

    handle, function, unique, attributes, payload = packet.arguments
    assert packet.type == PacketType.SUBMIT_JOB_EXT
    assert (handle, function, unique, payload) == (HANDLE.encode(), b"resize", b"u", b"p")
    assert decode_submit(attributes) == SubmitAttributes(priority=7, run_at=1.5, task="album.resize")


def test_priority_and_time_of_the_attributes_count_where_the_arguments_say_nothing():
    attributes = SubmitAttributes(priority=-3, run_at=9.0)
    request = job_request("resize", b"p")
    put_in_background(request, handle=HANDLE, attributes=attributes)

    packet = packet_of(encode_submit(request, has_extensions=True))

    assert decode_submit(packet.arguments[3]) == attributes


def test_attributes_of_the_caller_are_not_changed():
    attributes = SubmitAttributes()
    request = job_request("resize", b"p", priority=5)
    put_in_background(request, handle=HANDLE, attributes=attributes)

    encode_submit(request, has_extensions=True)

    assert attributes == SubmitAttributes()


@pytest.mark.parametrize(
    ("handle", "has_extensions", "is_background", "expected"),
    [
        (HANDLE, True, True, True),
        (HANDLE, False, True, False),
        ("", True, True, False),
        ("", True, False, False),
    ],
)
def test_only_a_handle_of_our_own_at_a_server_with_extensions_is_idempotent(
    handle, has_extensions, is_background, expected
):
    request = job_request("resize", b"p")
    if is_background:
        put_in_background(request, handle=handle)

    assert is_idempotent(request, has_extensions=has_extensions) is expected


def test_without_a_handle_a_server_with_extensions_gets_the_plain_packet():
    request = job_request("resize", b"p")
    put_in_background(request)

    assert packet_of(encode_submit(request, has_extensions=True)).type == PacketType.SUBMIT_JOB_BG


@pytest.mark.parametrize("function", ["", b"", "a\0b"])
def test_function_name_that_cannot_travel_is_refused(function):
    with pytest.raises(UsageError, match="function's name"):
        job_request(function, b"")


def test_function_name_is_utf8():
    assert function_word("größe") == "größe".encode()


def test_unique_with_a_nul_is_refused():
    with pytest.raises(UsageError, match="unique"):
        job_request("f", b"", unique="a\0b")


def test_payload_that_is_no_bytes_is_refused():
    with pytest.raises(UsageError, match="got str"):
        job_request("f", "text")  # type: ignore[arg-type] # the mistake under test


@pytest.mark.parametrize("priority", [-101, 101])
def test_priority_out_of_range_is_refused(priority):
    with pytest.raises(UsageError, match=str(priority)):
        job_request("f", b"", priority=priority)


@pytest.mark.parametrize("run_at", [-1.0, float("nan"), float("inf"), 1e12])
def test_time_that_is_none_is_refused_and_the_request_unchanged(run_at):
    request = job_request("f", b"")

    with pytest.raises(UsageError, match="run_at"):
        put_in_background(request, run_at=run_at, handle=HANDLE)

    assert request == job_request("f", b"")


@pytest.mark.parametrize("handle", ["", "x" * 64, "a\0b"])
def test_handle_that_no_server_has_is_refused(handle):
    with pytest.raises(UsageError, match="handle"):
        handle_word(handle)


def test_longest_handle_is_taken():
    assert handle_word("x" * 63) == b"x" * 63


@pytest.mark.parametrize("unique", ["", "x" * 64])
def test_unique_about_which_gearmand_gives_no_answer_is_refused(unique):
    with pytest.raises(UsageError, match="unique"):
        unique_word(unique)


def test_longest_unique_is_asked_about():
    assert unique_word("x" * 63) == b"x" * 63
