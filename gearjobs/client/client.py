"""The blocking client: submits jobs, waits for results, asks for status.

Thread-safe and fork-aware; connections are opened when first needed, kept, and lent by `connection_pool`. The one rule
that needs care is asking again, for nothing may run twice because of us. A question, and a request of which no byte has
left, goes to the next server of the list. Once bytes of a submission have left, the server may have acted on them:
under a handle of our making it is sent once more, to the same server only, since another one would not know the handle;
without one it is the caller's to decide, who gets ServerUnavailable.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import TracebackType
from typing import Final, Self

from gearjobs.client.connection_pool import Answer, ConnectionPool, Exchange
from gearjobs.client.job_status import JobStatus, read_status
from gearjobs.client.requests import (
    JobRequest,
    encode_submit,
    handle_word,
    is_idempotent,
    job_request,
    put_in_background,
    unique_word,
    wire_word,
)
from gearjobs.client.server_connection import Listener, Repeat, ServerConnection, ServerFailed
from gearjobs.core.submission import CancelVerdict
from gearjobs.errors import DeadlineExceeded, ServerError, ServerUnavailable
from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.protocol.attributes import SubmitAttributes
from gearjobs.protocol.codec import encode_request
from gearjobs.protocol.packets import ErrorCode, PacketType
from gearjobs.protocol.wire_text import to_text
from gearjobs.servers import ServerAddress

#: Submissions, and bytes of their payloads, that are written before their answers are read: enough to make the round
#: trip cheap, and to let the server commit them together; few enough for it never to wait for this reader.
_PORTION: Final = 500
_PORTION_BYTES: Final = 4_194_304


class Client:
    """A client of one or more job servers.

    Args:
        servers: `host`, `host:port` or ServerAddress, in order of preference.
        connect_timeout_s: how long to wait for a connection, per server.
        answer_timeout_s: how long a server may take to answer a request; a job's own time is not meant.
        security: TLS and the secret to prove, from `gearjobs.guarded_socket.make_security`.

    Raises:
        UsageError: the list of servers cannot be used.
    """

    def __init__(
        self,
        servers: Sequence[str | ServerAddress] = ("127.0.0.1:4730",),
        *,
        connect_timeout_s: float = 2.0,
        answer_timeout_s: float = 5.0,
        security: Security = NO_SECURITY,
    ) -> None:
        self._servers = tuple(servers)
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
        return self._ask(lambda connection: connection.has_extensions)

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
        request = job_request(function, payload, unique=unique, priority=priority)
        put_in_background(request, run_at=run_at, handle=handle, attributes=attributes)

        def submit(connection: ServerConnection) -> str:
            has_extensions = connection.has_extensions
            (created,) = connection.ask(
                encode_submit(request, has_extensions=has_extensions),
                answered_by=PacketType.JOB_CREATED,
                deadline=self._answer_deadline(),
                repeat=Repeat.SAME_SERVER if is_idempotent(request, has_extensions=has_extensions) else Repeat.NEVER,
            )
            return to_text(created)

        return self._ask(submit)

    def submit_all(self, requests: Sequence[JobRequest]) -> list[str | ServerError]:
        """Submit many background jobs, some hundred in a write, and return what became of each.

        Args:
            requests: from `job_request` and `put_in_background`.

        Returns:
            The handle, or why the server refused it (UniqueConflict among others), of each job in the order given.

        Raises:
            ServerUnavailable: of some jobs no server is known to keep them. Jobs with handles of their own may be
                submitted again under these; without, some may be kept.
        """
        outcomes: list[str | ServerError] = []
        for some in _in_portions(requests):
            outcomes += self._ask(partial(self._submit_portion, some))
        return outcomes

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

        return self._ask(run, deadline=deadline)

    def get_status(self, handle: str | bytes) -> JobStatus:
        """Ask how far a job is: the first server that knows it answers.

        Raises:
            UsageError: this cannot be a handle.
            ServerUnavailable: no server answered.
        """
        packet = encode_request(PacketType.GET_STATUS, handle_word(handle))
        return self._ask_status(packet, answered_by=PacketType.STATUS_RES)

    def get_status_unique(self, unique: str | bytes) -> JobStatus:
        """Ask how far the job of this unique is, whatever its function: the first server that knows one answers.

        Raises:
            UsageError: this cannot be a unique.
            ServerUnavailable: no server answered.
        """
        packet = encode_request(PacketType.GET_STATUS_UNIQUE, unique_word(unique))
        return self._ask_status(packet, answered_by=PacketType.STATUS_RES_UNIQUE)

    def cancel(self, handle: str | bytes, *, force: bool = False) -> CancelVerdict:
        """Have a job ended: at once where it has not started, else by its worker, which is told to stop it.

        Asking again does no harm. What the worker does and how long it has for it is its own and its task's matter.

        Args:
            handle: the job.
            force: whether a run is given up at once; what its worker still reports of it is passed over.

        Returns:
            Whether it is cancelled, whether its worker was asked, or that no server knows a live job of the handle: the
            answer of the first server that knows it. What is answered is kept, whatever becomes of the server.

        Raises:
            UsageError: this cannot be a handle.
            ServerError: this client may not cancel it; or the server's store failed, so that the job may run; or the
                server, no gearjobs server, does not know how.
            ServerUnavailable: no server answered.
        """
        packet = encode_request(PacketType.CANCEL_JOB, handle_word(handle), b"%d" % force)

        def cancel(connection: ServerConnection) -> CancelVerdict:
            if not connection.has_extensions:
                text = "this job server has no CANCEL_JOB; the admin line `cancel job` takes back what waits in it"
                raise ServerError(ErrorCode.INVALID_COMMAND, text)
            return CancelVerdict(self._question(connection, packet, PacketType.CANCEL_RES)[1].decode())

        return self._ask(cancel, is_final=lambda verdict: verdict is not CancelVerdict.UNKNOWN)

    def echo(self, payload: bytes) -> bytes:
        """Have a server send the payload back: shows that it lives.

        Raises:
            ServerUnavailable: no server answered.
        """
        packet = encode_request(PacketType.ECHO_REQ, payload)
        return self._ask(lambda connection: self._question(connection, packet, PacketType.ECHO_RES)[0])

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
            return self._ask(nudge)
        except ServerUnavailable:
            return False

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
                most = max(most, int(self._question(connection, packet, PacketType.CONTROL_RES)[0]))
            return most

        return self._ask(tell, is_final=lambda _: False)

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
            return self._ask(tell)
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

    def _ask_status(self, packet: bytes, *, answered_by: PacketType) -> JobStatus:
        def ask(connection: ServerConnection) -> JobStatus:
            return read_status(self._question(connection, packet, answered_by))

        return self._ask(ask, is_final=lambda status: status.known)

    def _question(self, connection: ServerConnection, packet: bytes, answered_by: PacketType) -> tuple[bytes, ...]:
        return connection.ask(packet, answered_by=answered_by, deadline=self._answer_deadline())

    def _answer_deadline(self) -> float:
        return time.monotonic() + self._answer_timeout_s

    def _ask(
        self,
        exchange: Exchange[Answer],
        *,
        is_final: Callable[[Answer], bool] = lambda _: True,
        deadline: float = math.inf,
    ) -> Answer:
        """Let the exchange talk to one server after the other until one gives a final answer; return the last one.

        Raises:
            ServerUnavailable: no server answered, or one broke off when the request may not go to another.
        """
        pool = self._own_pool()
        failures: list[ServerFailed] = []
        answers: list[Answer] = []
        for address in pool.to_try():
            try:
                answers.append(pool.use(address, exchange, deadline=deadline))
            except ServerFailed as failure:
                failures.append(failure)
                if failure.repeat is not Repeat.ANYWHERE:
                    break
            else:
                if is_final(answers[-1]):
                    break
        if answers:
            return answers[-1]
        raise _unavailable(pool.addresses, failures) from (failures[-1] if failures else None)

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


def _in_portions(requests: Sequence[JobRequest]) -> Iterator[list[JobRequest]]:
    portion: list[JobRequest] = []
    portion_bytes = 0
    for request in requests:
        portion.append(request)
        portion_bytes += len(request.payload)
        if len(portion) == _PORTION or portion_bytes > _PORTION_BYTES:
            yield portion
            portion, portion_bytes = [], 0
    if portion:
        yield portion


def _unavailable(addresses: Sequence[ServerAddress], failures: list[ServerFailed]) -> ServerUnavailable:
    if not failures:
        names = ", ".join(str(address) for address in addresses)
        return ServerUnavailable(f"no job server is asked just now, since none answered in time before: {names}")
    reasons = ", ".join(str(failure) for failure in failures)
    if failures[-1].repeat is Repeat.ANYWHERE:
        return ServerUnavailable(f"no job server could be reached: {reasons}")
    return ServerUnavailable(f"the job server gave no answer, so the job may or may not have been taken: {reasons}")
