"""Whatever is ignored is ignored by its code and for a reason that stands beside it.

And nothing in the repository knows the machine it was written on. Patterns are put together from pieces, so that this
file does not find itself.
"""

from __future__ import annotations

import re
import tokenize
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT, kept_files, python_files

PRAGMA = re.compile(r"#\s*(?:noqa\b|type:\s*ignore|pragma:|pylint:)")
#: The pragma with its code, and then a reason: a word at least ("likewise").
PRAGMA_WITH_REASON = re.compile(
    r"#\s*(?:noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)*|type: ignore\[[\w, -]+\]|pragma: no (?:cover|branch))"
    r"(?:\s+#\s+type: ignore\[[\w, -]+\])?"
    r"\s+[#-]+\s*\w.{3,}"
)
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|Users|work)/" + r"\w")
BINARY_SUFFIXES = {".jpg", ".png", ".webp", ".ico", ".gz", ".bin"}


def test_everything_ignored_has_a_code_and_a_reason():
    bare = [
        f"{path}:{number} {comment}"
        for path in python_files("gearjobs", "demo_site", "tests", "manage.py")
        for number, comment in _comments(path)
        if PRAGMA.search(comment) and not PRAGMA_WITH_REASON.search(comment)
    ]

    assert not bare


@pytest.mark.parametrize(
    ("comment", "is_good"),
    [
        ("# noqa: S603  # our own program", True),
        ("# type: ignore[override]  # a list is what several files are", True),
        ("# noqa: S608 - likewise", True),
        ("# noqa: S603", False),
        ("# no" + "qa", False),
        ("# type: ignore[override]  # !", False),
        ("# type: " + "ignore  # the stubs are wrong", False),
    ],
)
def test_reason_is_recognised(comment: str, is_good: bool):
    assert bool(PRAGMA_WITH_REASON.search(comment)) is is_good


def test_no_file_knows_the_machine_it_was_written_on():
    places = [re.compile(re.escape(str(place)) + r"\b") for place in (ROOT, Path.home()) if len(place.parts) > 2]
    knowing = [
        f"{path}:{number} {line.strip()[:100]}"
        for path in kept_files()
        if path.suffix not in BINARY_SUFFIXES
        for number, line in enumerate((ROOT / path).read_text(encoding="utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line) or any(place.search(line) for place in places)
    ]

    assert not knowing


def _comments(path: Path) -> list[tuple[int, str]]:
    with (ROOT / path).open("rb") as source:
        return [
            (token.start[0], token.string)
            for token in tokenize.tokenize(source.readline)
            if token.type == tokenize.COMMENT
        ]
