"""What is told of an exception, whatever it is like."""

from __future__ import annotations

from typing import NoReturn

import pytest

from gearjobs.worker.failure_report import MESSAGE_LIMIT, TRACEBACK_LIMIT, failure_report


class Unspeakable(Exception):
    """Fails to say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def fail_with(error: Exception) -> NoReturn:
    raise error


def raised(error: Exception) -> Exception:
    """Raise and catch it, so that it has a traceback."""
    with pytest.raises(type(error)) as caught:
        fail_with(error)
    return caught.value


def test_report_names_class_message_and_place():
    report = failure_report(raised(ValueError("bad")))

    assert (report.class_path, report.message) == ("builtins.ValueError", "bad")
    assert report.traceback.startswith("Traceback (most recent call last):")
    assert "in fail_with" in report.traceback
    assert report.traceback.endswith("ValueError: bad\n")


def test_exception_that_cannot_say_what_it_is_is_reported():
    report = failure_report(raised(Unspeakable()))

    assert report.class_path == f"{__name__}.Unspeakable"
    assert report.message


def test_long_message_keeps_its_beginning():
    message = failure_report(raised(ValueError("x" * (MESSAGE_LIMIT + 1)))).message

    assert len(message) == MESSAGE_LIMIT
    assert message.endswith("x…")


def test_long_traceback_keeps_its_end():
    traceback = failure_report(raised(ValueError("x" * TRACEBACK_LIMIT + "end"))).traceback

    assert len(traceback) == TRACEBACK_LIMIT
    assert traceback.startswith("…")
    assert traceback.endswith("end\n")
