"""What clients and workers share: the list of connections, polling them, and the data encoder.

`poll_connections_until_stopped` is python-gearman's loop: it polls until a callback says to stop, the time is over, or
no connection is left. A connection on which anything goes wrong is closed; its handler hears `on_io_error` and decides
what that means for requests or jobs. Not for several threads at once.
"""

from __future__ import annotations

import logging
import math
import select
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final

from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.connection import KEEPALIVE_OPTIONS, GearmanConnection
from gearjobs.compat.gearman.errors import (
    ConnectionError,
    GearmanError,
    InvalidClientState,
    InvalidWorkerState,
    ServerUnavailable,
    UnknownCommandError,
)
from gearjobs.compat.gearman.job import GearmanJob, GearmanJobRequest
from gearjobs.compat.gearman.util import Stopwatch, disambiguate_server_parameter

gearman_logger = logging.getLogger("gearman.connection_manager")

#: `host`, `host:port`, `(host, port)`, or a dictionary with `host`, and TLS or keep-alive keys.
Host = str | tuple[str, int] | Mapping[str, Any]
Connections = set[GearmanConnection]

#: Longest single wait in seconds: what another thread or a signal handler changed is seen after it.
LONGEST_WAIT_S: Final = 1.0

_TLS_KEYS: Final = ("keyfile", "certfile", "ca_certs")
#: What makes a connection useless, whoever's fault it is.
_CONNECTION_FAULTS: Final = (ConnectionError, InvalidClientState, InvalidWorkerState, UnknownCommandError)


class DataEncoder:
    """Makes bytes of payloads and back; subclass it and name the subclass in `data_encoder`."""

    @classmethod
    def encode(cls, encodable_object: Any) -> bytes | str:
        """Return the payload's bytes; a str is sent as UTF-8."""
        raise NotImplementedError

    @classmethod
    def decode(cls, decodable_string: bytes) -> Any:
        """Return what the bytes stand for."""
        raise NotImplementedError


class NoopEncoder(DataEncoder):
    """Payloads are bytes already."""

    @classmethod
    def encode(cls, encodable_object: Any) -> bytes:
        if isinstance(encodable_object, str):
            return encodable_object.encode()
        if not isinstance(encodable_object, bytes):
            raise TypeError(f"expected bytes, got {type(encodable_object)!r}; set a data_encoder for anything else")
        return encodable_object

    @classmethod
    def decode(cls, decodable_string: bytes) -> bytes:
        return decodable_string


class GearmanConnectionManager:
    """Owns connections to any number of job servers.

    Args:
        host_list: the servers; an empty list may be filled by `add_connection`.

    Raises:
        GearmanError: one of them cannot be read.
    """

    command_handler_class: ClassVar[Callable[..., GearmanCommandHandler]] = GearmanCommandHandler
    connection_class: ClassVar[Callable[..., GearmanConnection]] = GearmanConnection
    job_class: ClassVar[Callable[..., GearmanJob]] = GearmanJob
    job_request_class: ClassVar[Callable[..., GearmanJobRequest]] = GearmanJobRequest
    data_encoder: ClassVar[type[DataEncoder]] = NoopEncoder

    def __init__(self, host_list: Sequence[Host] | None = None) -> None:
        if isinstance(host_list, str):
            raise GearmanError(f"the servers must be a list, such as [{host_list!r}], got {host_list!r}")
        self.connection_list: list[GearmanConnection] = []
        self.handler_to_connection_map: dict[GearmanCommandHandler, GearmanConnection] = {}
        self.connection_to_handler_map: dict[GearmanConnection, GearmanCommandHandler] = {}
        self.handler_initial_state: dict[str, Any] = {}
        for host in host_list or ():
            self._add_host(host)

    def shutdown(self) -> None:
        """Close every connection."""
        for connection in self.connection_list:
            self._forget(connection)
            connection.close()

    def add_connection(self, hostport_tuple: str | tuple[str, int]) -> GearmanConnection:
        """Add a server; it is connected to when it is needed."""
        host, port = disambiguate_server_parameter(hostport_tuple)
        return self._add(self.connection_class(host=host, port=port))

    def add_ssl_connection(
        self, host: str, port: int, keyfile: str | None, certfile: str | None, ca_certs: str | None
    ) -> GearmanConnection:
        """Add a server that speaks TLS."""
        return self._add(
            self.connection_class(host=host, port=port, keyfile=keyfile, certfile=certfile, ca_certs=ca_certs)
        )

    def establish_connection(self, current_connection: GearmanConnection) -> GearmanConnection:
        """Connect unless connected; a new connection gets a new handler.

        Raises:
            ConnectionError: the server cannot be reached.
        """
        if current_connection.connected:
            return current_connection
        self._forget(current_connection)
        current_connection.connect()
        handler = self.command_handler_class(connection_manager=self)
        self.handler_to_connection_map[handler] = current_connection
        self.connection_to_handler_map[current_connection] = handler
        handler.initial_state(**self.handler_initial_state)
        return current_connection

    def poll_connections_once(
        self, submitted_connections: Iterable[GearmanConnection], timeout: float | None = None
    ) -> tuple[Connections, Connections, Connections]:
        """Wait for one of them to have something to do; return those to read, to write, and in trouble."""
        by_descriptor = {
            connection.fileno(): connection for connection in submitted_connections if connection.connected
        }
        # poll(2), not select(2): there are more descriptors than 1024 in some programs.
        poller = select.poll()
        for descriptor, connection in by_descriptor.items():
            poller.register(descriptor, select.POLLIN | (select.POLLOUT if connection.writable() else 0))
        events = poller.poll(None if timeout is None else math.ceil(timeout * 1000))
        readable = {by_descriptor[descriptor] for descriptor, event in events if event & ~select.POLLOUT}
        writable = {by_descriptor[descriptor] for descriptor, event in events if event & select.POLLOUT}
        return readable, writable, set()

    def handle_connection_activity(
        self, rd_connections: Connections, wr_connections: Connections, ex_connections: Connections
    ) -> tuple[Connections, Connections, Connections]:
        """Read, write and close; return what was read, written and closed."""
        dead = set(ex_connections)
        for connections, handle in ((rd_connections, self.handle_read), (wr_connections, self.handle_write)):
            for connection in connections - dead:
                try:
                    handle(connection)
                except _CONNECTION_FAULTS as fault:
                    gearman_logger.warning("Lost server=%s error=%s", connection, fault)
                    dead.add(connection)
        for connection in dead:
            self.handle_error(connection)
        return rd_connections, wr_connections, dead

    def poll_connections_until_stopped(
        self,
        submitted_connections: Iterable[GearmanConnection],
        callback_fxn: Callable[[bool], bool],
        timeout: float | None = None,
    ) -> bool:
        """Poll until the callback returns False, or the time is over; return what the callback said last.

        Raises:
            ServerUnavailable: no connection is left.
        """
        connections = list(submitted_connections)
        stopwatch = Stopwatch(timeout)
        any_activity = has_lost = False
        while callback_fxn(any_activity):
            self._require_connection(connections)
            remaining_s = stopwatch.get_time_remaining()
            if remaining_s == 0.0:
                return True
            wait_s = LONGEST_WAIT_S if remaining_s is None else min(remaining_s, LONGEST_WAIT_S)
            activity = self.handle_connection_activity(*self.poll_connections_once(connections, timeout=wait_s))
            any_activity = any(activity)
            has_lost = has_lost or bool(activity[2])
        if has_lost:
            self._require_connection(connections)
        return False

    def handle_read(self, current_connection: GearmanConnection) -> None:
        """Take what came and act on it."""
        # Gone when another connection's packets had it closed in the same turn.
        if (handler := self.connection_to_handler_map.get(current_connection)) is not None:
            current_connection.read_data_from_socket()
            handler.fetch_commands()

    def handle_write(self, current_connection: GearmanConnection) -> None:
        if current_connection.connected:
            current_connection.send_data_to_socket()

    def handle_error(self, current_connection: GearmanConnection) -> None:
        """Close a connection that cannot be used any more, and tell its handler."""
        handler = self._forget(current_connection)
        was_of_use = current_connection.was_of_use
        current_connection.close()
        if handler is not None and not was_of_use:
            # Else a server, or a proxy without servers, that closes each connection would be tried without a pause.
            current_connection.failed(is_silent=False)
        if handler is not None:
            handler.on_io_error()

    def read_command(self, command_handler: GearmanCommandHandler) -> tuple[int, dict[str, Any]] | None:
        """Return the handler's next packet; None when there is none, or its connection is gone."""
        connection = self.handler_to_connection_map.get(command_handler)
        return None if connection is None else connection.read_command()

    def send_command(self, command_handler: GearmanCommandHandler, cmd_type: int, cmd_args: dict[str, Any]) -> None:
        """Queue a packet for the handler; nothing when its connection is gone."""
        connection = self.handler_to_connection_map.get(command_handler)
        if connection is not None:
            connection.send_command(cmd_type, cmd_args)

    def encode_data(self, data: Any) -> bytes:
        """Return the bytes of a payload; an encoder's str, such as json.dumps gives, is sent as UTF-8."""
        encoded = self.data_encoder.encode(data)
        return encoded.encode() if isinstance(encoded, str) else encoded

    def on_gearman_error(self, error_code: str, error_text: str) -> bool:
        """A server refused something."""
        gearman_logger.error("Server refused error=%s text=%s", error_code, error_text)
        return False

    def _add_host(self, host: Host) -> None:
        if not isinstance(host, Mapping):
            self.add_connection(host)
            return
        given_tls = [key for key in _TLS_KEYS if key in host]
        if "host" not in host or (given_tls and len(given_tls) != len(_TLS_KEYS)):
            raise GearmanError(f"Incomplete SSL connection definition: expected host, port, {_TLS_KEYS}, got {[*host]}")
        # Keys that nobody gave are not passed on: a connection_class of the program's own need not know them.
        options = {key: host[key] for key in ("port", *_TLS_KEYS) if key in host}
        keepalive = {key: int(host[key]) for key in ("keepalive", *KEEPALIVE_OPTIONS) if key in host}
        if keepalive:
            options["keepalive"] = keepalive
        self._add(self.connection_class(host=host["host"], **options))

    def _add(self, connection: GearmanConnection) -> GearmanConnection:
        self.connection_list.append(connection)
        return connection

    def _forget(self, connection: GearmanConnection) -> GearmanCommandHandler | None:
        handler = self.connection_to_handler_map.pop(connection, None)
        if handler is not None:
            self.handler_to_connection_map.pop(handler, None)
        return handler

    def _require_connection(self, connections: Iterable[GearmanConnection]) -> None:
        if not any(connection.connected for connection in connections):
            raise ServerUnavailable(f"Found no valid connections in list: {self.connection_list!r}")
