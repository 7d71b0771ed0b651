"""Asks a job server's administrative text protocol: what it has to do and who works for it.

One server, one connection, opened when first needed and kept; not for several threads at once. What the lines mean is
`protocol/admin_text`'s, where their answers end `admin_answers`'; `gearjobs.aio` has the same for asyncio.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from gearjobs.client.admin_answers import MAX_ANSWER_BYTES, AnswerReader, accepted, version_of
from gearjobs.deadline_socket import DeadlineSocket
from gearjobs.errors import ServerUnavailable
from gearjobs.guarded_socket import NO_SECURITY, Security, open_guarded
from gearjobs.protocol.admin_text import (
    FunctionLine,
    JobLine,
    PriorityLine,
    WorkerLine,
    WorkerReportLine,
    line_word,
    parse_jobs,
    parse_prioritystatus,
    parse_status,
    parse_worker_reports,
    parse_workers,
)
from gearjobs.protocol.server_snapshot import ServerSnapshot, parse_snapshot
from gearjobs.servers import ServerAddress, parse_server


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

    def snapshot(self) -> ServerSnapshot:
        """What a gearjobs server is doing, in one answer; raises as `status` does, at a stock server too."""
        return parse_snapshot(self._ask("show snapshot"))

    def pause(self, function: str | bytes) -> None:
        """Let a gearjobs server hand out no job of the function until `resume`; what runs goes on.

        Where its store is a database this holds at every server of that, and over restarts.

        Args:
            function: its name; it need not be known yet.

        Raises:
            ServerError: this client may not, the store has not kept it, or it is a stock server.
            ServerUnavailable: the server could not be reached or did not answer in time.
        """
        self._ask(b"pause " + line_word(function))

    def resume(self, function: str | bytes) -> None:
        """Let the function's jobs be handed out again; raises as `pause` does."""
        self._ask(b"resume " + line_word(function))

    def clear(self, function: str | bytes) -> int:
        """Cancel the function's waiting jobs of this server, and return how many; raises as `pause` does.

        Many take a while, 100,000 a few seconds; jobs that come meanwhile stay.
        """
        return int(self._ask(b"clear " + line_word(function)).split()[1])

    def version(self) -> str:
        """The server's version; raises as `status` does."""
        return version_of(self._ask("version"))

    def command(self, line: str | bytes) -> bytes:
        """Send one line and return the answer as it came, an `ERR` line as well.

        Raises:
            UsageError: the line is several.
            ServerUnavailable: the server could not be reached or did not answer in time.
        """
        reader = AnswerReader(line, max_bytes=self._max_answer_bytes)
        deadline = time.monotonic() + self._timeout_s
        try:
            connected = self._connected()
            connected.send(reader.line, deadline=deadline)
            while not reader.is_whole:
                reader.receive(connected.receive(deadline=deadline))
        except OSError as error:
            self.close()
            reason = getattr(error, "strerror", None) or str(error)
            raise ServerUnavailable(
                f"job server {self.address} gave no answer to {reader.words!r}: {reason}"
            ) from error
        return bytes(reader.answer)

    def close(self) -> None:
        """Close the connection; a later command opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, line: str | bytes) -> bytes:
        return accepted(self.command(line))

    def _connected(self) -> DeadlineSocket:
        if self._socket is not None and not self._socket.is_quiet():
            # The server closed it since, or it speaks unasked.
            self.close()
        if self._socket is None:
            self._socket = open_guarded(self.address, self._security, timeout_s=self._timeout_s)
        return self._socket
