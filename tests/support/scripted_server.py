"""A job server that does what a test tells it to, faults included: each connection is answered by a script.

A script is a function of the connection's Peer, run in a thread of its own; it reads and says packets in the order of a
conversation. What goes wrong in a script fails the test when the server is closed.
"""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from gearjobs.protocol.codec import Decoder, Packet, encode_response
from gearjobs.protocol.packets import REQUEST_MAGIC, PacketType
from gearjobs.servers import ServerAddress

#: Seconds a script waits for its peer.
PATIENCE_S = 10.0


class Peer:
    """The script's end of one connection."""

    def __init__(self, connected: socket.socket) -> None:
        connected.settimeout(PATIENCE_S)
        self.socket = connected
        self._decoder = Decoder(expects=REQUEST_MAGIC, reads_text=True)

    def next(self) -> Packet | None:
        """Return the next packet, None when the peer closed."""
        while (packet := self._decoder.next_packet()) is None:
            chunk = self.socket.recv(65536)
            if not chunk:
                return None
            self._decoder.receive(chunk)
        assert isinstance(packet, Packet), f"expected a packet, got {packet}"
        return packet

    def expect(self, packet_type: PacketType) -> tuple[bytes, ...]:
        """Return the arguments of the next packet, which must be of this type."""
        packet = self.next()
        assert packet is not None, f"expected {packet_type.name}, got the end of the connection"
        assert packet.type == packet_type, f"expected {packet_type.name}, got {packet}"
        return packet.arguments

    def expect_end(self) -> None:
        """Wait until the peer closes."""
        packet = self.next()
        assert packet is None, f"expected the end of the connection, got {packet}"

    def say(self, packet_type: PacketType, *arguments: bytes) -> None:
        """Send a packet."""
        self.socket.sendall(encode_response(packet_type, *arguments))

    def negotiate_client(self, *, has_extensions: bool = False) -> None:
        """Answer what a client says first."""
        self._answer_option(has_extensions=has_extensions)
        self.expect(PacketType.OPTION_REQ)
        self.say(PacketType.OPTION_RES, b"exceptions")

    def negotiate_worker(self, *, has_extensions: bool = False, abilities: int = 1) -> None:
        """Answer what a worker says first."""
        self._answer_option(has_extensions=has_extensions)
        self.expect(PacketType.SET_CLIENT_ID)
        for _ in range(abilities):
            self.expect(PacketType.CAN_DO)

    def _answer_option(self, *, has_extensions: bool) -> None:
        (option,) = self.expect(PacketType.OPTION_REQ)
        if has_extensions:
            self.say(PacketType.OPTION_RES, option)
        else:
            self.say(PacketType.ERROR, b"UNKNOWN_OPTION", b"Server does not recognize given option")


Script = Callable[[Peer], None]


class ScriptedServer:
    """Listens on a free port; the nth connection is answered by the nth script, and one beyond them is a fault.

    Args:
        scripts: what to do with each connection. When a script returns, its connection is closed.
        then: the script of all further connections; None where there must be none.
    """

    def __init__(self, *scripts: Script, then: Script | None = None) -> None:
        self._scripts: Sequence[Script] = scripts
        self._then = then
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = ServerAddress("127.0.0.1", int(self._listener.getsockname()[1]))
        self._faults: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Wakes the acceptor, which a mere close does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in (self._acceptor, *self._threads):
            thread.join(PATIENCE_S)
        self._listener.close()
        if error is None and self._faults:
            raise self._faults[0]

    def _accept(self) -> None:
        for count in itertools.count():
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            script = self._scripts[count] if count < len(self._scripts) else self._then
            if script is None:
                connected.close()
                self._faults.append(AssertionError(f"expected {count} connections, got another one"))
                return
            thread = threading.Thread(target=self._play, args=(script, connected))
            self._threads.append(thread)
            thread.start()

    def _play(self, script: Script, connected: socket.socket) -> None:
        with connected:
            try:
                script(Peer(connected))
            except (AssertionError, OSError) as fault:
                self._faults.append(fault)
