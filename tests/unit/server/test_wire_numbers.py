"""Numbers as peers write them: no text may end a connection, none may become absurd."""

from __future__ import annotations

import pytest

from gearjobs.errors import WireError
from gearjobs.server.wire_numbers import (
    attempt_number,
    due_time,
    lenient_number,
    timeout_seconds,
    wanted_priority,
    wanted_time,
)

NOW = 1_000.0


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        (b"7", 7),
        (b"", 0),
        (b" 12", 12),
        (b"+3", 3),
        (b"12apples", 12),
        (b"2.5", 2.5),
        (b"-1", 0),
        (b"one", 0),
        (b"1e9", 1),
        (b"\0\0\x0b\xb8", 0),
        ("٣".encode(), 0),
        (b"4294967296", 4294967295),
        (b"9" * 100, 4294967295),
        (b"nan", 0),
        (b"inf", 0),
        (b".5", 0),
    ],
)
def test_number_is_read_as_c_reads_it_within_32_bits(raw, number):
    assert lenient_number(raw) == number


@pytest.mark.parametrize(
    ("raw", "timeout_s"),
    [
        (b"2500", 2.5),
        (b"1", 1.0),
        (b"999", 1.0),
        (b"1001", 1.001),
        (b"0", 0.0),
        (b"-5", 0.0),
        (b"", 0.0),
        (b"soon", 0.0),
        (b"\0\0\x0b\xb8", 0.0),
        (b"9" * 64, 366 * 86400.0),
    ],
)
def test_timeout_is_a_second_at_least_and_a_year_at_most(raw, timeout_s):
    assert timeout_seconds(raw) == timeout_s


@pytest.mark.parametrize("raw", [b"0", b"-1", b"999", b"1000", b"", b"tomorrow"])
def test_time_that_is_past_or_none_is_now(raw):
    assert due_time(raw, now=NOW) == 0.0


def test_time_to_come_is_kept():
    assert due_time(b"1001", now=NOW) == 1001.0


@pytest.mark.parametrize("raw", [b"1700000000000", b"9" * 30, b"9" * 100])
def test_time_beyond_ten_years_is_refused_in_words(raw):
    with pytest.raises(WireError, match="within ten years") as refusal:
        due_time(raw, now=NOW)

    assert (refusal.value.code, refusal.value.is_fatal) == ("ARGUMENT_TOO_LARGE", False)


def test_attempt_is_a_decimal_number():
    assert attempt_number(b"1234567890") == 1_234_567_890


@pytest.mark.parametrize("raw", [b"", b"0", b"01", b"-1", b"+1", b"1 ", b"1.0", b"one", b"12345678901", "٣".encode()])
def test_attempt_that_is_none_is_refused_in_words(raw):
    with pytest.raises(WireError, match="RESUME_JOB must name an attempt of 1 to 10 decimal digits, got b'") as refusal:
        attempt_number(raw)

    assert (refusal.value.code, refusal.value.is_fatal) == ("INVALID_PACKET", False)


@pytest.mark.parametrize("digits", [20, 64, 10_000])
def test_7h_timeout_of_twenty_digits_and_more_is_a_year(digits):
    # gearmand 1.1.20 ends when it reads one.
    assert timeout_seconds(b"9" * digits) == 366 * 86400


def test_wanted_priority_and_time_are_read_or_left_out():
    assert [wanted_priority(raw) for raw in (b"", b"-100", b"7")] == [None, -100, 7]
    assert [wanted_time(raw) for raw in (b"", b"0", b"1700000000.25")] == [None, 0.0, 1_700_000_000.25]


@pytest.mark.parametrize("raw", [b"101", b"-101", b"+1", b"1.0", b" 1", b"high", b"9" * 99, "٣".encode()])
def test_priority_that_nobody_can_mean_is_refused_in_words(raw):
    with pytest.raises(WireError, match="a priority from -100 to 100, got b'") as refusal:
        wanted_priority(raw)

    assert (refusal.value.code, refusal.value.is_fatal) == ("INVALID_PACKET", False)


@pytest.mark.parametrize("raw", [b"-1", b"1e9", b"nan", b"inf", b"tomorrow", b"253402300800", b"9" * 99])
def test_time_that_no_calendar_has_is_refused_in_words(raw):
    with pytest.raises(WireError, match="unix seconds of a year up to 9999, got b'") as refusal:
        wanted_time(raw)

    assert (refusal.value.code, refusal.value.is_fatal) == ("INVALID_PACKET", False)
