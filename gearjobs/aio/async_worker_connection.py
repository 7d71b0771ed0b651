"""One open connection of an asyncio worker: joins the stream, the decoder and the grab loop of one server.

The twin of `worker_connection`: the rules are `grab_loop`'s. One task reads; whoever has something to say writes at
once and waits for nobody. Reports may come from threads that the running job has: the loop is handed them, in order. A
broken connection is no exception to the function that is running: its reports are not taken, and whoever drives the
connection is told that it broke.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress

from gearjobs.aio.guarded_stream import GuardedStream
from gearjobs.errors import WireError
from gearjobs.protocol.codec import Decoder
from gearjobs.protocol.packets import RESPONSE_MAGIC
from gearjobs.servers import ServerAddress
from gearjobs.worker.grab_loop import ANSWER_TIMEOUT_S, GrabLoop, GrabState
from gearjobs.worker.holding.lease_clock import lease_now
from gearjobs.worker.worker_connection import PROBE_EVERY_S, ServerLost

#: Called when something came, with whether the worker had only introduced itself until then.
OnHeard = Callable[["AsyncWorkerConnection", bool], None]
#: Called once, when nothing more comes.
OnLost = Callable[["AsyncWorkerConnection", ServerLost], None]


class AsyncWorkerConnection:
    """A connection on which a worker introduces itself.

    Args:
        address: the server.
        grab_loop: the state machine of this connection, new.
        stream: just opened.
    """

    def __init__(self, address: ServerAddress, grab_loop: GrabLoop, stream: GuardedStream) -> None:
        self.address = address
        self.grab_loop = grab_loop
        self._stream = stream
        self._decoder = Decoder(expects=RESPONSE_MAGIC)
        self._reader: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._is_probed = False

    def begin(self, on_heard: OnHeard, on_lost: OnLost) -> None:
        """Introduce the worker, and read from now on."""
        self.grab_loop.introduce(lease_now())
        self._reader = asyncio.create_task(self._read_on(on_heard, on_lost), name=f"gearjobs-read-{self.address}")
        self.flush()

    def flush(self) -> None:
        """Send what the grab loop has to say, in one write."""
        if self.grab_loop.has_outgoing:
            self._stream.write(self.grab_loop.take_outgoing())

    def report(self, packets: bytes, *, timeout_s: float = ANSWER_TIMEOUT_S) -> bool:
        """Send what a running job reports; return whether it is on its way. May be called in any thread."""
        if threading.get_ident() == self._thread_id:
            return self._write(packets)
        with suppress(RuntimeError):
            # A loop that is closed has no connections.
            self._loop.call_soon_threadsafe(self._write, packets)
        return self._stream.is_writable

    def report_last(self, packets: bytes) -> None:
        """Send the last words of a run that is ended by force."""
        self.report(packets)

    async def drain(self) -> None:
        """Wait until most of what was written has left."""
        with suppress(OSError):
            await self._stream.drain()

    def silence_s(self) -> float:
        """Seconds since the server's host acknowledged anything; infinity where the connection is no more."""
        return self._stream.silence_s()

    def probe_often(self) -> None:
        """Have the kernel ask for a sign of life every few seconds from now on."""
        if not self._is_probed:
            self._is_probed = True
            self._stream.probe_every(PROBE_EVERY_S)

    def abort(self) -> None:
        """Close at once."""
        self._stop_reading()
        self._stream.abort()

    async def leave(self) -> None:
        """Give back what is held or being handed over, and close so that the server hears it."""
        self._stop_reading()
        if self._reader is not None:
            await asyncio.wait([self._reader])
        self.grab_loop.reset_abilities()
        self.flush()
        await self._stream.close()

    def _write(self, packets: bytes) -> bool:
        if self._stream.is_writable:
            self._stream.write(packets)
            return True
        return False

    def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()

    async def _read_on(self, on_heard: OnHeard, on_lost: OnLost) -> None:
        try:
            while True:
                chunk = await self._stream.receive()
                if not chunk:
                    raise ConnectionResetError("the server closed the connection")
                was_introduced = self.grab_loop.state is GrabState.INTRODUCED
                self._decoder.receive(chunk)
                while (packet := self._decoder.next_packet()) is not None:
                    self.grab_loop.receive(packet, lease_now())
                on_heard(self, was_introduced)
        except (OSError, WireError) as error:
            on_lost(self, ServerLost(error))
