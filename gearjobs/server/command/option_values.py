"""Readers of the command line's values: text in, value out, ValueError with the rule where the text does not fit.

They look at nothing but the text: no file is touched and no name resolved, so that `--check-args` can run anywhere.
What a value means is its option's sentence (`options`). Where gearmand takes any text, so does the reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

#: gearmand's words for --verbose, least verbose first.
LEVELS: Final = ("FATAL", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
#: The most a C int holds, where gearmand keeps most of its numbers.
INT_LIMIT: Final = 2**31 - 1
PORT_LIMIT: Final = 65535
#: Words for whether something is done.
SWITCH_WORDS: Final = ("on", "off")

_NUMBER: Final = re.compile(r"[+-]?[0-9]+")


def text(given: str) -> str:
    """Take any text; an empty one means what leaving the option out means."""
    return given


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """Make a reader of whole numbers within the limits."""

    def read(given: str) -> int:
        if _NUMBER.fullmatch(given) is None or not lowest <= int(given) <= highest:
            raise ValueError(f"expected a whole number from {lowest} to {highest}")
        return int(given)

    return read


def count(given: str) -> int:
    """Read a number of which gearmand takes a negative one for "no limit"; 0 means that here."""
    return max(0, whole_number(-INT_LIMIT - 1, INT_LIMIT)(given))


def port(given: str) -> int | str:
    """Read a port's number, or keep the service's name for the start to look up."""
    if _NUMBER.fullmatch(given) is None:
        return given
    return whole_number(0, PORT_LIMIT)(given)


def permissions(given: str) -> str:
    """Read a file's permissions in octal."""
    if re.fullmatch("0?[0-7]{3}", given) is None:
        raise ValueError("expected permissions in octal, such as 660")
    return given


def one_of(words: Iterable[str]) -> Callable[[str], str]:
    """Make a reader of a word that must be one of these."""
    known = tuple(words)

    def read(given: str) -> str:
        if given not in known:
            raise ValueError(f"expected one of {', '.join(known)}")
        return given

    return read


def level(given: str) -> str:
    """Read one of LEVELS."""
    return one_of(LEVELS)(given)
