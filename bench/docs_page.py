"""Puts tables into docs/performance.md, each between its own two marks, and nothing else of the page is touched."""

from __future__ import annotations

import re
from typing import Final

from bench.peers import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"
PICTURES: Final = ROOT / "docs" / "pictures"


class MarkMissing(Exception):
    """The page has no place for a table."""


def with_block(page: str, name: str, text: str) -> str:
    """Return the page with what stands between the marks of a name replaced.

    Raises:
        MarkMissing: it has no such marks.
    """
    begin, end = f"<!-- bench: {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(page):
        raise MarkMissing(f"{PAGE.name} has no lines {begin} and {end}")
    return pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def write_block(name: str, text: str) -> None:
    """Replace a block of the page on disk."""
    PAGE.write_text(with_block(PAGE.read_text(encoding="utf-8"), name, text), encoding="utf-8")
