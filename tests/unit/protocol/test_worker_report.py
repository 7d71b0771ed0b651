"""What workers say of themselves, there and back, and what is no report."""

from __future__ import annotations

import json

import pytest

from gearjobs.errors import WireError
from gearjobs.protocol.worker_report import (
    MAX_QUEUES,
    MAX_REPORT_BYTES,
    REPORT_KEYS,
    WorkerReport,
    WorkerState,
    decode_report,
    encode_report,
)

REPORT = WorkerReport(
    pid=4711,
    host="box",
    version="0.1",
    group="mail",
    state=WorkerState.BUSY,
    queues=("mail", "default"),
    rss_bytes=12_345_678,
    jobs_done=9,
    jobs_failed=1,
    started_at=1000.5,
    since=1001.0,
)


def test_report_comes_back_as_it_was():
    assert decode_report(encode_report(REPORT)) == REPORT
    assert set(json.loads(encode_report(REPORT))) == set(REPORT_KEYS)


def test_what_is_not_said_has_its_default():
    assert decode_report(b"{}") == WorkerReport()


def test_key_of_a_later_version_is_passed_over():
    assert decode_report(b'{"pid": 7, "mood": "good"}') == WorkerReport(pid=7)


def test_queues_beyond_the_bound_are_cut_off():
    many = WorkerReport(queues=tuple(f"q{number}" for number in range(MAX_QUEUES + 1)))

    assert len(decode_report(encode_report(many)).queues) == MAX_QUEUES


def test_queues_that_would_make_it_too_long_are_left_out():
    long = WorkerReport(queues=("q" * 255,) * MAX_QUEUES)

    assert len(encode_report(long)) <= MAX_REPORT_BYTES
    assert decode_report(encode_report(long)).queues == ()


def test_report_that_was_read_can_be_read_again():
    # Its names are longer as escapes: `show worker reports` failed for everybody while that worker was there.
    name = "\U0001f40d" * 255
    report = decode_report(json.dumps({"host": name, "version": name, "group": name}, ensure_ascii=False).encode())

    assert decode_report(encode_report(report)).host == name[:64]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b" " * (MAX_REPORT_BYTES + 1), "at most 4096 bytes, got 4097"),
        (b"\xff", "must be JSON"),
        (b"[" * 4000, "must be JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"pid": -1}', "pid must be a whole number"),
        (b'{"pid": true}', "pid must be a whole number"),
        (b'{"rss_bytes": 1.5}', "rss_bytes must be a whole number"),
        (b'{"since": "now"}', "since must be unix seconds"),
        (b'{"since": false}', "since must be unix seconds"),
        (b'{"started_at": NaN}', "started_at must be unix seconds"),
        (b'{"host": 7}', "host must be text"),
        (b'{"state": "asleep"}', "state must be one of idle, busy, quiet, stopping"),
        (b'{"queues": "mail"}', "queues must be a list"),
        (b'{"queues": [1]}', "queues must be a list"),
    ],
)
def test_what_is_no_report_is_refused(body, words):
    with pytest.raises(WireError, match="INVALID_PACKET") as refused:
        decode_report(body)

    assert words in refused.value.text
