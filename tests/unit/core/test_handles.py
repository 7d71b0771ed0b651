"""Handles: their shape, their order, and that no two are alike."""

from __future__ import annotations

import pytest

from gearjobs.core.handles import (
    HANDLE_LIMIT_BYTES,
    PREFIX_LIMIT_BYTES,
    RANDOM_BITS,
    HandleMaker,
    default_prefix,
    is_handle,
    make_incarnation,
)

INCARNATION = make_incarnation(1_700_000_000.0, 12345)


def test_prefix_is_gearmands():
    assert default_prefix("web-1.example.org") == "H:web-1.example.org"


def test_long_hostname_is_cut():
    assert default_prefix("h" * 64) == "H:" + "h" * 30


@pytest.mark.parametrize("letter", [" ", "\t", "\n", "\0", "/", "\\", "\x7f", "ö", "\u2028"])
def test_letter_that_would_break_a_line_or_a_path_is_replaced(letter):
    assert default_prefix(f"web{letter}1") == "H:web-1"


def test_first_handle_has_number_one():
    assert HandleMaker("H:web", INCARNATION).next_handle() == f"H:web:{INCARNATION}0000000001".encode()


def test_handles_count_up():
    maker = HandleMaker("H:web", INCARNATION)
    maker.next_handle()

    assert maker.next_handle().endswith(b"0000000002")


def test_longest_prefix_makes_handles_that_c_clients_can_keep():
    handle = HandleMaker("p" * PREFIX_LIMIT_BYTES, INCARNATION).next_handle()

    assert len(handle) <= 63


def test_default_prefix_of_a_long_hostname_is_short_enough():
    assert len(default_prefix("h" * 255)) <= PREFIX_LIMIT_BYTES


@pytest.mark.parametrize("prefix", ["p" * (PREFIX_LIMIT_BYTES + 1), "H:wöb", "H:a\nb", "H:\0", "H:a b", "H:\udcff"])
def test_prefix_that_no_handle_can_carry_is_refused(prefix):
    with pytest.raises(ValueError, match="at most 36 visible ASCII characters"):
        HandleMaker(prefix, INCARNATION)


def test_incarnation_has_fourteen_characters():
    assert len(INCARNATION) == 14


def test_later_incarnation_sorts_later():
    most_random, least_random = 2**RANDOM_BITS - 1, 0

    assert make_incarnation(1_700_000_000.000, most_random) < make_incarnation(1_700_000_000.001, least_random)


def test_processes_of_one_millisecond_differ_by_chance():
    assert make_incarnation(1_700_000_000.0, 1) != make_incarnation(1_700_000_000.0, 2)


def test_incarnation_keeps_its_width_until_the_year_3084():
    assert make_incarnation(32**9 / 1000 - 1, 0).startswith("zzzzzz")


@pytest.mark.parametrize("raw", [b"H:web:1", b"x", b"!~", b"h" * HANDLE_LIMIT_BYTES])
def test_visible_ascii_may_be_a_handle(raw):
    assert is_handle(raw)


@pytest.mark.parametrize(
    "raw", [b"", b"h" * (HANDLE_LIMIT_BYTES + 1), b"H:a b", b"H:\t", b"H:\0", b"H:\x7f", b"H:\xc3\xb6"]
)
def test_anything_else_is_no_handle(raw):
    assert not is_handle(raw)


def test_handles_made_here_are_handles():
    assert is_handle(HandleMaker(default_prefix("wöb server"), INCARNATION).next_handle())
