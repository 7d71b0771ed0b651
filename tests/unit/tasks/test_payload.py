"""Calls and results as JSON: what comes back is what went in, and what breaks a limit is refused by a sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearjobs.tasks.payload import (
    DEPTH_LIMIT,
    PAYLOAD_LIMIT_BYTES,
    PayloadError,
    attempt_of,
    decode_call,
    decode_value,
    encode_call,
    encode_value,
    read_result,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=20,
)


@given(args=st.lists(json_values), kwargs=st.dictionaries(st.text(), json_values))
def test_call_comes_back_as_it_was(args, kwargs):
    assert decode_call(encode_call(args, kwargs)) == (args, kwargs)


@given(st.binary())
def test_any_bytes_are_a_call_or_a_payload_error(payload):
    try:
        args, kwargs = decode_call(payload)
    except PayloadError:
        return

    assert isinstance(args, list)
    assert isinstance(kwargs, dict)


def test_payload_is_readable_utf8():
    assert encode_call(["Zürich"], {}) == '{"args":["Zürich"],"kwargs":{}}'.encode()


def test_lone_surrogate_of_a_file_name_survives():
    assert decode_call(encode_call(["\udcff.txt"], {})) == (["\udcff.txt"], {})


def test_empty_payload_is_a_call_without_arguments():
    assert decode_call(b"") == ([], {})


def test_peers_may_leave_out_args_or_kwargs():
    assert decode_call(b'{"kwargs": {"a": 1}}') == ([], {"a": 1})


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"hello", "must be JSON"),
        (b"\xff\xfe", "must be JSON"),
        (b"[1, 2]", "got list"),
        (b'{"args": [], "vars": {}}', "got 'vars'"),
        (b'{"args": {}, "kwargs": {}}', "got dict and dict"),
        (b'{"args": [], "args": [1]}', "'args' comes twice"),
        (b'{"args": [NaN]}', "NaN is no JSON"),
        (b'{"args": [-Infinity]}', "-Infinity is no JSON"),
        (b'{"args": [1e999]}', "1e999 is too large"),
        (b'{"args": ' + b"[" * 5000 + b"]" * 5000 + b"}", "64 levels"),
        (b'{"args": ' + b"[" * 64 + b"]" * 64 + b"}", "64 levels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_payload_that_is_no_call_is_refused(payload, complaint):
    with pytest.raises(PayloadError, match=complaint):
        decode_call(payload)


def test_payload_is_measured_before_it_is_read():
    with pytest.raises(PayloadError, match=f"at most {PAYLOAD_LIMIT_BYTES} bytes"):
        decode_call(b" " * (PAYLOAD_LIMIT_BYTES + 1))


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (object(), "the result must be JSON"),
        (float("nan"), "the result must be JSON"),
        ("x" * PAYLOAD_LIMIT_BYTES, "at most"),
        ({1: "a", "1": "b"}, "key twice"),
        ({(1, 2): "a"}, "the result must be JSON"),
    ],
    ids=["no JSON", "not a number", "too long", "one key twice", "no key"],
)
def test_value_that_could_not_be_read_is_not_written(value, complaint):
    with pytest.raises(PayloadError, match=complaint):
        encode_value(value)


def test_value_may_be_as_deep_as_the_limit_and_no_deeper():
    deepest = json.loads("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT)

    assert decode_value(encode_value(deepest)) == deepest
    with pytest.raises(PayloadError, match="64 levels"):
        encode_value([deepest])


def test_body_that_is_too_deep_is_refused_and_one_with_as_many_brackets_side_by_side_is_not():
    flat: list[object] = [[]] * DEPTH_LIMIT

    assert decode_value(encode_value(flat)) == flat
    assert decode_value(encode_value("[" * 2 * DEPTH_LIMIT)) == "[" * 2 * DEPTH_LIMIT
    with pytest.raises(PayloadError, match="64 levels"):
        decode_value(b"[" * (DEPTH_LIMIT + 1) + b"]" * (DEPTH_LIMIT + 1))


def test_value_that_holds_itself_is_refused():
    value: list[object] = []
    value.append(value)

    with pytest.raises(PayloadError, match="64 levels"):
        encode_value(value)


def test_numbers_as_keys_are_written_as_json_does():
    assert encode_value({1: "a", 2.5: "b", None: "c"}) == b'{"1":"a","2.5":"b","null":"c"}'


@pytest.mark.parametrize(
    ("body", "value"),
    [(b'{"a": [1]}', {"a": [1]}), (b"null", None), (b"done", "done"), (b"", ""), (b"\xff\x00", b"\xff\x00")],
)
def test_result_of_any_language_is_read_as_well_as_it_can_be(body, value):
    assert read_result(body) == value


def test_attempt_travels_beside_the_call():
    payload = encode_call([1], {"b": 2}, attempt=3)

    assert (attempt_of(payload), decode_call(payload)) == (3, ([1], {"b": 2}))


@pytest.mark.parametrize("payload", [b"", b"{}", encode_call([1], {})])
def test_call_that_is_not_counted_has_no_attempt(payload):
    assert attempt_of(payload) == 0


@pytest.mark.parametrize("attempt", ["-1", "true", '"2"', "1.5", "null"])
def test_attempt_that_is_none_is_refused(attempt):
    with pytest.raises(PayloadError, match="whole number"):
        attempt_of(b'{"attempt": %s}' % attempt.encode())
