"""The extension packets' JSON: round trips, defaults, and everything that must not reach a store."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gearjobs.errors import WireError
from gearjobs.protocol.attributes import (
    CANCELLED,
    FAILED,
    MAX_JSON_BYTES,
    MAX_JSON_DEPTH,
    MAX_NAME_CHARACTERS,
    MAX_UNIX_S,
    TIMED_OUT,
    AssignAttributes,
    FailureReport,
    SubmitAttributes,
    decode_assign,
    decode_failure,
    decode_submit,
    encode,
)

SUBMIT = SubmitAttributes(
    priority=-7,
    run_at=1.5,
    task="album.tasks.shrink",
    queue="pictures",
    backend="default",
    enqueued_by="42",
    metadata={"trace": ["é", 1, 2.5, None, True], "empty": {}},
    terms={"expires_at": 1.5, "limits": [{"key": "smtp", "concurrency": 2}]},
)
ASSIGN = AssignAttributes(
    attempt=3,
    priority=100,
    run_at=1.0,
    accepted_at=2.0,
    worker_ids=["w1", "w2 é"],
    lease_s=8.0,
    resume_s=28.5,
    lost=1,
    timeout_s=60.0,
    soft_timeout_s=50.5,
)
FAILURE = FailureReport(
    class_path="builtins.ValueError", message="nö", traceback="Traceback ...\n", outcome=TIMED_OUT, retry_in_s=2.5
)


def nested(levels: int) -> bytes:
    """Return metadata whose outermost object is the first of so many levels."""
    return b'{"metadata":' + b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1) + b"}"


def test_submit_reads_back() -> None:
    assert decode_submit(encode(SUBMIT)) == SUBMIT


def test_assign_reads_back() -> None:
    assert decode_assign(encode(ASSIGN)) == ASSIGN


def test_failure_reads_back() -> None:
    assert decode_failure(encode(FAILURE)) == FAILURE


def test_defaults_are_left_out_and_read_back() -> None:
    assert encode(SubmitAttributes()) == b"{}"
    assert decode_submit(b"{}") == SubmitAttributes()
    assert encode(AssignAttributes()) == b'{"attempt":1}'
    assert decode_assign(b"{}") == AssignAttributes()


def test_failure_without_a_word_still_reads_back() -> None:
    assert encode(FailureReport()) == b'{"class_path":"","message":""}'
    assert decode_failure(encode(FailureReport())) == FailureReport()


@pytest.mark.parametrize("outcome", [FAILED, TIMED_OUT, CANCELLED])
def test_run_that_failed_ended_in_one_of_three_ways(outcome: str) -> None:
    assert decode_failure(encode(FailureReport(message="boom", outcome=outcome))).outcome == outcome


def test_retry_at_once_is_told_from_no_retry() -> None:
    at_once = encode(FailureReport(retry_in_s=0.0))

    assert at_once == b'{"class_path":"","message":"","retry_in_s":0.0}'
    assert (decode_failure(at_once).retry_in_s, decode_failure(b'{"message":""}').retry_in_s) == (0.0, None)


def test_retry_that_is_null_is_none() -> None:
    assert decode_failure(b'{"message":"","retry_in_s":null}').retry_in_s is None


def test_argument_is_ascii_without_nul_whatever_is_said() -> None:
    argument = encode(FailureReport(message="\0é\udc80\n"))

    assert argument.isascii()
    assert b"\0" not in argument


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_number_that_is_not_finite_is_not_encoded(value: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(SubmitAttributes(run_at=value))


def test_unknown_keys_are_ignored() -> None:
    assert decode_submit(b'{"later":{"a":1},"priority":5}') == SubmitAttributes(priority=5)


def test_whole_seconds_are_a_time() -> None:
    run_at = decode_submit(b'{"run_at":17}').run_at

    assert isinstance(run_at, float)
    assert run_at == 17.0


@pytest.mark.parametrize("priority", [-100, 100])
def test_outermost_priorities_are_taken(priority: int) -> None:
    assert decode_submit(b'{"priority":%d}' % priority).priority == priority


def test_last_second_of_the_calendar_is_taken() -> None:
    assert decode_submit(b'{"run_at":%d}' % MAX_UNIX_S).run_at == MAX_UNIX_S


def test_text_that_no_column_holds_arrives_as_escapes() -> None:
    report = decode_failure(rb'{"message":"a\u0000b\udc80c","class_path":"\u0000"}')

    assert (report.message, report.class_path) == (r"a\u0000b\udc80c", r"\u0000")


def test_worker_id_that_no_column_holds_arrives_as_escapes() -> None:
    assert decode_assign(rb'{"worker_ids":["\u0000"]}').worker_ids == [r"\u0000"]


def test_character_beyond_the_basic_plane_is_itself() -> None:
    assert decode_failure(rb'{"message":"\ud83d\ude00"}').message == "\U0001f600"


@pytest.mark.parametrize("body", [b'{"error":"boom"}', b'{"attempt":1}', b"{}"])
def test_other_json_objects_are_no_failure_report(body: bytes) -> None:
    # Workers of other libraries send JSON of their own as their exceptions.
    with pytest.raises(WireError, match="failure report must have class_path or message, got the keys"):
        decode_failure(body)


def test_failure_report_may_name_only_one_of_class_and_text() -> None:
    assert decode_failure(b'{"message":"boom"}') == FailureReport(message="boom")


def test_metadata_may_nest_to_the_deepest_level() -> None:
    assert encode(decode_submit(nested(MAX_JSON_DEPTH))) == nested(MAX_JSON_DEPTH)


REFUSED_SUBMITS = [
    pytest.param(b"", "must be JSON, got b''", id="nothing"),
    pytest.param(b"\xff", "must be JSON", id="not UTF-8"),
    pytest.param(b"{", "must be JSON", id="cut"),
    pytest.param(b"[]", r"must be a JSON object, got \[\]", id="no object"),
    pytest.param(b"[" * 100_000, "must be JSON", id="nested beyond the parser"),
    pytest.param(b'{"run_at":NaN}', "NaN is not a number of JSON", id="NaN"),
    pytest.param(b'{"task":"a","task":"b"}', "a key stands twice", id="key twice"),
    pytest.param(b'{"priority":' + b"9" * 5000 + b"}", "must be JSON", id="integer beyond the parser"),
    pytest.param(b" " * (MAX_JSON_BYTES + 1), "at most 8388608 bytes, got 8388609", id="too long"),
    pytest.param(b'{"priority":"1"}', "priority must be an integer from -100 to 100, got '1'", id="priority as text"),
    pytest.param(b'{"priority":true}', "priority must be an integer", id="priority as bool"),
    pytest.param(b'{"priority":1.0}', "priority must be an integer", id="priority as float"),
    pytest.param(b'{"priority":null}', "priority must be an integer", id="priority as null"),
    pytest.param(b'{"priority":-101}', "got -101", id="priority too low"),
    pytest.param(b'{"priority":101}', "got 101", id="priority too high"),
    pytest.param(b'{"run_at":-1}', "run_at must be unix seconds from 0 to 253402300799, got -1", id="before 1970"),
    pytest.param(b'{"run_at":253402300800}', "run_at must be", id="after the year 9999"),
    pytest.param(b'{"run_at":1e999}', "got inf", id="infinite time"),
    pytest.param(b'{"run_at":false}', "run_at must be", id="time as bool"),
    pytest.param(b'{"run_at":"1"}', "run_at must be", id="time as text"),
    pytest.param(b'{"task":1}', "task must be a string, got 1", id="task as number"),
    pytest.param(b'{"queue":null}', "queue must be a string, got None", id="queue as null"),
    pytest.param(b'{"backend":[]}', "backend must be a string", id="backend as list"),
    pytest.param(b'{"enqueued_by":7}', "enqueued_by must be a string", id="user as number"),
    pytest.param(b'{"task":"%s"}' % (b"a" * (MAX_NAME_CHARACTERS + 1)), "task must have at most 255", id="long task"),
    pytest.param(b'{"metadata":[]}', "metadata must be a JSON object", id="metadata as list"),
    pytest.param(rb'{"metadata":{"a":["\u0000"]}}', "free of NUL and lone surrogates", id="NUL in metadata"),
    pytest.param(rb'{"metadata":{"\ud800":1}}', "free of NUL and lone surrogates", id="surrogate in a key"),
    pytest.param(b'{"metadata":{"a":-1e999}}', "metadata must hold finite numbers, got -inf", id="infinite metadata"),
    pytest.param(b'{"metadata":{"a":18446744073709551616}}', "integers of 64 bits", id="integer of 65 bits"),
    pytest.param(b'{"terms":[]}', "terms must be a JSON object", id="terms as list"),
    pytest.param(rb'{"terms":{"a":"\u0000"}}', "terms must be free of NUL", id="NUL in terms"),
    pytest.param(nested(MAX_JSON_DEPTH + 1), "metadata must nest at most 64 levels", id="metadata too deep"),
]


@pytest.mark.parametrize(("body", "text"), REFUSED_SUBMITS)
def test_bad_submit_is_refused_with_what_was_expected_and_what_came(body: bytes, text: str) -> None:
    with pytest.raises(WireError, match=text) as caught:
        decode_submit(body)

    assert caught.value.code == "INVALID_PACKET"
    assert not caught.value.is_fatal


@pytest.mark.parametrize(
    ("decode", "body", "text"),
    [
        (decode_assign, b'{"attempt":0}', "attempt must be an integer from 1 to 2147483647, got 0"),
        (decode_assign, b'{"attempt":2147483648}', "attempt must be an integer"),
        (decode_assign, b'{"accepted_at":"now"}', "accepted_at must be unix seconds"),
        (decode_assign, b'{"lease_s":-1}', "lease_s must be seconds from 0 to 86400, got -1"),
        (decode_assign, b'{"resume_s":86401}', "resume_s must be seconds from 0 to 86400, got 86401"),
        (decode_assign, b'{"resume_s":true}', "resume_s must be seconds from 0 to 86400, got True"),
        (decode_assign, b'{"lost":-1}', "lost must be an integer from 0 to 2147483647, got -1"),
        (decode_assign, b'{"timeout_s":-1}', "timeout_s must be seconds from 0 to 253402300799, got -1"),
        (decode_assign, b'{"soft_timeout_s":"1"}', "soft_timeout_s must be seconds from 0"),
        (decode_assign, b'{"worker_ids":"w"}', "worker_ids must be a list of strings, got 'w'"),
        (decode_assign, b'{"worker_ids":["w",1]}', "worker_ids must be a list of strings"),
        (decode_failure, b"boom", "failure report must be JSON, got b'boom'"),
        (decode_failure, b'{"message":"","outcome":"lost"}', "failed, timed_out or cancelled, got 'lost'"),
        (decode_failure, b'{"message":"","outcome":[]}', r"failed, timed_out or cancelled, got \[\]"),
        (decode_failure, b'{"message":"","retry_in_s":-1}', "retry_in_s must be seconds from 0 to 315360000, got -1"),
        (decode_failure, b'{"message":"","retry_in_s":true}', "retry_in_s must be seconds from 0"),
        (decode_failure, b'{"message":1}', "message must be a string, got 1"),
        (decode_failure, b'{"message":"","traceback":[]}', "traceback must be a string"),
    ],
)
def test_other_bad_arguments_are_refused_likewise(decode: Callable[[bytes], object], body: bytes, text: str) -> None:
    with pytest.raises(WireError, match=text):
        decode(body)


def test_refusal_quotes_no_more_than_the_beginning_of_what_came() -> None:
    with pytest.raises(WireError) as caught:
        decode_submit(b'{"priority":"' + b"x" * 100_000 + b'"}')

    assert len(caught.value.text) < 200
