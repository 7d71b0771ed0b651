"""Bytes for people and for JSON."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearjobs.records.readable_body import ReadableBody, read_body, show_body


@pytest.mark.parametrize(
    ("body", "value", "encoding"),
    [
        (b'{"a": [1, null, "\xc3\xa4"]}', {"a": [1, None, "ä"]}, "json"),
        (b"12", 12, "json"),
        (b"hello", "hello", "utf-8"),
        (b"", "", "utf-8"),
        (b"NaN", "NaN", "utf-8"),
        (b"1e999", "1e999", "utf-8"),
        (b'"\\ud800"', '"\\ud800"', "utf-8"),
        (b"\xff\xfe", "//4=", "base64"),
        (b"[" * 65 + b"]" * 65, "[" * 65 + "]" * 65, "utf-8"),
        (b"[" * 100_000, "[" * 100_000, "utf-8"),
        (b"9" * 5_000, "9" * 5_000, "utf-8"),
    ],
)
def test_body_is_json_else_text_else_base64(body, value, encoding):
    assert read_body(body) == ReadableBody(value, encoding)


@given(st.binary())
def test_any_body_is_readable_and_can_be_written_as_json(body):
    readable = read_body(body)

    json.dumps(readable.value, allow_nan=False, ensure_ascii=False).encode("utf-8")
    if readable.encoding == "utf-8":
        assert readable.value.encode("utf-8") == body
    elif readable.encoding == "base64":
        assert base64.b64decode(readable.value) == body


@given(st.binary(max_size=80), st.integers(min_value=1, max_value=40))
def test_any_body_can_be_shown_within_a_limit(body, limit):
    assert isinstance(show_body(body, limit), str)


def test_json_is_shown_indented():
    assert show_body(b'{"a":1}', 100) == '{\n  "a": 1\n}'


def test_bytes_are_shown_as_a_hex_dump():
    assert show_body(b"\xff\x00ab", 100) == "00000000  ff 00 61 62" + " " * 38 + "..ab"


def test_long_text_is_cut_between_characters_and_counted():
    assert show_body("ää".encode(), 3) == "ä\n… 1 more bytes"
