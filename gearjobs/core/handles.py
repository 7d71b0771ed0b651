"""Handles: the one name of a job, everywhere and for ever.

A handle is `<prefix>:<incarnation><number>`. The prefix is gearmand's (`H:<host>`). The incarnation is made once per
process, from its start in unix milliseconds (9 base-32 digits, good until the year 3084) and 25 random bits (5 digits),
so that no two processes share one even on one host within one millisecond; the number counts from 1 in ten decimal
digits. Within a prefix handles sort by time, which keeps a primary-key index growing at its end. gearmand counts from 1
again after each restart and so names somebody else's job by an old handle; a kept high-water mark would need a write
per process and cannot serve the web processes that make handles inside their own transaction.
"""

from __future__ import annotations

from typing import Final

from gearjobs.core.jobs import JobHandle

#: gearmand's GEARMAN_JOB_HANDLE_SIZE is 64 with the closing NUL: longer handles are cut by C clients.
HANDLE_LIMIT_BYTES: Final = 63
#: Bits of chance in an incarnation; two processes of a host that start in one millisecond collide once in 33 million.
RANDOM_BITS: Final = 25
#: 63 bytes less the colon, 14 of the incarnation, and ten digits of the number, with room for the number to grow to 12.
PREFIX_LIMIT_BYTES: Final = 36

_HOSTNAME_LIMIT_BYTES: Final = 30
_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def is_handle(raw: bytes) -> bool:
    """Tell whether bytes that a client sent may serve as a handle: 1 to 63 bytes of visible ASCII."""
    return 0 < len(raw) <= HANDLE_LIMIT_BYTES and all(0x21 <= byte <= 0x7E for byte in raw)


def default_prefix(hostname: str) -> str:
    """Return gearmand's prefix for a host, `H:<hostname>`, cut so that a handle stays below 64 bytes."""
    plain = "".join(letter if "!" <= letter <= "~" and letter not in "/\\" else "-" for letter in hostname)
    return f"H:{plain[:_HOSTNAME_LIMIT_BYTES]}"


def make_incarnation(now: float, random_bits: int) -> str:
    """Return the 14 characters that tell one process's handles from every other's.

    Args:
        now: unix seconds.
        random_bits: a number below 2**25 from a good source.
    """
    return _base32(int(now * 1000), 9) + _base32(random_bits, 5)


def _base32(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 32)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


class HandleMaker:
    """Makes the handles of one process, each once.

    Args:
        prefix: at most 36 visible ASCII characters: a space would end the handle in an admin line.
        incarnation: from `make_incarnation`.

    Raises:
        ValueError: the prefix is too long or not visible ASCII.
    """

    def __init__(self, prefix: str, incarnation: str) -> None:
        if len(prefix) > PREFIX_LIMIT_BYTES or not all("!" <= letter <= "~" for letter in prefix):
            raise ValueError(
                f"a handle prefix is at most {PREFIX_LIMIT_BYTES} visible ASCII characters, got {prefix!r}"
            )
        self._stem = f"{prefix}:{incarnation}".encode("ascii")
        self._count = 0

    def next_handle(self) -> JobHandle:
        """Return a handle that was never returned before."""
        self._count += 1
        return JobHandle(b"%s%010d" % (self._stem, self._count))
