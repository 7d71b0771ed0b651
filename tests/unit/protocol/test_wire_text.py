"""Names as text: what stays, what is escaped, and that every byte comes back."""

from __future__ import annotations

import pytest

from gearjobs.protocol.wire_text import to_bytes, to_text, unescape

ESCAPED = [
    pytest.param(b"", "", id="empty"),
    pytest.param(b"resize image", "resize image", id="printable ASCII stays itself"),
    pytest.param("größe 図\u00a0".encode(), "größe 図\u00a0", id="UTF-8 stays itself"),
    pytest.param(b"a\\b", r"a\\b", id="backslash"),
    pytest.param(b"\\x41", r"\\x41", id="bytes that look like an escape"),
    pytest.param(b"a\tb\r\nc\0", r"a\x09b\x0d\x0ac\x00", id="C0"),
    pytest.param(b"\x1b[2J\x7f", r"\x1b[2J\x7f", id="terminal sequence and DEL"),
    pytest.param("\u0085".encode(), r"\xc2\x85", id="C1"),
    pytest.param("\u2028\u2029".encode(), r"\xe2\x80\xa8\xe2\x80\xa9", id="line and paragraph separator"),
    pytest.param(b"\xff\xfe", r"\xff\xfe", id="bytes that are not UTF-8"),
    pytest.param("é".encode()[:1], r"\xc3", id="cut character"),
    pytest.param(b"\xed\xb2\x80", r"\xed\xb2\x80", id="surrogate"),
    pytest.param(b"\xe2\\x80", r"\xe2\\x80", id="cut character before a backslash"),
]


@pytest.mark.parametrize(("raw", "text"), ESCAPED)
def test_name_is_one_line_of_utf8_that_turns_back(raw: bytes, text: str) -> None:
    assert to_text(raw) == text
    assert to_bytes(text) == raw


def test_every_pair_of_bytes_turns_back() -> None:
    pairs = [bytes([first, second]) for first in range(256) for second in range(256)]

    assert [to_bytes(to_text(pair)) for pair in pairs] == pairs


def test_no_two_names_have_the_same_text() -> None:
    names = [bytes([first, second]) for first in range(256) for second in range(256)]

    assert len({to_text(name) for name in names}) == len(names)


@pytest.mark.parametrize("text", ["\\", r"C:\new", r"\x", r"\x4", r"\xAG", r"\xAB"])
def test_backslash_that_begins_no_escape_stands_for_itself(text: str) -> None:
    assert to_bytes(text) == text.encode()


def test_lone_surrogate_of_foreign_text_becomes_the_bytes_that_would_encode_it() -> None:
    raw = to_bytes("a\udc80")

    assert raw == b"a\xed\xb2\x80"
    assert to_text(raw) == r"a\xed\xb2\x80"


def test_unescape_leaves_bytes_that_are_not_utf8_alone() -> None:
    assert unescape(b"\xff\\\\\\x0a\xfe") == b"\xff\\\n\xfe"
