"""The sentences that stand as `#:` comments above the fields of a class, for the pages that show them."""

from __future__ import annotations

import inspect
import re
from typing import Final

_COMMENT: Final = re.compile(r"\s*#: ?(.*)")
_FIELD: Final = re.compile(r"\s*(\w+): ")


def field_sentences(section: type) -> dict[str, str]:
    """Return what the `#:` comments in a class's source say, by the field they stand above."""
    found: dict[str, str] = {}
    comment: list[str] = []
    for line in inspect.getsource(section).splitlines():
        if said := _COMMENT.match(line):
            comment.append(said[1])
        elif comment and (named := _FIELD.match(line)):
            found[named[1]] = " ".join(comment)
            comment = []
    return found
