"""Where the answer to an admin line ends."""

from __future__ import annotations

import pytest

from gearjobs.client.admin_answers import AnswerReader, accepted, version_of
from gearjobs.errors import ServerError, UsageError


@pytest.mark.parametrize(
    ("line", "answer", "is_whole"),
    [
        ("version", b"OK 1.1", False),
        ("version", b"OK 1.1\n", True),
        ("status", b"a\t0\t0\t0\n", False),
        ("status", b"a\t0\t0\t0\n.\n", True),
        ("status", b".\n", True),
        ("status", b"ERR code text\n", True),
        ("status", b"ERR code\t0\t0\t0\n", False),
    ],
)
def test_answer_ends_where_the_line_lets_it(line, answer, is_whole):
    reader = AnswerReader(line)

    reader.receive(answer)

    assert reader.is_whole == is_whole


@pytest.mark.parametrize("line", ["", "status\nstatus", b"\0REQ"])
def test_what_is_not_one_line_is_refused(line):
    with pytest.raises(UsageError, match="must be one line"):
        AnswerReader(line)


def test_end_of_the_connection_is_an_error():
    with pytest.raises(ConnectionResetError):
        AnswerReader("status").receive(b"")


def test_answer_without_end_is_not_gathered_for_ever():
    reader = AnswerReader("status", max_bytes=10)

    with pytest.raises(ConnectionAbortedError, match="at most 10 bytes"):
        reader.receive(b"x" * 11)


def test_error_line_is_raised_and_others_are_returned():
    assert accepted(b"OK\n") == b"OK\n"
    with pytest.raises(ServerError, match="the job server answered NO: not now"):
        accepted(b"ERR NO not now\n")


def test_version_is_read():
    assert version_of(b"OK 1.1.20\n") == "1.1.20"
