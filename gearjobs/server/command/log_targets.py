"""Where the log of a job server goes: stderr, a file, syslog, or nowhere; and that logging never stops the server.

A pipe that nobody drains, a full disk and a syslog that is away cost log lines, not jobs: what cannot be written now is
dropped and counted. A log file is reopened when it was moved, and on SIGHUP.
"""

from __future__ import annotations

import logging
import os
import select
import syslog
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from gearjobs.log_lines import make_formatter
from gearjobs.server.command.process_config import ProcessConfig

#: gearmand's words for --verbose, and what they are to Python: FATAL to CRITICAL are one, NOTICE lies above INFO.
LEVELS: Final = {
    "FATAL": logging.CRITICAL,
    "ALERT": logging.CRITICAL,
    "CRITICAL": logging.CRITICAL,
    "ERROR": logging.ERROR,
    "WARNING": logging.WARNING,
    "NOTICE": (logging.INFO + logging.WARNING) // 2,
    "INFO": logging.INFO,
    "DEBUG": logging.DEBUG,
}

logger = logging.getLogger("gearjobs.server")

#: A pipe that select calls writable takes this much without blocking (POSIX).
_PIPE_BYTES: Final = select.PIPE_BUF
_STDERR: Final = 2

_SYSLOG_PRIORITIES: Final = (
    (logging.CRITICAL, syslog.LOG_CRIT),
    (logging.ERROR, syslog.LOG_ERR),
    (logging.WARNING, syslog.LOG_WARNING),
    (logging.INFO, syslog.LOG_INFO),
)


def write_now(descriptor: int, line: str) -> bool:
    """Write as much of a text as goes without waiting; return whether all of it went."""
    rest = line.encode(errors="backslashreplace")
    try:
        while rest and select.select((), (descriptor,), (), 0)[1]:
            rest = rest[os.write(descriptor, rest[:_PIPE_BYTES]) :]
    except (OSError, ValueError):
        # Closed, full, or beyond what select can watch.
        return False
    return not rest


class StderrTarget(logging.Handler):
    """Writes to stderr what stderr takes, and tells how many lines it did not take as soon as it does again."""

    def __init__(self, descriptor: int = _STDERR) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        if self._dropped and write_now(
            self._descriptor, f"... {self._dropped} log lines dropped: nobody read stderr\n"
        ):
            self._dropped = 0
        if self._dropped or not write_now(self._descriptor, self.format(record) + "\n"):
            self._dropped += 1


class FileTarget(logging.Handler):
    """Appends to a file; one that was moved away is begun anew, and if that cannot be, goes on where it is.

    Args:
        path: the file, which is made if it does not exist.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = Path(path).absolute()
        self._descriptor = _open_to_append(self._path)

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_moved():
            self.reopen()
        # A full disk costs lines.
        with suppress(OSError):
            os.write(self._descriptor, (self.format(record) + "\n").encode(errors="backslashreplace"))

    def reopen(self) -> None:
        """Close the file and open what is at its path now; the old one stays where that fails."""
        with suppress(OSError):
            fresh = _open_to_append(self._path)
            # Takes the place of the old one, and closes it, in one step: other threads may be writing.
            os.dup2(fresh, self._descriptor, inheritable=False)
            os.close(fresh)

    def close(self) -> None:
        super().close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _is_moved(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except OSError:
            return True


def _open_to_append(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)


class SyslogTarget(logging.Handler):
    """Writes to syslog under the name `gearjobs`."""

    def __init__(self) -> None:
        super().__init__()
        # Time and process id are syslog's own.
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        syslog.openlog("gearjobs", syslog.LOG_PID, syslog.LOG_DAEMON)

    def emit(self, record: logging.LogRecord) -> None:
        priority = next((known for level, known in _SYSLOG_PRIORITIES if record.levelno >= level), syslog.LOG_DEBUG)
        syslog.syslog(priority, self.format(record))


def set_up_logging(config: ProcessConfig) -> Callable[[], None]:
    """Let the loggers of gearjobs write to what the configuration names; the root logger is the project's.

    Returns:
        What SIGHUP is to do: reopens the log file.
    """
    log = logging.getLogger("gearjobs")
    # In the background there is no stderr that anybody reads.
    has_syslog = config.syslog or (config.daemon and not config.log_file)
    targets: list[logging.Handler] = [SyslogTarget()] if has_syslog else []
    reopen = _nothing_to_reopen
    complaint = ""
    match config.log_file or ("none" if has_syslog else "stderr"):
        case "none":
            targets.append(logging.NullHandler())
        case "stderr":
            targets.append(StderrTarget())
        case path:
            try:
                file = FileTarget(path)
                targets.append(file)
                reopen = file.reopen
            except OSError as error:
                complaint = f'Could not open log file "{path}", switching to stderr: {error}'
                targets.append(StderrTarget())
    for target in targets:
        if target.formatter is None:
            target.setFormatter(make_formatter(config.log_format))
    log.handlers = targets
    log.setLevel(LEVELS[config.verbose])
    log.propagate = False
    if complaint:
        logger.error("%s", complaint)
    return reopen


def _nothing_to_reopen() -> None:
    """Do nothing: only files are reopened."""
