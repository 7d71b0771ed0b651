"""One open connection of an asyncio client: many requests and jobs under way on it at once.

The rules of who answers what are `in_flight`'s, as those of the blocking client; what they wait for is told to whoever
waits by a future each. One task reads. A connection on which an answer did not come in time, or of which a job was
given up, is retired: nobody new may use it, and it is closed when the last user has left, which is how a server hears
that a job is not waited for any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from gearjobs.aio.guarded_stream import GuardedStream
from gearjobs.client.in_flight import ForegroundJob, InFlight, JobEvent, Pending
from gearjobs.client.server_connection import Listener
from gearjobs.client.server_walk import Repeat, ServerFailed
from gearjobs.errors import WireError
from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.protocol.codec import Decoder, encode_request
from gearjobs.protocol.packets import EXCEPTIONS_OPTION, EXTENSIONS_OPTION, RESPONSE_MAGIC, PacketType
from gearjobs.servers import ServerAddress


class AsyncServerConnection:
    """A negotiated connection to one job server; made by `open`.

    Args:
        address: the server.
        stream: just opened.
    """

    def __init__(self, address: ServerAddress, stream: GuardedStream) -> None:
        self.address = address
        #: Whether the server knows the packets from 128 upwards.
        self.has_extensions = False
        self._stream = stream
        self._in_flight = InFlight()
        self._decoder = Decoder(expects=RESPONSE_MAGIC)
        self._waiters: set[asyncio.Future[None]] = set()
        self._failure: Exception | None = None
        self._is_retired = False
        #: Whether this end closed it: what it failed at is nobody's to repeat, and says nothing of the server.
        self.is_aborted = False
        self._users = 0
        # Requests of this turn of the loop: they leave in one write.
        self._outgoing: list[bytes] = []
        # The job that has this connection for itself: no more is read while it has events that nobody took.
        self._sole: ForegroundJob | None = None
        self._taken = asyncio.Event()
        self._reader = asyncio.create_task(self._read_on(), name=f"gearjobs-read-{address}")

    @classmethod
    async def open(
        cls,
        address: ServerAddress,
        security: Security = NO_SECURITY,
        *,
        connect_timeout_s: float,
        answer_timeout_s: float,
    ) -> AsyncServerConnection:
        """Open a connection and negotiate.

        Raises:
            ServerFailed: it could not be reached or does not speak Gearman.
        """
        try:
            stream = await GuardedStream.open(address, security, timeout_s=connect_timeout_s)
        except OSError as error:
            raise ServerFailed(address, error, repeat=Repeat.ANYWHERE) from error
        connection = cls(address, stream)
        try:
            await connection._negotiate(timeout_s=answer_timeout_s)
        except BaseException:
            connection.abort()
            raise
        return connection

    @property
    def is_usable(self) -> bool:
        """Whether somebody new may use it."""
        if self._is_retired or self._failure is not None:
            return False
        # A submission into a connection that is dead already could not be told from one that has arrived.
        return self._users > 0 or not self._stream.is_left()

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is heard on it."""
        return self._reader.done()

    @asynccontextmanager
    async def used(self) -> AsyncIterator[None]:
        """Keep the connection open for the block, even when it is retired."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self._close_if_done()

    async def ask(
        self, request: bytes, *, answered_by: PacketType, timeout_s: float, repeat: Repeat = Repeat.ANYWHERE
    ) -> tuple[bytes, ...]:
        """Send a request and return its answer's arguments.

        Raises:
            ServerError: the server refused; the connection is as good as before.
            ServerFailed: no answer came; it carries `repeat`.
        """
        (pending,) = await self.ask_all([request], answered_by=answered_by, timeout_s=timeout_s, repeat=repeat)
        return pending.arguments()

    async def ask_all(
        self, requests: Sequence[bytes], *, answered_by: PacketType, timeout_s: float, repeat: Repeat
    ) -> list[Pending]:
        """Send many requests in one write and return what became of each, in their order; raises as `ask`."""
        pending = [Pending(answered_by) for _ in requests]
        await self._exchange(requests, pending, timeout_s=timeout_s, repeat=repeat)
        return pending

    async def start(self, requests: Sequence[bytes], *, timeout_s: float, keeps_events: bool = False) -> list[Pending]:
        """Submit foreground jobs in one write; return what became of each, its `job` to be waited for.

        Raises:
            ServerFailed: not every answer came; such requests are never repeated.
        """
        pending = [Pending(PacketType.JOB_CREATED, ForegroundJob(keeps_events=keeps_events)) for _ in requests]
        try:
            await self._exchange(requests, pending, timeout_s=timeout_s, repeat=Repeat.NEVER)
        except BaseException:
            # Jobs that nobody waits for.
            self.retire()
            raise
        return pending

    async def wait(self, job: ForegroundJob, *, listener: Listener | None = None) -> bytes:
        """Wait for the job's end, tell the listener what happens till then, and return the result.

        Raises:
            JobFailed: the worker reported a failure, or the server gave the job up.
            ServerFailed: its end was not heard of.
        """
        if listener is None:
            job.keeps_events = False
        self._taken.set()
        try:
            while True:
                for event in job.take_events():
                    if listener is not None:
                        listener(event)
                if job.is_over:
                    return job.outcome()
                await self._changed(job, repeat=Repeat.NEVER)
        finally:
            if not job.is_over:
                # The server drops it, when the connection closes, if it waits still and nobody else waits for it.
                job.keeps_events = False
                self.retire()

    def devote_to(self, job: ForegroundJob) -> None:
        """Read no further than this job's events are taken; it is the connection's only one."""
        self._sole = job

    async def events(self, job: ForegroundJob) -> list[JobEvent]:
        """Wait for events of the job and return them; none at its end.

        Raises:
            ServerFailed: its end was not heard of.
        """
        while not job.events and not job.is_over:
            await self._changed(job, repeat=Repeat.NEVER)
        self._taken.set()
        return job.take_events()

    def retire(self) -> None:
        """Let nobody new use it, and close it when it has no user."""
        self._is_retired = True
        self._close_if_done()

    def abort(self) -> None:
        """Close at once; whoever waits hears of it."""
        self._is_retired = True
        self.is_aborted = self.is_aborted or self._failure is None
        self._fail(closed_here())
        self._reader.cancel()
        self._stream.abort()

    async def closed(self) -> None:
        """Wait until it is closed, after `abort` or `retire`."""
        await asyncio.wait([self._reader])

    async def _negotiate(self, *, timeout_s: float) -> None:
        wanted = [encode_request(PacketType.OPTION_REQ, name) for name in (EXTENSIONS_OPTION, EXCEPTIONS_OPTION)]
        extensions, _exceptions = await self.ask_all(
            wanted, answered_by=PacketType.OPTION_RES, timeout_s=timeout_s, repeat=Repeat.ANYWHERE
        )
        # A server that refuses `exceptions` reports failures without their reason: less, but no cause to leave it.
        self.has_extensions = extensions.error is None

    async def _exchange(
        self, requests: Sequence[bytes], pending: Sequence[Pending], *, timeout_s: float, repeat: Repeat
    ) -> None:
        self._look(repeat=Repeat.ANYWHERE)
        for one in pending:
            self._in_flight.sent(one)
        self._write(requests)
        try:
            async with asyncio.timeout(timeout_s):
                while not pending[-1].is_answered:
                    await self._changed(pending[-1], repeat=repeat)
        except TimeoutError as error:
            # What is under way may still end well; but nothing new is to wait behind this.
            self.retire()
            raise ServerFailed(self.address, error, repeat=repeat) from error

    async def _changed(self, waited_for: Pending | ForegroundJob, *, repeat: Repeat) -> None:
        """Wait until something happens to what is waited for."""
        self._look(repeat=repeat)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        waited_for.wake = lambda: _settle(waiter)
        try:
            await waiter
        finally:
            waited_for.wake = None
            self._waiters.discard(waiter)

    def _look(self, *, repeat: Repeat) -> None:
        """Raise where the connection is no more."""
        if self._failure is not None:
            whom = Repeat.NEVER if self.is_aborted else repeat
            raise ServerFailed(self.address, self._failure, repeat=whom) from self._failure

    async def _read_on(self) -> None:
        try:
            while True:
                chunk = await self._stream.receive()
                if not chunk:
                    raise ConnectionResetError("the server closed the connection")
                self._decoder.receive(chunk)
                while (packet := self._decoder.next_packet()) is not None:
                    self._in_flight.receive(packet)
                await self._let_take()
        except (OSError, WireError) as error:
            self._fail(error)
        finally:
            self._stream.abort()

    async def _let_take(self) -> None:
        """Wait for a reader that is slow: its server, and the job's worker, then wait for it too."""
        while self._sole is not None and self._sole.keeps_events and self._sole.events:
            self._taken.clear()
            await self._taken.wait()

    def _write(self, requests: Sequence[bytes]) -> None:
        if not self._outgoing:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outgoing += requests

    def _flush(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._stream.is_writable:
            self._stream.write(b"".join(outgoing))

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._failure = error
            for waiter in self._waiters:
                _settle(waiter)

    def _close_if_done(self) -> None:
        if self._is_retired and not self._users:
            self.abort()


def closed_here() -> OSError:
    """Return why a connection is no more that this end closed."""
    return ConnectionAbortedError("this client closed the connection")


def _settle(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
