"""The key that holds a job's unique place in the table, across all servers that share it.

The same rules as in memory (`core/coalescing`): jobs of one function with the same unique id coalesce, `-` stands for
the payload, and an empty unique id, or an empty payload behind `-`, never coalesces. The key is a digest, because the
parts may be of any length and any bytes, and must differ by them exactly whatever the database's collation.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

_BY_PAYLOAD: Final = b"-"


def unique_key(function: bytes, unique: bytes, payload: bytes) -> str | None:
    """Return the key, or None for a job that never coalesces."""
    if not unique:
        return None
    if unique != _BY_PAYLOAD:
        # The lengths keep the parts, and the two kinds, apart.
        return sha256(b"%d %d %b%b" % (len(function), len(unique), function, unique)).hexdigest()
    if not payload:
        return None
    return sha256(b"%d - %b%b" % (len(function), function, payload)).hexdigest()
