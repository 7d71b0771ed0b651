"""What a task logs, kept with its job: `@gear_task(capture_logs=True)` or a level.

The records of the job's own context are taken: those of the task, of what it calls and awaits, and of threads that are
given its context (`sync_to_async` does it, a plain Thread does not). Only what the project's LOGGING lets through
reaches a handler, and so this one, which stands at the root logger from the first such job on and changes nothing else.
The text goes to the job server as a warning of the job, a piece now and then, so that a job that is killed leaves what
it logged; it is bounded, since logs are not what a job table is for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

#: Most lines and characters kept of one run; more than anybody reads of one job.
MAX_LINES, MAX_CHARACTERS = 1_000, 256 * 1024
#: Characters after which a piece is sent.
PIECE_CHARACTERS = 16 * 1024
#: Seconds from one piece to the next at least; a line that comes later than that after the last is sent at once.
PIECE_EVERY_S = 2.0

_FORMATTER: Final = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


class LogCapture:
    """What one run logs.

    Args:
        level: the lowest level that is kept.
        send: sends a piece of text with the job.
    """

    def __init__(self, level: int, send: Callable[[bytes], None]) -> None:
        self.level = level
        self._send = send
        # Threads may log in the context of one job.
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._sent_at = time.monotonic()
        self._characters = self._count = self._dropped = 0
        self._piece_characters = 0

    def add(self, line: str) -> None:
        """Keep a line; those beyond the bounds are counted."""
        with self._lock:
            if self._count >= MAX_LINES or self._characters + len(line) > MAX_CHARACTERS:
                self._dropped += 1
                return
            self._count += 1
            self._characters += len(line)
            self._piece_characters += len(line)
            self._lines.append(line)
            is_due = self._piece_characters >= PIECE_CHARACTERS or time.monotonic() - self._sent_at >= PIECE_EVERY_S
            piece = self._take_piece() if is_due else ""
        self._send_piece(piece)

    def finish(self) -> None:
        """Send what was not sent yet; the run ends, by itself or by force."""
        with self._lock:
            if self._dropped:
                self._lines.append(f"... and {self._dropped} more lines, beyond what is kept of one run")
                self._dropped = 0
            piece = self._take_piece()
        self._send_piece(piece)

    def _take_piece(self) -> str:
        piece = "\n".join(self._lines)
        self._lines.clear()
        self._sent_at, self._piece_characters = time.monotonic(), 0
        return piece

    def _send_piece(self, piece: str) -> None:
        if piece:
            self._send(piece.encode(errors="backslashreplace"))


_current: Final[ContextVar[LogCapture | None]] = ContextVar("gearjobs_log_capture", default=None)


class CaptureHandler(logging.Handler):
    """Hands records to the capture of the job in whose context they are logged."""

    def createLock(self) -> None:  # noqa: N802 - logging's name
        # None is needed: each capture has its own, and a report that waits must not hold up other threads' logging.
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool:
        capture = _current.get()
        if capture is not None and record.levelno >= capture.level:
            try:
                capture.add(_FORMATTER.format(record))
            except Exception:  # noqa: BLE001 - arguments that cannot be formatted; logging's own way with them
                self.handleError(record)
        return True


_handler: Final = CaptureHandler()


@contextmanager
def captured_logs(level: int, send: Callable[[bytes], None]) -> Iterator[LogCapture]:
    """Keep what is logged in this context within the block, from this level on."""
    # Adding it twice does nothing.
    logging.getLogger().addHandler(_handler)
    capture = LogCapture(level, send)
    token = _current.set(capture)
    try:
        yield capture
    finally:
        _current.reset(token)
        capture.finish()
