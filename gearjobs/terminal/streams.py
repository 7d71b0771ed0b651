"""What a program of a terminal reads and writes: bytes, as Gearman's payloads and results are.

Nothing is decoded on the way, so that a result may be a photograph. What a program writes is flushed at once, since
the next bytes may come from another process on the same descriptor. A reader that went away (`| head`) ends the
program with exit code 1 and without a traceback.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol

#: Puts bytes out, at once.
Write = Callable[[bytes], object]

#: Nothing went wrong; something did, or the command line is wrong: gearmand's tools know no third code.
EXIT_OK: Final = 0
EXIT_FAILURE: Final = 1


class TextStream(Protocol):
    """What is written to: `sys.stdout`, or what stands for it."""

    def write(self, text: str, /) -> object:
        """Take text."""
        ...

    def flush(self) -> object:
        """Let go of what was taken."""
        ...


@dataclass(frozen=True, slots=True)
class Streams:
    """The three streams of a program."""

    stdin: io.BufferedIOBase
    stdout: Write
    stderr: Write


def standard_streams(stdout: TextStream | None = None, stderr: TextStream | None = None) -> Streams:
    """Return the process's own streams, or others in the place of the two written; no stdin is an empty one."""
    stdin = getattr(sys.stdin, "buffer", None)
    # A process may have been started without any.
    given = stdin if isinstance(stdin, io.BufferedIOBase) else io.BytesIO()
    return Streams(given, byte_writer(stdout or sys.stdout), byte_writer(stderr or sys.stderr))


def byte_writer(stream: TextStream) -> Write:
    """Return what writes bytes to a text stream: below its encoding where it has a below."""
    buffer: BinaryIO | None = getattr(stream, "buffer", None)

    def write(chunk: bytes) -> None:
        if buffer is None:
            stream.write(chunk.decode("utf-8", "backslashreplace"))
            return
        stream.flush()
        buffer.write(chunk)
        buffer.flush()

    return write


def exit_code_of(run: Callable[[], int]) -> int:
    """Run a program and return its exit code; Ctrl-C and a reader that went away end it quietly."""
    try:
        return run()
    except KeyboardInterrupt:
        return EXIT_FAILURE
    except BrokenPipeError:
        # Else Python complains at its end, when it flushes what nobody reads.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
