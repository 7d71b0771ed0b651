"""Answers of a job server as text and as JSON, and the lines that ask for them."""

from __future__ import annotations

import pytest

from gearjobs.errors import UsageError
from gearjobs.protocol.admin_text import WorkerReportLine, render_worker_reports
from gearjobs.protocol.worker_report import WorkerReport
from gearjobs.terminal.admin_operations import OPERATIONS, as_error, as_text

BY_OPTION = {operation.option: operation for operation in OPERATIONS}


@pytest.mark.parametrize(
    ("option", "argument", "line"),
    [
        ("status", "", "status"),
        ("priority-status", "", "prioritystatus"),
        ("show-unique-jobs", "", "show unique jobs"),
        ("cancel-job", "H:a:1", "cancel job H:a:1"),
        ("create-function", "f", "create function f"),
        ("drop-function", "f", "drop function f"),
        ("pause-function", "f g", r"pause f\x20g"),
        ("resume-function", "f", "resume f"),
        ("clear-function", "f", "clear f"),
        ("max-queue", "f=10", "maxqueue f 10"),
        ("max-queue", "a=b=1, 2,3", "maxqueue a=b 1 2 3"),
    ],
)
def test_option_becomes_its_line(option: str, argument: str, line: str):
    assert BY_OPTION[option].make_line(argument) == line


@pytest.mark.parametrize("argument", ["f", "=1", "f=", "f=x", "f=1,2", "f=-1"])
def test_limit_that_is_none_is_refused(argument: str):
    with pytest.raises(UsageError, match="FUNCTION=N or FUNCTION=HIGH,NORMAL,LOW"):
        BY_OPTION["max-queue"].make_line(argument)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"OK\r\n", b"OK\n"),
        (b"OK\n", b"OK\n"),
        (b"OK 1.1.20\n", b"1.1.20\n"),
        (b"OK job\t1\t0\t1\n.\n", b"OK job\t1\t0\t1\n.\n"),
        (b".\n", b".\n"),
    ],
)
def test_answer_is_printed_without_its_ok(answer: bytes, text: bytes):
    assert as_text(answer) == text


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"ERR UNKNOWN_JOB\r\n", b"UNKNOWN_JOB\r\n"),
        (b"ERR a\t1\t0\t1\n.\n", None),
        (b"ERROR\n", None),
        (b"OK\r\n", None),
    ],
)
def test_error_is_told_from_a_function_of_that_name(answer: bytes, error: bytes | None):
    assert as_error(answer) == error


@pytest.mark.parametrize(
    ("option", "answer", "value"),
    [
        ("getpid", b"OK 17\n", 17),
        ("server-version", b"OK 1.1.20+ds\n", "1.1.20+ds"),
        ("server-verbose", b"OK INFO\n", "INFO"),
        ("create-function", b"OK\r\n", True),
        ("max-queue", b"OK\n", True),
        ("status", b"f\\x0ag\t3\t1\t2\n.\n", [{"function": r"f\x0ag", "total": 3, "running": 1, "workers": 2}]),
        ("status", b".\n", []),
        ("clear-function", b"OK 3\n", 3),
        ("snapshot", b'{"at": 1.5}\n.\n', {"at": 1.5}),
        (
            "priority-status",
            b"f\t1\t2\t3\t4\n.\n",
            [{"function": "f", "high": 1, "normal": 2, "low": 3, "workers": 4}],
        ),
        (
            "workers",
            b"31 127.0.0.1 w : f g benched:g\n.\n",
            [{"fd": 31, "address": "127.0.0.1", "client_id": "w", "functions": ["f", "g"], "benched": ["g"]}],
        ),
        (
            "show-jobs",
            b"H:a:1\t2\t0\t1\n.\n",
            [{"handle": "H:a:1", "retries": 2, "is_ignored": False, "is_persisted": True}],
        ),
        ("show-unique-jobs", b"one\n\nH:a:1\n.\n", ["one", "", "H:a:1"]),
        ("show-unique-jobs", b".\n", []),
    ],
)
def test_answer_becomes_a_value(option: str, answer: bytes, value: object):
    assert BY_OPTION[option].read(answer) == value


def test_worker_report_becomes_a_value():
    line = WorkerReportLine(b"w-1", "127.0.0.1:5000", WorkerReport(pid=7, host="here"))

    value = BY_OPTION["worker-reports"].read(render_worker_reports([line]))

    assert isinstance(value, list)
    assert value[0]["client_id"] == "w-1"
    assert (value[0]["report"]["pid"], value[0]["report"]["host"]) == (7, "here")
