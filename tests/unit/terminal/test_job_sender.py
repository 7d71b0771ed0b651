"""Payloads that come line by line; the rest is tried against servers, in tests/interop and tests/integration."""

from __future__ import annotations

import io

import pytest

from gearjobs.terminal.job_sender import _lines_of


class Pieces(io.BufferedIOBase):
    """A pipe of which each read brings what was written at once."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def read1(self, _size: int = -1, /) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([b"one\n"], [[b"one\n"]]),
        ([b"one"], [[b"one"]]),
        ([b"one\ntwo\n", b"three\n"], [[b"one\n", b"two\n"], [b"three\n"]]),
        ([b"o", b"n", b"e\ntw", b"o"], [[b"one\n"], [b"two"]]),
        ([b"\n\n", b"\n"], [[b"\n", b"\n"], [b"\n"]]),
        ([b"a\rb\x0bc\0\n"], [[b"a\rb\x0bc\0\n"]]),
    ],
)
def test_white_box_lines_are_had_as_soon_as_they_are_there(pieces: list[bytes], lines: list[list[bytes]]):
    assert list(_lines_of(Pieces(*pieces))) == lines
