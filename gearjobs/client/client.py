"""The blocking client: submits jobs, waits for results, asks for status.

Thread-safe and fork-aware; connections are opened when first needed, kept, and lent by `connection_pool`. What is asked
stands in `questions`, which of several servers is asked in `server_walk`, `portions` and `balance`; the asynchronous
client of `gearjobs.aio` goes by the same. Jobs that are started now and waited for later are `started_jobs`'.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from gearjobs.client.balance import Balance, KeyChoice
from gearjobs.client.connection_pool import ConnectionPool, Exchange
from gearjobs.client.foreground_batch import ForegroundBatch
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
from gearjobs.client.requests import (
    JobRequest,
    background_request,
    encode_submit,
    handle_word,
    is_idempotent,
    job_request,
    wire_word,
)
from gearjobs.client.server_connection import Listener, ServerConnection
from gearjobs.client.server_walk import Answer, Repeat, ServerFailed, ServerWalk
from gearjobs.client.started_jobs import Line, StartedJob
from gearjobs.core.submission import CancelVerdict, ChangeVerdict
from gearjobs.errors import DeadlineExceeded, GearjobsError, ServerError, ServerUnavailable
from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.wire_text import to_text
from gearjobs.servers import ServerAddress


class Client:
    """A client of one or more job servers.

    Args:
        servers: `host`, `host:port` or ServerAddress, in order of preference.
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
        self._servers = tuple(servers)
        self._keys = KeyChoice(balance)
        self._security = security
        self._connect_timeout_s = connect_timeout_s
        self._answer_timeout_s = answer_timeout_s
        self._pool = self._new_pool()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def has_extensions(self) -> bool:
        """Whether the server at hand is a gearjobs server; connects when no connection is kept.

        Raises:
            ServerUnavailable: no server answered.
        """
        return self._talk(lambda connection: connection.has_extensions)

    def submit_background(  # noqa: PLR0913 - a keyword for each thing a submission may say
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
        """Submit a job nobody waits for and return its handle, once the server keeps it.

        Args:
            function: Gearman's function.
            payload: passed to the worker as it is.
            unique: jobs of the function with the same unique are one job.
            priority: -100 to 100, higher first; a stock server knows three lanes and gets the sign.
            run_at: unix seconds before which it must not start; 0 for at once.
            handle: the handle it is to have, where the server has the extensions; others make their own.
            attributes: what such a server records of the job; `priority` and `run_at` above win over its own.

        Returns:
            The job's handle, which is another job's when the unique was taken.

        Raises:
            UsageError: an argument cannot be.
            UniqueConflict: the unique is taken, and the terms among the attributes object to that.
            ServerError: the server refused the job.
            ServerUnavailable: no server is known to keep it; without a handle of its own, it may yet be kept.
        """
        request = background_request(function, payload, unique=unique, priority=priority, run_at=run_at, handle=handle)
        request.attributes = attributes
        return self._ask(submit_question(request, key=self._keys.of_request(request)))

    def submit_all(self, requests: Sequence[JobRequest]) -> list[str | ServerError]:
        """Submit many background jobs, some hundred in a write, and return what became of each.

        Args:
            requests: from `background_request`.

        Returns:
            The handle, or why the server refused it (UniqueConflict among others), of each job in the order given.

        Raises:
            ServerUnavailable: of some jobs no server is known to keep them. Jobs with handles of their own may be
                submitted again under these; without, some may be kept.
        """
        outcomes: dict[int, str | ServerError] = {}

        def submit(address: ServerAddress, indexes: list[int]) -> None:
            portion = [requests[index] for index in indexes]
            found = self._own_pool().use(
                address, lambda connection: self._submit_portion(portion, connection), deadline=math.inf
            )
            outcomes.update(zip(indexes, found, strict=True))

        self._hand_out(requests, submit)
        return [outcomes[index] for index in range(len(requests))]

    def do(
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
            on_event: called in this thread with JobCreated, JobProgress, JobData and JobWarning as they come.

        Raises:
            JobFailed: the worker reported a failure, or the server gave the job up.
            DeadlineExceeded: `timeout_s` passed; the job is dropped if it still waits and nobody else waits for it.
            ServerError: the server refused the job.
            ServerUnavailable: no server answered, or the connection broke: whether the job ran is not known.
        """
        request = job_request(function, payload, unique=unique, priority=priority)
        deadline = math.inf if timeout_s is None else time.monotonic() + timeout_s

        def run(connection: ServerConnection) -> bytes:
            packet = encode_submit(request, has_extensions=connection.has_extensions)
            try:
                job = connection.start(packet, deadline=min(deadline, self._answer_deadline()))
                return connection.wait(job, deadline=deadline, listener=on_event)
            except ServerFailed as failure:
                if failure.is_silent and time.monotonic() >= deadline:
                    name = to_text(request.function)
                    raise DeadlineExceeded(f"the job of {name} did not end within {timeout_s} s") from failure
                raise

        return self._talk(run, deadline=deadline, key=self._keys.of_request(request))

    def start(
        self, function: str | bytes, payload: bytes, *, unique: str | bytes = b"", priority: int = 0
    ) -> StartedJob:
        """Submit a job whose result is fetched later, on a connection of its own.

        Args:
            function: Gearman's function.
            payload: passed to the worker as it is.
            unique: jobs of the function with the same unique are one job, whose result all its clients get.
            priority: the sign chooses the lane.

        Returns:
            The job: iterate over it for its events, ask its `result`, `close` it to give it up.

        Raises:
            ServerError: the server refused the job.
            ServerUnavailable: no server answered, or the connection broke: whether the job runs is not known.
        """
        request = job_request(function, payload, unique=unique, priority=priority)
        pool = self._own_pool()

        def begin(connection: ServerConnection) -> StartedJob:
            packet = encode_submit(request, has_extensions=connection.has_extensions)
            job = connection.start(packet, deadline=self._answer_deadline())
            return StartedJob(job, Line(connection, pool, [job]))

        return self._talk(begin, key=self._keys.of_request(request), is_lent=True)

    def do_all(self, requests: Sequence[JobRequest], *, timeout_s: float | None = None) -> list[bytes | GearjobsError]:
        """Submit many jobs over one connection to each server, wait for their ends and return what became of each.

        Args:
            requests: from `job_request`.
            timeout_s: how long to wait for all of them; None for as long as the connections live.

        Returns:
            For each job, in the order given, its result, or what `do` would have raised: JobFailed, ServerError,
            ServerUnavailable where its server was lost, DeadlineExceeded.

        Raises:
            ServerUnavailable: some jobs could not be submitted; those that were are given up.
            DeadlineExceeded: some jobs were not accepted in time; those that were are given up.
        """
        pool = self._own_pool()
        batch = ForegroundBatch(requests, pool, answer_timeout_s=self._answer_timeout_s, timeout_s=timeout_s)
        try:
            self._hand_out(requests, batch.send)
            return batch.outcomes()
        finally:
            batch.close()

    def get_status(self, handle: str | bytes) -> JobStatus:
        """Ask how far a job is: the first server that knows it answers.

        Raises:
            UsageError: this cannot be a handle.
            ServerUnavailable: no server answered.
        """
        return self._ask(status_question(handle))

    def get_status_unique(self, unique: str | bytes) -> JobStatus:
        """Ask how far the job of this unique is, whatever its function: the first server that knows one answers.

        Raises:
            UsageError: this cannot be a unique.
            ServerUnavailable: no server answered.
        """
        return self._ask(unique_status_question(unique, key=self._keys.of_unique(unique)))

    def cancel(self, handle: str | bytes, *, force: bool = False, reason: str = "") -> CancelVerdict:
        """Have a job ended: at once where it has not started, else by its worker, which is told to stop it.

        Asking again does no harm. What the worker does and how long it has for it is its own and its task's matter.

        Args:
            handle: the job.
            force: whether a run is given up at once; what its worker still reports of it is passed over.
            reason: a sentence for the job's record; may be empty.

        Returns:
            Whether it is cancelled, whether its worker was asked, or that no server knows a live job of the handle: the
            answer of the first server that knows it. What is answered is kept, whatever becomes of the server.

        Raises:
            UsageError: this cannot be a handle.
            ServerError: this client may not cancel it; or the server's store failed, so that the job may run; or the
                server, no gearjobs server, does not know how.
            ServerUnavailable: no server answered.
        """
        return self._ask(cancel_question(handle, force=force, reason=reason))

    def change_job(
        self,
        handle: str | bytes,
        *,
        priority: int | None = None,
        run_at: float | None = None,
        function: str = "",
        queue: str = "",
    ) -> ChangeVerdict:
        """Let a job that waits, for a worker or for its time, wait otherwise; what is not named stays.

        Args:
            handle: the job.
            priority: -100 to 100.
            run_at: unix seconds before which it must not start; 0 for at once.
            function: another function, in the form of the job table; only for a job without a unique.
            queue: the django.tasks queue that goes with the function, for the job's row.

        Returns:
            Whether it waits so, or why not. What is answered is kept, whatever becomes of the server.

        Raises:
            UsageError: this cannot be a handle.
            ServerError: this client may not do it; or the server, no gearjobs server, does not know how.
            ServerUnavailable: no server answered.
        """
        return self._ask(change_question(handle, priority=priority, run_at=run_at, function=function, queue=queue))

    def echo(self, payload: bytes) -> bytes:
        """Have a server send the payload back: shows that it lives.

        Raises:
            ServerUnavailable: no server answered.
        """
        return self._ask(echo_question(payload))

    def adopt_jobs(self) -> bool:
        """Tell a server that rows were put into its store, so that it need not find them by itself.

        Returns:
            Whether a server that knows the packet was told. Nothing is raised: the server also looks by itself.
        """
        packet = encode_request(PacketType.ADOPT_JOBS)

        def nudge(connection: ServerConnection) -> bool:
            if connection.has_extensions:
                connection.tell(packet, deadline=self._answer_deadline())
            return connection.has_extensions

        try:
            return self._talk(nudge)
        except ServerUnavailable:
            return False

    def queues_changed(self) -> None:
        """Tell every server that its store says something else of functions, so that it need not find it by itself.

        Nothing is raised: the servers also look by themselves.
        """
        packet = encode_request(PacketType.QUEUES_CHANGED)

        def nudge(connection: ServerConnection) -> None:
            if connection.has_extensions:
                connection.tell(packet, deadline=self._answer_deadline())

        with suppress(ServerUnavailable):
            self._talk(nudge, is_final=lambda _: False)

    def control_workers(self, worker_id: str, verb: str) -> int:
        """Have every server tell the workers of that client id something; it is done when they come to it.

        Args:
            worker_id: the client id, or the beginning of several and `*`.
            verb: `quiet`, take no more jobs; `resume`, take them again; `stop`, end after the running ones.

        Returns:
            How many workers were told by the server that knows most of them: a worker is connected to several.

        Raises:
            ServerError: a server refused: there is no such verb, or this client may not.
            ServerUnavailable: no server answered.
        """
        packet = encode_request(PacketType.CONTROL_WORKERS, wire_word(worker_id, "a worker's name"), verb.encode())

        most = 0

        def tell(connection: ServerConnection) -> int:
            nonlocal most
            if connection.has_extensions:
                (told,) = connection.ask(packet, answered_by=PacketType.CONTROL_RES, deadline=self._answer_deadline())
                most = max(most, int(told))
            return most

        return self._talk(tell, is_final=lambda _: False)

    def report_loss(self, handle: str | bytes, attempt: int, cause: str) -> bool:
        """Tell the job's server what became of the process that ran this attempt of it.

        Args:
            handle: the job.
            attempt: which run of it.
            cause: a sentence for the job's record.

        Returns:
            Whether a server that knows the packet was told. Nothing is raised: the job's fate does not depend on it.
        """
        packet = encode_request(PacketType.LOSS_REPORT, handle_word(handle), b"%d" % attempt, cause.encode())

        def tell(connection: ServerConnection) -> bool:
            if connection.has_extensions:
                connection.tell(packet, deadline=self._answer_deadline())
            return connection.has_extensions

        try:
            return self._talk(tell)
        except ServerUnavailable:
            return False

    def close(self) -> None:
        """Close the kept connections; a later call opens new ones."""
        self._own_pool().close()

    def _submit_portion(self, requests: Sequence[JobRequest], connection: ServerConnection) -> list[str | ServerError]:
        has_extensions = connection.has_extensions
        may_repeat = all(is_idempotent(request, has_extensions=has_extensions) for request in requests)
        answers = connection.ask_all(
            [encode_submit(request, has_extensions=has_extensions) for request in requests],
            answered_by=PacketType.JOB_CREATED,
            deadline=self._answer_deadline(),
            repeat=Repeat.SAME_SERVER if may_repeat else Repeat.NEVER,
        )
        return [answer.error or to_text(answer.answer[0]) for answer in answers]

    def _hand_out(self, requests: Sequence[JobRequest], send: Callable[[ServerAddress, list[int]], None]) -> None:
        """Have all requests sent, a portion after the other.

        Raises:
            ServerUnavailable: of some no server is known to have them.
        """
        pool = self._own_pool()
        portions = Portions(requests, self._keys.of_request, to_try=pool.to_try, every=pool.addresses)
        for address, indexes in portions:
            try:
                send(address, indexes)
            except ServerFailed as failure:
                portions.failed(address, indexes, failure)

    def _answer_deadline(self) -> float:
        return time.monotonic() + self._answer_timeout_s

    def _ask(self, question: Question[Answer]) -> Answer:
        def ask(connection: ServerConnection) -> Answer:
            arguments = connection.ask(
                question.encode(connection.has_extensions),
                answered_by=question.answered_by,
                deadline=self._answer_deadline(),
                repeat=question.repeat(connection.has_extensions),
            )
            return question.read(arguments)

        return self._talk(ask, is_final=question.is_final, key=question.key)

    def _talk(
        self,
        exchange: Exchange[Answer],
        *,
        is_final: Callable[[Answer], bool] = lambda _: True,
        deadline: float = math.inf,
        key: bytes = b"",
        is_lent: bool = False,
    ) -> Answer:
        """Let the exchange talk to one server after the other until one gives a final answer; return the last one.

        Raises:
            ServerUnavailable: no server answered, or one broke off when the request may not go to another.
        """
        pool = self._own_pool()
        walk = ServerWalk(pool.to_try(key), every=pool.addresses, is_final=is_final)
        for address in walk:
            try:
                walk.answered(pool.use(address, exchange, deadline=deadline, is_lent=is_lent))
            except ServerFailed as failure:
                walk.failed(failure)
        return walk.outcome()

    def _own_pool(self) -> ConnectionPool:
        """Return the pool of this process: a forked one must not use its parent's connections."""
        pool = self._pool
        if pool.pid != os.getpid():
            pool.abandon()
            pool = self._pool = self._new_pool()
        return pool

    def _new_pool(self) -> ConnectionPool:
        return ConnectionPool(
            self._servers,
            self._security,
            connect_timeout_s=self._connect_timeout_s,
            answer_timeout_s=self._answer_timeout_s,
        )
