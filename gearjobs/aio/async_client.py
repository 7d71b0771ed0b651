"""The asyncio client: submits jobs, waits for results, asks for status; many at once over one connection a server.

The twin of `gearjobs.client.client`, of whose rules it has none of its own: what is asked stands in `questions`, which
of several servers is asked in `server_walk`, `portions` and `balance`, who answers what in `in_flight`. One client
belongs to one event loop, and may be used by all of its tasks; cancelling a task gives up what it waits for.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from gearjobs.aio.async_pool import AsyncExchange, AsyncPool
from gearjobs.aio.async_server_connection import AsyncServerConnection
from gearjobs.client.balance import Balance, KeyChoice
from gearjobs.client.in_flight import ForegroundJob, JobEvent
from gearjobs.client.job_status import JobStatus
from gearjobs.client.portions import Portions
from gearjobs.client.questions import (
    Question,
    cancel_question,
    change_question,
    echo_question,
    status_question,
    submit_question,
    unique_status_question,
)
from gearjobs.client.requests import JobRequest, background_request, encode_submit, is_idempotent, job_request
from gearjobs.client.server_connection import Listener
from gearjobs.client.server_walk import Answer, Repeat, ServerFailed, ServerWalk, unavailable
from gearjobs.core.submission import CancelVerdict, ChangeVerdict
from gearjobs.errors import DeadlineExceeded, GearjobsError, ServerError
from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.wire_text import to_text
from gearjobs.servers import ServerAddress

#: Lets an exchange talk to a server.
_Use = Callable[[ServerAddress, AsyncExchange[Answer]], Awaitable[Answer]]


class AsyncClient:
    """A client of one or more job servers, for one event loop.

    Args:
        servers: `host`, `host:port`, `unix:/path` or ServerAddress, in order of preference.
        connect_timeout_s: how long to wait for a connection, per server.
        answer_timeout_s: how long a server may take to answer a request; a job's own time is not meant.
        balance: `order`, the first server that lives gets every job; or `unique`, jobs are spread, and those of one
            unique go to one server while it lives.
        security: TLS and the secret to prove, from `gearjobs.guarded_socket.make_security`.

    Raises:
        UsageError: the list of servers or the balance cannot be used.
    """

    def __init__(
        self,
        servers: Sequence[str | ServerAddress] = ("127.0.0.1:4730",),
        *,
        connect_timeout_s: float = 2.0,
        answer_timeout_s: float = 5.0,
        balance: Balance = "order",
        security: Security = NO_SECURITY,
    ) -> None:
        self._keys = KeyChoice(balance)
        self._answer_timeout_s = answer_timeout_s
        self._pool = AsyncPool(
            servers, security, connect_timeout_s=connect_timeout_s, answer_timeout_s=answer_timeout_s
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def submit_background(  # noqa: PLR0913 - a keyword for each thing a submission may say
        self,
        function: str | bytes,
        payload: bytes,
        *,
        unique: str | bytes = b"",
        priority: int = 0,
        run_at: float = 0.0,
        handle: str = "",
        attributes: SubmitAttributes | None = None,
    ) -> str:
        """Submit a job nobody waits for and return its handle; see `Client.submit_background`.

        Raises:
            UsageError, UniqueConflict, ServerError, ServerUnavailable: as there.
        """
        request = background_request(function, payload, unique=unique, priority=priority, run_at=run_at, handle=handle)
        request.attributes = attributes
        return await self._ask(submit_question(request, key=self._keys.of_request(request)))

    async def submit_all(self, requests: Sequence[JobRequest]) -> list[str | ServerError]:
        """Submit many background jobs, some hundred in a write, and return what became of each.

        Args:
            requests: from `background_request`.

        Returns:
            The handle, or why the server refused it (UniqueConflict among others), of each job in the order given.

        Raises:
            ServerUnavailable: of some jobs no server is known to keep them; see `Client.submit_all`.
        """
        pool = self._pool
        outcomes: dict[int, str | ServerError] = {}
        portions = Portions(requests, self._keys.of_request, to_try=pool.to_try, every=pool.addresses)
        for address, indexes in portions:
            portion = [requests[index] for index in indexes]

            async def submit(
                connection: AsyncServerConnection, portion: list[JobRequest] = portion
            ) -> list[str | ServerError]:
                return await self._submit_portion(portion, connection)

            try:
                outcomes.update(zip(indexes, await pool.use(address, submit), strict=True))
            except ServerFailed as failure:
                portions.failed(address, indexes, failure)
        return [outcomes[index] for index in range(len(requests))]

    async def do(
        self,
        function: str | bytes,
        payload: bytes,
        *,
        unique: str | bytes = b"",
        priority: int = 0,
        timeout_s: float | None = None,
        on_event: Listener | None = None,
    ) -> bytes:
        """Submit a job, wait for its end and return its result.

        Args:
            function: Gearman's function.
            payload: passed to the worker as it is.
            unique: jobs of the function with the same unique are one job, whose result all its clients get.
            priority: the sign chooses the lane.
            timeout_s: how long to wait for the result; None for as long as the connection lives.
            on_event: called in the event loop with JobCreated, JobProgress, JobData and JobWarning as they come.

        Raises:
            JobFailed: the worker reported a failure, or the server gave the job up.
            DeadlineExceeded: `timeout_s` passed. The job's server hears of it, as of a cancelled call, once the other
                jobs of the connection have ended: it then drops the job if it still waits and nobody else waits for it.
            ServerError: the server refused the job.
            ServerUnavailable: no server answered, or the connection broke: whether the job ran is not known.
        """
        request = job_request(function, payload, unique=unique, priority=priority)
        return await self._do(request, timeout_s=timeout_s, on_event=on_event)

    async def do_all(
        self, requests: Sequence[JobRequest], *, timeout_s: float | None = None
    ) -> list[bytes | GearjobsError]:
        """Submit many jobs, wait for their ends and return what became of each.

        Args:
            requests: from `job_request`.
            timeout_s: how long to wait for each of them; None for as long as the connections live.

        Returns:
            For each job, in the order given, its result, or what `do` would have raised.
        """

        async def end_of(request: JobRequest) -> bytes | GearjobsError:
            try:
                return await self._do(request, timeout_s=timeout_s)
            except GearjobsError as error:
                return error

        return await asyncio.gather(*map(end_of, requests))

    async def start(
        self, function: str | bytes, payload: bytes, *, unique: str | bytes = b"", priority: int = 0
    ) -> AsyncStartedJob:
        """Submit a job whose events are read as they come, on a connection of its own; raises as `Client.start`.

        A reader that is slow keeps its server and the job's worker waiting instead of filling this process.
        """
        request = job_request(function, payload, unique=unique, priority=priority)

        async def begin(connection: AsyncServerConnection) -> AsyncStartedJob:
            packet = encode_submit(request, has_extensions=connection.has_extensions)
            (pending,) = await connection.start([packet], timeout_s=self._answer_timeout_s, keeps_events=True)
            pending.arguments()
            job = pending.job or ForegroundJob()
            connection.devote_to(job)
            return AsyncStartedJob(job, connection)

        return await self._talk(begin, use=self._pool.use_own, key=self._keys.of_request(request))

    async def get_status(self, handle: str | bytes) -> JobStatus:
        """Ask how far a job is: the first server that knows it answers.

        Raises:
            UsageError: this cannot be a handle.
            ServerUnavailable: no server answered.
        """
        return await self._ask(status_question(handle))

    async def get_status_unique(self, unique: str | bytes) -> JobStatus:
        """Ask how far the job of this unique is, whatever its function; raises as `get_status`."""
        return await self._ask(unique_status_question(unique, key=self._keys.of_unique(unique)))

    async def cancel(self, handle: str | bytes, *, force: bool = False, reason: str = "") -> CancelVerdict:
        """Have a job ended: at once where it has not started, else by its worker; see `Client.cancel`.

        Raises:
            UsageError, ServerError, ServerUnavailable: as there.
        """
        return await self._ask(cancel_question(handle, force=force, reason=reason))

    async def change_job(
        self,
        handle: str | bytes,
        *,
        priority: int | None = None,
        run_at: float | None = None,
        function: str = "",
        queue: str = "",
    ) -> ChangeVerdict:
        """Let a job that does not run wait otherwise; see `Client.change_job`.

        Raises:
            UsageError, ServerError, ServerUnavailable: as there.
        """
        return await self._ask(
            change_question(handle, priority=priority, run_at=run_at, function=function, queue=queue)
        )

    async def echo(self, payload: bytes) -> bytes:
        """Have a server send the payload back: shows that it lives.

        Raises:
            ServerUnavailable: no server answered.
        """
        return await self._ask(echo_question(payload))

    async def aclose(self) -> None:
        """Close the connections; calls under way end with ServerUnavailable, a later one opens new connections."""
        await self._pool.close()

    async def _do(
        self, request: JobRequest, *, timeout_s: float | None = None, on_event: Listener | None = None
    ) -> bytes:
        async def run(connection: AsyncServerConnection) -> bytes:
            packet = encode_submit(request, has_extensions=connection.has_extensions)
            (pending,) = await connection.start(
                [packet], timeout_s=self._answer_timeout_s, keeps_events=on_event is not None
            )
            pending.arguments()
            return await connection.wait(pending.job or ForegroundJob(), listener=on_event)

        try:
            async with asyncio.timeout(timeout_s) as limit:
                return await self._talk(run, use=self._pool.use, key=self._keys.of_request(request))
        except TimeoutError as error:
            if not limit.expired():
                raise
            name = to_text(request.function)
            raise DeadlineExceeded(f"the job of {name} did not end within {timeout_s} s") from error

    async def _submit_portion(
        self, requests: Sequence[JobRequest], connection: AsyncServerConnection
    ) -> list[str | ServerError]:
        has_extensions = connection.has_extensions
        may_repeat = all(is_idempotent(request, has_extensions=has_extensions) for request in requests)
        answers = await connection.ask_all(
            [encode_submit(request, has_extensions=has_extensions) for request in requests],
            answered_by=PacketType.JOB_CREATED,
            timeout_s=self._answer_timeout_s,
            repeat=Repeat.SAME_SERVER if may_repeat else Repeat.NEVER,
        )
        return [answer.error or to_text(answer.answer[0]) for answer in answers]

    async def _ask(self, question: Question[Answer]) -> Answer:
        async def ask(connection: AsyncServerConnection) -> Answer:
            arguments = await connection.ask(
                question.encode(connection.has_extensions),
                answered_by=question.answered_by,
                timeout_s=self._answer_timeout_s,
                repeat=question.repeat(connection.has_extensions),
            )
            return question.read(arguments)

        return await self._talk(ask, use=self._pool.use, is_final=question.is_final, key=question.key)

    async def _talk(
        self,
        exchange: AsyncExchange[Answer],
        *,
        use: _Use[Answer],
        is_final: Callable[[Answer], bool] = lambda _: True,
        key: bytes = b"",
    ) -> Answer:
        """Let the exchange talk to one server after the other until one gives a final answer; return the last one.

        Raises:
            ServerUnavailable: no server answered, or one broke off when the request may not go to another.
        """
        walk = ServerWalk(self._pool.to_try(key), every=self._pool.addresses, is_final=is_final)
        for address in walk:
            try:
                walk.answered(await use(address, exchange))
            except ServerFailed as failure:
                walk.failed(failure)
        return walk.outcome()


class AsyncStartedJob:
    """A foreground job under way; `async for` over it gives what happens, as it happens, until it is over.

    Leaving it as a context manager, or `aclose`, gives it up.

    Args:
        job: what is known of it.
        connection: the job's own.
    """

    def __init__(self, job: ForegroundJob, connection: AsyncServerConnection) -> None:
        self.handle = to_text(job.handle)
        self._job = job
        self._connection = connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def is_over(self) -> bool:
        """Whether its end was heard of."""
        return self._job.is_over

    async def __aiter__(self) -> AsyncIterator[JobEvent]:
        try:
            while events := await self._connection.events(self._job):
                for event in events:
                    yield event
        except ServerFailed as failure:
            raise unavailable([self._connection.address], [failure]) from failure

    async def result(self, timeout_s: float | None = None) -> bytes:
        """Wait for its end and return its result; events that nobody took are dropped.

        Args:
            timeout_s: how long to wait; None for as long as the connection lives.

        Raises:
            JobFailed: the worker reported a failure, or the server gave the job up.
            DeadlineExceeded: `timeout_s` passed, and the job was given up.
            ServerUnavailable: the connection broke, or the job was given up: whether it ran is not known.
        """
        try:
            async with asyncio.timeout(timeout_s) as limit:
                return await self._connection.wait(self._job)
        except ServerFailed as failure:
            raise unavailable([self._connection.address], [failure]) from failure
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DeadlineExceeded(f"job {self.handle} did not end within {timeout_s} s") from error
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give the job up, unless it is over: its server drops it if it still waits and nobody else waits for it."""
        self._connection.abort()
        await self._connection.closed()
