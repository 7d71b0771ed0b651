"""The key under which rows about a function are found: a digest of its name.

A function's name may be of any length and any bytes, and must differ by them exactly whatever the database's collation;
so a column with the name itself can be no key.
"""

from __future__ import annotations

from hashlib import sha256


def function_key(function: bytes) -> str:
    """Return the key of a function's rows."""
    return sha256(function).hexdigest()
