"""Asks a job server's administrative text protocol: what it has to do and who works for it.

One server, one connection, opened when first needed and kept; not for several threads at once. What the lines mean is
`protocol/admin_text`'s; this file knows only where an answer ends, which the protocol leaves to the reader: a list ends
with a line of one dot, everything else after one line, and an error is one line wherever it comes.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from gearjobs.deadline_socket import DeadlineSocket
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.guarded_socket import NO_SECURITY, Security, open_guarded
from gearjobs.protocol.admin_text import (
    END_OF_LIST,
    FunctionLine,
    JobLine,
    PriorityLine,
    WorkerLine,
    WorkerReportLine,
    parse_jobs,
    parse_prioritystatus,
    parse_status,
    parse_worker_reports,
    parse_workers,
)
from gearjobs.servers import ServerAddress, parse_server

#: Commands answered with a list, by their first word.
_LIST_WORDS = frozenset({b"status", b"prioritystatus", b"workers", b"show"})
#: Longest answer taken: 64 MiB is over a million jobs; more would only fill this process.
MAX_ANSWER_BYTES = 64 * 1024 * 1024


class AdminClient:
    """A client of one job server's administrative protocol.

    Args:
        server: `host`, `host:port` or ServerAddress.
        timeout_s: how long one command may take, connecting included.
        max_answer_bytes: longest answer taken.
        security: TLS and the secret to prove.

    Raises:
        UsageError: the address cannot be read.
    """

    def __init__(
        self,
        server: str | ServerAddress,
        *,
        timeout_s: float = 2.0,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
        security: Security = NO_SECURITY,
    ) -> None:
        self.address = parse_server(server) if isinstance(server, str) else server
        self._timeout_s = timeout_s
        self._max_answer_bytes = max_answer_bytes
        self._security = security
        self._socket: DeadlineSocket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def status(self) -> list[FunctionLine]:
        """Every function: its jobs, how many of them run, and its workers.

        Raises:
            ServerError: the server refused.
            ServerUnavailable: the server could not be reached or did not answer in time.
            WireError: the answer cannot be read.
        """
        return parse_status(self._ask("status"))

    def priority_status(self) -> list[PriorityLine]:
        """Every function: its waiting jobs by priority, and its workers; raises as `status` does."""
        return parse_prioritystatus(self._ask("prioritystatus"))

    def workers(self) -> list[WorkerLine]:
        """Every connection of the server, this one too, and what it can do; raises as `status` does."""
        return parse_workers(self._ask("workers"))

    def jobs(self) -> list[JobLine]:
        """Every job the server holds; raises as `status` does."""
        return parse_jobs(self._ask("show jobs"))

    def worker_reports(self) -> list[WorkerReportLine]:
        """What each of gearjobs' workers last said of itself; raises as `status` does, at a stock server too."""
        return parse_worker_reports(self._ask("show worker reports"))

    def version(self) -> str:
        """The server's version; raises as `status` does."""
        return self._ask("version").removeprefix(b"OK ").strip().decode("utf-8", "backslashreplace")

    def command(self, line: str | bytes) -> bytes:
        """Send one line and return the answer as it came, an `ERR` line as well.

        Raises:
            UsageError: the line is several.
            ServerUnavailable: the server could not be reached or did not answer in time.
        """
        words = line.encode() if isinstance(line, str) else line
        if b"\n" in words or not words or words.startswith(b"\0"):
            raise UsageError(f"an admin command must be one line that is not empty, got {words!r}")
        is_list = words.partition(b" ")[0].rstrip().lower() in _LIST_WORDS
        deadline = time.monotonic() + self._timeout_s
        try:
            connected = self._connected()
            connected.send(words + b"\n", deadline=deadline)
            return self._read_answer(connected, is_list=is_list, deadline=deadline)
        except OSError as error:
            self.close()
            reason = getattr(error, "strerror", None) or str(error)
            raise ServerUnavailable(f"job server {self.address} gave no answer to {words!r}: {reason}") from error

    def close(self) -> None:
        """Close the connection; a later command opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, line: str) -> bytes:
        answer = self.command(line)
        if _is_error(answer):
            _, code, *text = answer.strip().decode("utf-8", "backslashreplace").split(" ", 2)
            raise ServerError(code, " ".join(text))
        return answer

    def _read_answer(self, connected: DeadlineSocket, *, is_list: bool, deadline: float) -> bytes:
        answer = bytearray()
        while not _is_whole(answer, is_list=is_list):
            chunk = connected.receive(deadline=deadline)
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            answer += chunk
            if len(answer) > self._max_answer_bytes:
                raise ConnectionAbortedError(f"an answer must have at most {self._max_answer_bytes} bytes, more came")
        return bytes(answer)

    def _connected(self) -> DeadlineSocket:
        if self._socket is not None and not self._socket.is_quiet():
            # The server closed it since, or it speaks unasked.
            self.close()
        if self._socket is None:
            self._socket = open_guarded(self.address, self._security, timeout_s=self._timeout_s)
        return self._socket


def _is_whole(answer: bytearray, *, is_list: bool) -> bool:
    if not answer.endswith(b"\n"):
        return False
    return not is_list or answer == END_OF_LIST or answer.endswith(b"\n" + END_OF_LIST) or _is_error(answer)


def _is_error(answer: bytes | bytearray) -> bool:
    """Whether it is an error line; a list's line of a function called `ERR ...` has a tab."""
    return answer.startswith(b"ERR ") and answer.count(b"\n") == 1 and b"\t" not in answer
