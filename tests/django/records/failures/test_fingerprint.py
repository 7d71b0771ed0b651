"""What makes two failures the same."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import JobFailure, Outcome
from gearjobs.core.jobs import FunctionName
from gearjobs.records.failures import fingerprint
from gearjobs.records.failures.fingerprint import FailureKind, Fingerprints, culprit_of, plain_message

NOW = 1_800_000_000.0
RESIZE = FunctionName(b"resize")
TRACEBACK = """Traceback (most recent call last):
  File "/usr/lib/python3.11/site-packages/gearjobs/tasks/execution.py", line 40, in run
    return call()
  File "/srv/blue/shop/photos/resize.py", line {line}, in make_thumbnail
    image = open_image(path)
  File "/usr/lib/python3.11/site-packages/PIL/Image.py", line 3, in open
    raise OSError(path)
OSError: no such photo
"""


def kind(message: str = "no photo 7", **others):
    failure = JobFailure(others.get("error", "builtins.OSError"), message, others.get("traceback", ""))
    function = others.get("function", RESIZE)
    return kind_of(Fingerprints(), failure, function=function)


def kind_of(fingerprints, failure, *, function=RESIZE, outcome=Outcome.FAILED, at=NOW) -> FailureKind:
    found: FailureKind | None = fingerprints.kind_of(function, outcome, failure=failure, ended_at=at)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no photo 7", "no photo 81234"),
        ("order 7f1c2a90-0000-4000-8000-00000000beef is gone", "order 12345678-1234-4123-8123-123456789abc is gone"),
        ("object at 0x7f3a5c001040", "object at 0x7f3a5c009999"),
        ("no column 'name'", 'no column "first name"'),
        ("cannot write to anna@example.org", "cannot write to bert@example.net"),
        ("took 3.5 s", "took 12 s"),
        ("first line\nwith 1", "first line\nand something else"),
    ],
)
def test_particulars_make_no_difference(one, other):
    assert kind(one).fingerprint == kind(other).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"message": "no disk"},
        {"error": "builtins.ValueError"},
        {"function": FunctionName(b"crop")},
        {"traceback": TRACEBACK.format(line=7)},
    ],
)
def test_message_class_function_and_place_make_a_difference(other):
    assert kind(**other).fingerprint != kind().fingerprint


def test_line_numbers_and_directories_of_machines_make_no_difference():
    here = kind(traceback=TRACEBACK.format(line=7))
    there = kind(traceback=TRACEBACK.format(line=9).replace("/srv/blue", "/srv/green"))

    assert here.fingerprint == there.fingerprint


def test_culprit_is_the_innermost_line_of_the_project():
    assert culprit_of(TRACEBACK.format(line=7)) == "shop/photos/resize.py in make_thumbnail"


def test_culprit_is_the_innermost_line_of_all_where_none_is_the_projects():
    foreign = TRACEBACK.replace("/srv/blue/shop", "/srv/lib/site-packages/shop")

    assert culprit_of(foreign) == "site-packages/PIL/Image.py in open"


@pytest.mark.parametrize("traceback", ["", "  at Resize.run (resize.js:7)\n", 'File "'])
def test_other_tracebacks_have_no_culprit(traceback):
    assert culprit_of(traceback) == ""


def test_worker_that_says_nothing_has_a_kind_of_its_own():
    silent = kind_of(Fingerprints(), None, outcome=Outcome.LOST)

    assert (silent.error_class, silent.function) == ("gearjobs.errors.JobLost", "resize")


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.CANCELLED])
def test_success_and_cancellation_are_no_failures(outcome):
    assert Fingerprints().kind_of(RESIZE, outcome, failure=None, ended_at=NOW) is None


def test_made_up_messages_are_one_group_beyond_the_limit(monkeypatch):
    monkeypatch.setattr(fingerprint, "GROUP_LIMIT", 2)
    fingerprints = Fingerprints()

    def of(word, at=NOW):
        return kind_of(fingerprints, JobFailure("builtins.OSError", word), at=at).fingerprint

    known = [of("one"), of("two")]
    others = {of("three"), of("four")}
    assert ([of("one"), of("two")], len(others)) == (known, 1)
    assert of("three", NOW + 3601) not in others


def test_message_of_a_novel_is_compared_by_its_beginning():
    assert len(plain_message("word " * 1_000)) <= 300
