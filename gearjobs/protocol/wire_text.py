r"""Names of the wire as text and back, without losing a byte.

Functions, uniques and client ids are bytes of the peer's choice: some clients send random ones. Where people read them
(the job table's columns, logs, admin lines) they stand as text in which valid UTF-8 is itself, a backslash is doubled,
and whatever could break a line or a terminal is written `\xNN`, byte by byte: control characters (C0, DEL, C1, the
Unicode line and paragraph separators) and bytes that are not UTF-8. So nobody can forge a line, and `to_bytes` gives
back exactly the bytes that `to_text` was given. The rules are this program's own; gearmand prints names raw.
"""

from __future__ import annotations

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ESCAPE = re.compile(rb"\\(?:\\|x([0-9a-f]{2}))")


def to_text(raw: bytes) -> str:
    r"""Return the name as one line of text that UTF-8 can hold; `to_bytes` turns it back.

    Args:
        raw: any bytes; what they are worth as UTF-8 decides what is escaped, so that a cut or mixed name is readable.
    """
    text = raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else _CONTROL.sub(_escape_of_control, text)


def to_bytes(text: str) -> bytes:
    r"""Return the bytes that `to_text` made this text of.

    Text from elsewhere is taken too: a backslash that begins no escape stands for itself, a lone surrogate for the
    three bytes that would encode it (`to_text` shows them as `\xed\xNN\xNN`).
    """
    return unescape(text.encode("utf-8", "surrogatepass"))


def unescape(escaped: bytes) -> bytes:
    """Return the bytes that `to_text` made this text of, given in UTF-8; bytes that are not UTF-8 stay themselves."""
    return _ESCAPE.sub(_bytes_of_escape, escaped) if b"\\" in escaped else escaped


def _escape_of_control(found: re.Match[str]) -> str:
    return "".join(f"\\x{byte:02x}" for byte in found[0].encode())


def _bytes_of_escape(found: re.Match[bytes]) -> bytes:
    digits = found[1]
    return b"\\" if digits is None else bytes.fromhex(digits.decode())
