"""Readers of option values: what fits, what does not, and the rule they name."""

from __future__ import annotations

import pytest

from gearjobs.server.command.option_values import (
    INT_LIMIT,
    LEVELS,
    count,
    level,
    one_of,
    permissions,
    port,
    text,
    whole_number,
)


@pytest.mark.parametrize(("given", "number"), [("0", 0), ("+7", 7), ("-1", -1), ("007", 7)])
def test_whole_number_is_read(given: str, number: int):
    assert whole_number(-1, 9)(given) == number


@pytest.mark.parametrize("given", ["", " 1", "1 ", "1.0", "0x1", "1_0", "\u0661", "-2", "10", "abc", "--1"])
def test_what_is_no_whole_number_within_the_limits_is_refused_with_the_limits(given: str):
    with pytest.raises(ValueError, match="expected a whole number from -1 to 9"):
        whole_number(-1, 9)(given)


@pytest.mark.parametrize(("given", "number"), [("-1", 0), ("0", 0), ("12", 12), (str(INT_LIMIT), INT_LIMIT)])
def test_negative_count_is_no_limit(given: str, number: int):
    assert count(given) == number


@pytest.mark.parametrize(("given", "value"), [("0", 0), ("65535", 65535), ("gearman", "gearman"), ("", "")])
def test_port_is_a_number_or_a_name(given: str, value: int | str):
    assert port(given) == value


@pytest.mark.parametrize("given", ["-1", "65536", "99999"])
def test_number_that_is_no_port_is_refused(given: str):
    with pytest.raises(ValueError, match="65535"):
        port(given)


@pytest.mark.parametrize("word", LEVELS)
def test_level_is_one_of_gearmands_words(word: str):
    assert level(word) == word


@pytest.mark.parametrize("word", ["debug", "", "WARN", "7"])
def test_other_level_is_refused_with_the_words(word: str):
    with pytest.raises(ValueError, match="expected one of FATAL, ALERT, CRITICAL"):
        level(word)


def test_word_is_one_of_those_that_are_known():
    assert one_of(("local", "all"))("all") == "all"
    with pytest.raises(ValueError, match="expected one of local, all"):
        one_of(("local", "all"))("ALL")


@pytest.mark.parametrize("given", ["660", "0600", "777"])
def test_permissions_are_octal(given: str):
    assert permissions(given) == given


@pytest.mark.parametrize("given", ["", "66", "668", "1660", "rw-rw----", "0o660"])
def test_what_are_no_permissions_is_refused(given: str):
    with pytest.raises(ValueError, match="expected permissions in octal, such as 660"):
        permissions(given)


def test_text_is_taken_as_it_is():
    assert text('"tmp/foo"') == '"tmp/foo"'
