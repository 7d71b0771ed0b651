"""What is told of an exception, whatever it is like."""

from __future__ import annotations

from typing import NoReturn

import pytest

from gearjobs.errors import JobCancelled, SoftTimeout
from gearjobs.worker.failure_report import MESSAGE_LIMIT, TRACEBACK_LIMIT, failure_report, run_report
from gearjobs.worker.grab_loop import Assignment
from gearjobs.worker.running_job import RunningJob


class Unspeakable(Exception):
    """Fails to say what it is."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def job_of() -> RunningJob:
    return RunningJob(Assignment(b"H:a:1", b"f", b"", b""), lambda _: None, has_extensions=True)


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


def test_frames_that_lead_up_to_the_function_are_left_out():
    with pytest.raises(ValueError, match="bad") as caught:
        job_of().interruption.run(lambda: fail_with(ValueError("bad")))

    lines = failure_report(caught.value).traceback.splitlines()

    assert [line.rpartition(" ")[2] for line in lines if line.startswith("  File")] == [
        "test_frames_that_lead_up_to_the_function_are_left_out",
        "run",
        "<lambda>",
        "fail_with",
    ]
    inner = caught.value.__traceback__
    assert inner is not None
    caught.value.__traceback__ = inner.tb_next
    assert "interruption.py" not in failure_report(caught.value).traceback


def test_error_without_a_frame_of_the_function_keeps_the_last_one():
    with pytest.raises(TypeError) as caught:
        job_of().interruption.run(3)  # type: ignore[arg-type]  # cannot be called
    inner = caught.value.__traceback__
    assert inner is not None
    caught.value.__traceback__ = inner.tb_next

    lines = failure_report(caught.value).traceback.splitlines()

    assert sum(line.startswith("  File") for line in lines) == 1
    assert "interruption.py" in lines[1]


def test_error_that_was_never_raised_has_no_frames():
    assert failure_report(ValueError("bad")).traceback == "ValueError: bad\n"


def test_interrupted_function_is_shown_where_it_was():
    job = job_of()
    job.interruption.interrupt(SoftTimeout("too long"))

    def call() -> None:
        job.interruption.run(lambda: None)

    with pytest.raises(SoftTimeout) as caught:
        call()

    last = [line for line in failure_report(caught.value).traceback.splitlines() if line.startswith("  File")][-1]
    assert last.endswith("in call")


@pytest.mark.parametrize(
    ("error", "state", "outcome", "retry_in_s"),
    [
        (ValueError("bad"), {"retry_in_s": 3.0}, "failed", 3.0),
        (ValueError("bad"), {"retry_in_s": 3.0, "is_cancel_asked": True}, "failed", None),
        (SoftTimeout(), {"is_warned": True, "retry_in_s": 3.0}, "timed_out", 3.0),
        # Another job's, which this one waited for.
        (SoftTimeout(), {}, "failed", None),
        (JobCancelled(), {"is_cancel_asked": True}, "cancelled", None),
        (JobCancelled(), {"retry_in_s": 3.0}, "failed", 3.0),
    ],
)
def test_report_says_what_the_run_ended_as(error, state, outcome, retry_in_s):
    job = job_of()
    for name, value in state.items():
        setattr(job, name, value)

    report = run_report(job, error)

    assert (report.outcome, report.retry_in_s) == (outcome, retry_in_s)
