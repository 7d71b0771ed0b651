"""Payloads and results for people and for JSON: bytes read as JSON, else as text, else as base64.

A body is any peer's bytes. It counts as JSON only if it can be written again as JSON that every reader takes: no NaN,
no lone surrogate, no number beyond a float, and not nested deeper than a renderer can follow.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

#: Levels of JSON that are followed, as for payloads.
DEPTH_LIMIT: Final = 64

BodyEncoding = Literal["json", "utf-8", "base64"]


@dataclass(slots=True)
class ReadableBody:
    """A body as a value that JSON can hold."""

    #: The JSON value, the text, or base64 text.
    value: Any
    #: How `value` is to be understood.
    encoding: BodyEncoding


def read_body(body: bytes) -> ReadableBody:
    """Return the body in the first of the three forms that holds it."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return ReadableBody(base64.b64encode(body).decode("ascii"), "base64")
    try:
        value = json.loads(text, parse_constant=_refuse)
        # What cannot be written again is not read: 1e999, a lone surrogate, deep nesting.
        if _is_shallow(value, DEPTH_LIMIT):
            json.dumps(value, allow_nan=False, ensure_ascii=False).encode("utf-8")
            return ReadableBody(value, "json")
    except (ValueError, RecursionError):
        pass
    return ReadableBody(text, "utf-8")


def show_body(body: bytes, limit: int) -> str:
    """Return the body as text for a page: JSON indented, text as it is, other bytes as a hex dump.

    Args:
        body: what to show.
        limit: bytes shown at most; the rest is only counted.
    """
    shown = body[:limit]
    rest = f"\n… {len(body) - limit:,} more bytes" if len(body) > limit else ""
    readable = read_body(body) if not rest else None
    if readable is not None and readable.encoding == "json":
        return json.dumps(readable.value, indent=2, ensure_ascii=False)
    try:
        return shown.decode("utf-8") + rest
    except UnicodeDecodeError as error:
        # A cut may fall into the middle of a character, which spoils at most its last three bytes.
        if rest and error.start >= len(shown) - 3:
            return shown[: error.start].decode("utf-8") + rest
    return _hex_dump(shown) + rest


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _is_shallow(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        return levels > 0 and all(_is_shallow(one, levels - 1) for one in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_is_shallow(one, levels - 1) for one in value)
    return True


def _hex_dump(body: bytes) -> str:
    lines = []
    for start in range(0, len(body), 16):
        row = body[start : start + 16]
        digits = binascii.hexlify(row, " ").decode("ascii")
        letters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{start:08x}  {digits:<47}  {letters}")
    return "\n".join(lines)
