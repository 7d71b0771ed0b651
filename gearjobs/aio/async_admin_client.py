"""The asyncio twin of `client.admin_client`: one server, one connection; its calls come one after the other.

What the lines mean is `protocol/admin_text`'s, where their answers end `client/admin_answers`'.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from gearjobs.aio.guarded_stream import GuardedStream
from gearjobs.client.admin_answers import MAX_ANSWER_BYTES, AnswerReader, accepted, version_of
from gearjobs.errors import ServerUnavailable
from gearjobs.guarded_socket import NO_SECURITY, Security
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


class AsyncAdminClient:
    """A client of one job server's administrative protocol, for one event loop; see `AdminClient`.

    Args:
        server: `host`, `host:port`, `unix:/path` or ServerAddress.
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
        self._stream: GuardedStream | None = None
        # Answers come in the order of the lines, and say not which is whose.
        self._turn = asyncio.Lock()
        # What was asked before it was closed is not asked after.
        self._closings = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def status(self) -> list[FunctionLine]:
        """Every function: its jobs, how many of them run, and its workers.

        Raises:
            ServerError: the server refused.
            ServerUnavailable: the server could not be reached or did not answer in time.
            WireError: the answer cannot be read.
        """
        return parse_status(await self._ask("status"))

    async def priority_status(self) -> list[PriorityLine]:
        """Every function: its waiting jobs by priority, and its workers; raises as `status` does."""
        return parse_prioritystatus(await self._ask("prioritystatus"))

    async def workers(self) -> list[WorkerLine]:
        """Every connection of the server, this one too, and what it can do; raises as `status` does."""
        return parse_workers(await self._ask("workers"))

    async def jobs(self) -> list[JobLine]:
        """Every job the server holds; raises as `status` does."""
        return parse_jobs(await self._ask("show jobs"))

    async def worker_reports(self) -> list[WorkerReportLine]:
        """What each of gearjobs' workers last said of itself; raises as `status` does, at a stock server too."""
        return parse_worker_reports(await self._ask("show worker reports"))

    async def snapshot(self) -> ServerSnapshot:
        """What a gearjobs server is doing, in one answer; raises as `status` does, at a stock server too."""
        return parse_snapshot(await self._ask("show snapshot"))

    async def pause(self, function: str | bytes) -> None:
        """Let a gearjobs server hand out no job of the function until `resume`; see `AdminClient.pause`."""
        await self._ask(b"pause " + line_word(function))

    async def resume(self, function: str | bytes) -> None:
        """Let the function's jobs be handed out again; see `AdminClient.pause`."""
        await self._ask(b"resume " + line_word(function))

    async def clear(self, function: str | bytes) -> int:
        """Cancel the function's waiting jobs of this server, and return how many; see `AdminClient.clear`."""
        return int((await self._ask(b"clear " + line_word(function))).split()[1])

    async def version(self) -> str:
        """The server's version; raises as `status` does."""
        return version_of(await self._ask("version"))

    async def command(self, line: str | bytes) -> bytes:
        """Send one line and return the answer as it came, an `ERR` line as well.

        Raises:
            UsageError: the line is several.
            ServerUnavailable: the server could not be reached or did not answer in time.
        """
        reader = AnswerReader(line, max_bytes=self._max_answer_bytes)
        closings = self._closings
        async with self._turn:
            try:
                async with asyncio.timeout(self._timeout_s):
                    await self._exchange(reader, closings)
            except OSError as error:
                self._abort()
                reason = "no answer in time" if isinstance(error, TimeoutError) else error.strerror or str(error)
                reason = reason if closings == self._closings else "this client closed the connection"
                text = f"job server {self.address} gave no answer to {reader.words!r}: {reason}"
                raise ServerUnavailable(text) from error
            except BaseException:
                # Its answer would be taken for the next one's.
                self._abort()
                raise
        return bytes(reader.answer)

    async def aclose(self) -> None:
        """Close the connection; a command under way ends with ServerUnavailable, a later one opens another."""
        self._closings += 1
        if self._turn.locked():
            self._abort()
        elif self._stream is not None:
            stream, self._stream = self._stream, None
            await stream.close()
        # The loop closes in its next turn what was aborted in this one.
        await asyncio.sleep(0)

    async def _ask(self, line: str | bytes) -> bytes:
        return accepted(await self.command(line))

    async def _exchange(self, reader: AnswerReader, closings: int) -> None:
        self._look(closings)
        if self._stream is not None and self._stream.is_spent:
            # The server closed it since.
            self._abort()
        if self._stream is None:
            self._stream = await GuardedStream.open(self.address, self._security, timeout_s=self._timeout_s)
            self._look(closings)
        self._stream.write(reader.line)
        while not reader.is_whole:
            reader.receive(await self._stream.receive())

    def _look(self, closings: int) -> None:
        if closings != self._closings:
            raise ConnectionAbortedError("this client closed the connection")

    def _abort(self) -> None:
        if self._stream is not None:
            self._stream.abort()
            self._stream = None
