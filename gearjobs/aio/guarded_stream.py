"""One connection of an asyncio program to a job server: the twin of `deadline_socket` and `guarded_socket`.

TLS and the proof of a secret are done before the first request, by the same rules and code. The socket is made here and
kept, beside asyncio's streams over it, since the kernel is asked things about it that a stream does not know. What
fails rises as the operating system's own exception; translating it is the caller's part. Cancelling a call closes
nothing by itself.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final

from gearjobs import deadline_socket
from gearjobs.deadline_socket import RECEIVE_BYTES
from gearjobs.errors import WireError
from gearjobs.guarded_socket import Security, not_taken, prove_steps
from gearjobs.protocol.auth import Secret
from gearjobs.protocol.codec import Decoder, Packet, TextLine
from gearjobs.protocol.packets import RESPONSE_MAGIC
from gearjobs.servers import ServerAddress

#: Bytes that were read and not taken, beyond which no more is read (twice this): a reader that is slow keeps its server
#: waiting instead of filling this process.
READ_AHEAD_BYTES: Final = 256 * 1024
#: Seconds to wait for the server's end of a connection that is being closed.
CLOSE_TIMEOUT_S: Final = 0.5

_Opening = asyncio.Task[tuple[asyncio.StreamReader, asyncio.StreamWriter]]


class GuardedStream:
    """An open connection.

    Args:
        reader: of the connection.
        writer: of the connection.
        connected: the socket below both.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connected: socket.socket) -> None:
        self._reader = reader
        self._writer = writer
        self._socket = connected

    @classmethod
    async def open(cls, address: ServerAddress, security: Security, *, timeout_s: float) -> GuardedStream:
        """Open a connection, shake hands, and prove the secret.

        Raises:
            OSError: as `guarded_socket.open_guarded`.
        """
        async with asyncio.timeout(timeout_s):
            connected = await _connect(address, timeout_s=timeout_s)
            stream = await cls._over(connected, address, security)
            try:
                if security.secret is not None:
                    await _prove(stream, security.secret)
            except BaseException:
                stream.abort()
                raise
        return stream

    @property
    def is_writable(self) -> bool:
        """Whether what is written now still goes anywhere."""
        return not self._writer.is_closing()

    @property
    def is_spent(self) -> bool:
        """Whether the peer closed its side, or the connection broke, and nothing is left to read."""
        return self._reader.at_eof() or self._writer.is_closing()

    def is_left(self) -> bool:
        """Whether the peer has closed its side, though the loop may not have noticed; False where bytes came before."""
        try:
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def peer_certificate(self) -> bytes:
        """The server's certificate in DER; empty without TLS."""
        tls = self._writer.get_extra_info("ssl_object")
        return b"" if tls is None else tls.getpeercert(binary_form=True) or b""

    def write(self, packets: bytes) -> None:
        """Hand bytes over to be sent; what cannot leave is kept, so that whoever writes much should `drain`."""
        self._writer.write(packets)

    async def drain(self) -> None:
        """Wait until most of what was written has left.

        Raises:
            OSError: the connection broke.
        """
        await self._writer.drain()

    async def receive(self) -> bytes:
        """Wait for bytes and return those that are there; empty when the peer closed its side.

        Raises:
            OSError: the connection broke.
        """
        return await self._reader.read(RECEIVE_BYTES)

    def silence_s(self) -> float:
        """Seconds since the server's host surely had something of this side's; see `deadline_socket.silence_s`."""
        return deadline_socket.silence_s(self._socket)

    def probe_every(self, seconds: int) -> None:
        """Have the kernel ask a peer that is silent for a sign of life so often."""
        deadline_socket.probe_every(self._socket, seconds)

    def abort(self) -> None:
        """Close at once; what was not sent is lost."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Send what was written, and close so that the server hears it; waits a moment, not longer."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._writer.drain()
                if self._writer.can_write_eof():
                    # A plain close with unread bytes would reset the connection, and overtake what was just sent.
                    self._writer.write_eof()
                    while await self.receive():
                        pass
                self._writer.close()
                await self._writer.wait_closed()
        self.abort()

    @classmethod
    async def _over(cls, connected: socket.socket, address: ServerAddress, security: Security) -> GuardedStream:
        # On a Unix socket, whose ends the kernel knows, there is no TLS.
        is_plain = security.tls is None or bool(address.path)
        opening = asyncio.create_task(
            asyncio.open_connection(
                sock=connected,
                limit=READ_AHEAD_BYTES,
                ssl=None if is_plain or security.tls is None else security.tls.context(),
                server_hostname=None if is_plain else address.host,
            ),
            name=f"gearjobs-open-{address}",
        )
        try:
            await asyncio.wait([opening])
        except BaseException:
            await _break_off(connected, opening)
            raise
        try:
            reader, writer = opening.result()
        except BaseException:
            connected.close()
            raise
        return cls(reader, writer, connected)


async def _break_off(connected: socket.socket, opening: _Opening) -> None:
    """End a connection that is still being opened.

    It has to fail by itself: of a handshake that is cancelled at its first step asyncio leaves a transport behind,
    which goes on with whatever gets the descriptor next.
    """
    opening.add_done_callback(_abandon)
    with suppress(OSError):
        connected.shutdown(socket.SHUT_RDWR)
    await asyncio.wait([opening], timeout=CLOSE_TIMEOUT_S)


def _abandon(opening: _Opening) -> None:
    if not opening.cancelled() and opening.exception() is None:
        _, writer = opening.result()
        writer.transport.abort()


async def _prove(stream: GuardedStream, secret: Secret) -> None:
    decoder = Decoder(expects=RESPONSE_MAGIC)
    steps = prove_steps(secret, stream.peer_certificate())
    request = next(steps)
    try:
        while True:
            stream.write(request)
            request = steps.send(await _answer(stream, decoder))
    except StopIteration:
        return
    except WireError as error:
        raise not_taken(secret, error) from error


async def _answer(stream: GuardedStream, decoder: Decoder) -> Packet | TextLine:
    while (packet := decoder.next_packet()) is None:
        chunk = await stream.receive()
        if not chunk:
            raise ConnectionResetError("the server closed the connection")
        decoder.receive(chunk)
    return packet


async def _connect(address: ServerAddress, *, timeout_s: float) -> socket.socket:
    """Connect to the first of the address's places that accepts; each has its part of the time."""
    loop = asyncio.get_running_loop()
    if address.path:
        return await _connect_to(socket.AF_UNIX, address.path)
    deadline = loop.time() + timeout_s
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise deadline_socket.unaskable(address.host, error) from error
    failure = OSError(f"the name {address.host} stands for no address")
    for index, (family, _, _, _, place) in enumerate(found):
        try:
            async with asyncio.timeout((deadline - loop.time()) / (len(found) - index)):
                connected = await _connect_to(family, place)
        except OSError as error:
            failure = error
        else:
            deadline_socket.set_keepalive(connected)
            return connected
    raise failure


async def _connect_to(family: int, place: object) -> socket.socket:
    loop = asyncio.get_running_loop()
    connected = socket.socket(family, socket.SOCK_STREAM)
    try:
        connected.setblocking(False)
        await loop.sock_connect(connected, place)  # type: ignore[arg-type]  # as getaddrinfo gave it
    except BaseException:
        connected.close()
        raise
    return connected
