"""How gearjobs' own logs look, and how the lines of several processes stay whole in one pipe or file.

Two forms: text for people, one JSON object a line for programs. A line of up to PIPE_BUF bytes is whole in a pipe if it
is written at once; longer ones (a traceback in JSON) are so only if nobody writes meanwhile. So the processes of a pool
take a lock around each record, on a file without a name that they have from their parent. The kernel lets go of it for
a process that dies; one that is stopped in the middle of a line holds it up for a moment only, then order goes before
beauty.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import tempfile
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

#: What --log-format may say.
LOG_FORMATS: Final = ("text", "json")
_TEXT_LINE: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_TEXT_LINE_OF_MANY: Final = "%(asctime)s %(levelname)s %(name)s [%(process)d] %(message)s"
#: The house's way of saying facts in a message.
_FACT: Final = re.compile(r"\b([a-z_]+)=('[^']*'|\S+)")
#: What ends a line, commands a terminal or turns the direction of writing.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
#: Seconds to wait for the end of another process's line, and between two looks.
LOCK_PATIENCE_S: Final = 0.25
_LOOK_EVERY_S: Final = 0.001
_STDERR: Final = 2


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time, level, logger, process, message, the facts in it, and the traceback if any."""

    def format(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        document: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "pid": record.process,
            "message": message,
        }
        facts = {name: value.strip("'") for name, value in _FACT.findall(message)}
        if facts:
            document["facts"] = facts
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        # ASCII, so that no byte of it is a line's end for anybody.
        return json.dumps(document, default=str)


class TextFormatter(logging.Formatter):
    """A line for people: what a peer named cannot end it, nor turn what the terminal shows."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        record.message = _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), record.message)
        return super().formatMessage(record)


def make_formatter(log_format: str, *, has_many_processes: bool = False) -> logging.Formatter:
    """Return what writes records in one of LOG_FORMATS.

    Args:
        log_format: which.
        has_many_processes: whether a line of text must say which process it is from.
    """
    if log_format == "json":
        return JsonFormatter()
    return TextFormatter(_TEXT_LINE_OF_MANY if has_many_processes else _TEXT_LINE)


class SharedTarget(logging.Handler):
    """Writes to a descriptor that processes forked later write to as well, each record in one piece.

    Args:
        descriptor: where to.
    """

    def __init__(self, descriptor: int = _STDERR) -> None:
        super().__init__()
        self._descriptor = descriptor
        with tempfile.TemporaryFile() as file:
            self._turnstile = os.dup(file.fileno())

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; one that cannot be written is dropped."""
        line = (self.format(record) + "\n").encode(errors="backslashreplace")
        is_locked = self._lock()
        try:
            while line:
                line = line[os.write(self._descriptor, line) :]
        except OSError:
            # Nobody reads any more, or the disk is full.
            pass
        finally:
            if is_locked:
                fcntl.lockf(self._turnstile, fcntl.LOCK_UN)

    def close(self) -> None:
        super().close()
        with suppress(OSError):
            os.close(self._turnstile)

    def _lock(self) -> bool:
        give_up_at = time.monotonic() + LOCK_PATIENCE_S
        while True:
            try:
                fcntl.lockf(self._turnstile, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                if time.monotonic() >= give_up_at:
                    return False
                time.sleep(_LOOK_EVERY_S)
            else:
                return True
