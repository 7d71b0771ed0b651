"""Which strings of the wire are `str` in Python 3: handles, functions, uniques and client ids. Payloads stay `bytes`.

They are read as UTF-8 without losing a byte (`surrogateescape`), so that what a server said can be said back to it.
With `GEARMAN_COMPAT=gearman3` in the environment they are `bytes`, as the package gearman3 on PyPI has them; that is
decided once, at import.
"""

from __future__ import annotations

import os
from typing import Final

#: The environment variable, and the value that makes every string of the wire bytes.
COMPAT_VARIABLE: Final = "GEARMAN_COMPAT"
_KEEPS_BYTES: Final = os.environ.get(COMPAT_VARIABLE) == "gearman3"


def from_wire(raw: bytes) -> str:
    """Return the string as programs see it."""
    if _KEEPS_BYTES:
        return raw  # type: ignore[return-value]  # the annotations are those of the mode people should use
    return raw.decode("utf-8", "surrogateescape")


def to_wire(value: object) -> bytes:
    """Return the bytes of a string, or of a number in decimal."""
    if isinstance(value, bytes):
        return value
    return str(value).encode("utf-8", "surrogateescape")
