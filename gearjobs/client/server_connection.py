"""One open connection of a blocking client: writes requests, reads until they are answered.

The rules of who answers what are `in_flight`'s, the waiting is `deadline_socket`'s; this file joins them, negotiates
at the start (the extensions, which a stock gearmand refuses, and the option that lets exceptions through), and is the
one place where what goes wrong on a connection becomes a ServerFailed, which says whether to repeat the request.
Used by one thread at a time (`connection_pool` sees to that). After a ServerFailed the connection must be closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gearjobs.client.in_flight import ForegroundJob, InFlight, JobEvent, Pending
from gearjobs.client.server_walk import Repeat, ServerFailed
from gearjobs.errors import WireError
from gearjobs.guarded_socket import NO_SECURITY, Security, open_guarded
from gearjobs.protocol.codec import Decoder, encode_request
from gearjobs.protocol.packets import EXCEPTIONS_OPTION, EXTENSIONS_OPTION, RESPONSE_MAGIC, PacketType
from gearjobs.servers import ServerAddress

#: Hears what happens to a foreground job while it runs; what it raises ends the waiting.
Listener = Callable[[JobEvent], object]


class ServerConnection:
    """A negotiated connection to one job server.

    Args:
        address: the server.
        security: how to show who this is, and whom to believe.
        connect_timeout_s: how long to wait for the connection.
        answer_timeout_s: how long to wait for the server's first answer.

    Raises:
        ServerFailed: it could not be reached or does not speak Gearman.
    """

    def __init__(
        self,
        address: ServerAddress,
        security: Security = NO_SECURITY,
        *,
        connect_timeout_s: float,
        answer_timeout_s: float,
    ) -> None:
        self.address = address
        #: Whether the server knows the packets from 128 upwards.
        self.has_extensions = False
        self._in_flight = InFlight()
        self._decoder = Decoder(expects=RESPONSE_MAGIC)
        try:
            self._socket = open_guarded(address, security, timeout_s=connect_timeout_s)
        except OSError as error:
            raise ServerFailed(address, error, repeat=Repeat.ANYWHERE) from error
        try:
            self._negotiate(deadline=time.monotonic() + answer_timeout_s)
        except BaseException:
            self.close()
            raise

    def ask(
        self, request: bytes, *, answered_by: PacketType, deadline: float, repeat: Repeat = Repeat.ANYWHERE
    ) -> tuple[bytes, ...]:
        """Send a request and return its answer's arguments.

        Raises:
            ServerError: the server refused; the connection is as good as before.
            ServerFailed: no answer came; it carries `repeat`, or ANYWHERE when no byte of the request has left.
        """
        return self._ask(request, Pending(answered_by), deadline=deadline, repeat=repeat)

    def ask_all(
        self, requests: Sequence[bytes], *, answered_by: PacketType, deadline: float, repeat: Repeat
    ) -> list[Pending]:
        """Send many requests in one write and return what became of each, in their order.

        Raises:
            ServerFailed: not every answer came; it carries `repeat`, or ANYWHERE when no byte has left.
        """
        pending = [Pending(answered_by) for _ in requests]
        for one in pending:
            self._in_flight.sent(one)
        self._send(b"".join(requests), deadline=deadline, repeat=repeat)
        while not pending[-1].is_answered:
            self._read(deadline=deadline, repeat=repeat)
        return pending

    def tell(self, request: bytes, *, deadline: float) -> None:
        """Send a request that has no answer and does no harm twice.

        Raises:
            ServerFailed: it could not be sent.
        """
        self._send(request, deadline=deadline, repeat=Repeat.ANYWHERE)

    def start(self, request: bytes, *, deadline: float) -> ForegroundJob:
        """Submit a foreground job and return it as soon as the server accepted it; `wait` for its end.

        Raises:
            The same as `ask`; such a request is never repeated.
        """
        job = ForegroundJob()
        self._ask(request, Pending(PacketType.JOB_CREATED, job), deadline=deadline, repeat=Repeat.NEVER)
        return job

    def start_all(self, requests: Sequence[bytes], *, deadline: float) -> list[Pending]:
        """Submit many foreground jobs in one write and return what became of each, its `job` to be waited for.

        What happens to jobs that are under way already is noted meanwhile.

        Raises:
            ServerFailed: not every answer came; such requests are never repeated, unless no byte has left.
        """
        pending = [Pending(PacketType.JOB_CREATED, ForegroundJob(keeps_events=False)) for _ in requests]
        for one in pending:
            self._in_flight.sent(one)
        before = self._socket.sent_bytes
        try:
            # A server whose results this end does not read would not read its requests either.
            self._socket.send_while_receiving(b"".join(requests), deadline=deadline, receive=self._settle)
        except (OSError, WireError) as error:
            repeat = Repeat.NEVER if self._socket.sent_bytes > before else Repeat.ANYWHERE
            raise ServerFailed(self.address, error, repeat=repeat) from error
        while not pending[-1].is_answered:
            self._read(deadline=deadline, repeat=Repeat.NEVER)
        return pending

    def wait(self, job: ForegroundJob, *, deadline: float, listener: Listener | None) -> bytes:
        """Wait for the job's end, tell the listener what happens till then, and return the result.

        Raises:
            JobFailed: the worker reported a failure, or the server gave the job up.
            ServerFailed: its end was not heard of.
        """
        while True:
            for event in job.take_events():
                if listener is not None:
                    listener(event)
            if job.is_over:
                return job.outcome()
            self._read(deadline=deadline, repeat=Repeat.NEVER)

    def read(self, *, deadline: float) -> None:
        """Wait for something to happen to the jobs that were started.

        Raises:
            ServerFailed: nothing came, or the connection broke.
        """
        self._read(deadline=deadline, repeat=Repeat.NEVER)

    def fileno(self) -> int:
        """The descriptor, for a poll over several connections."""
        return self._socket.fileno()

    def is_reusable(self) -> bool:
        """Whether nothing was heard since the last answer; an end or an unasked packet makes a connection useless."""
        return not self._decoder.has_partial and self._socket.is_quiet()

    def close(self) -> None:
        """Close; the server drops the waiting foreground jobs nobody else waits for."""
        self._socket.close()

    def _negotiate(self, *, deadline: float) -> None:
        wanted = [encode_request(PacketType.OPTION_REQ, name) for name in (EXTENSIONS_OPTION, EXCEPTIONS_OPTION)]
        extensions, _exceptions = self.ask_all(
            wanted, answered_by=PacketType.OPTION_RES, deadline=deadline, repeat=Repeat.ANYWHERE
        )
        # A server that refuses `exceptions` reports failures without their reason: less, but no cause to leave it.
        self.has_extensions = extensions.error is None

    def _ask(self, request: bytes, pending: Pending, *, deadline: float, repeat: Repeat) -> tuple[bytes, ...]:
        self._in_flight.sent(pending)
        self._send(request, deadline=deadline, repeat=repeat)
        while not pending.is_answered:
            self._read(deadline=deadline, repeat=repeat)
        return pending.arguments()

    def _send(self, request: bytes, *, deadline: float, repeat: Repeat) -> None:
        before = self._socket.sent_bytes
        try:
            self._socket.send(request, deadline=deadline)
        except OSError as error:
            has_left = self._socket.sent_bytes > before
            raise ServerFailed(self.address, error, repeat=repeat if has_left else Repeat.ANYWHERE) from error

    def _read(self, *, deadline: float, repeat: Repeat) -> None:
        """Wait for bytes and settle every packet they complete."""
        try:
            chunk = self._socket.receive(deadline=deadline)
            if not chunk:
                raise ConnectionResetError("the server closed the connection")
            self._settle(chunk)
        except (OSError, WireError) as error:
            raise ServerFailed(self.address, error, repeat=repeat) from error

    def _settle(self, chunk: bytes) -> None:
        self._decoder.receive(chunk)
        while (packet := self._decoder.next_packet()) is not None:
            self._in_flight.receive(packet)
