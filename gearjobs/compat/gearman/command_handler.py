"""What a client's and a worker's handler share: sending a packet by name, and a method `recv_...` for each that comes.

A handler is made anew for each connection that is opened. It does no I/O: its manager owns the connections.
"""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Any

from gearjobs.compat.gearman.errors import UnknownCommandError
from gearjobs.compat.gearman.protocol import get_command_name

if TYPE_CHECKING:
    from gearjobs.compat.gearman.connection_manager import GearmanConnectionManager

# Loggers are called as python-gearman's were: programs configure `gearman` and those below it.
gearman_logger = logging.getLogger("gearman.command_handler")


class GearmanCommandHandler:
    """The rules of one connection.

    Args:
        connection_manager: the client or worker it belongs to.
    """

    def __init__(self, connection_manager: GearmanConnectionManager | None = None) -> None:
        # Weak: a manager nobody holds any more closes its connections at once, not when the collector comes round.
        self._manager = None if connection_manager is None else weakref.ref(connection_manager)

    @property
    def connection_manager(self) -> GearmanConnectionManager:
        manager = None if self._manager is None else self._manager()
        if manager is None:
            raise ReferenceError("a handler has no client or worker, or outlived it")
        return manager

    def initial_state(self, *largs: Any, **kwargs: Any) -> None:
        """The connection was opened: say what comes first."""

    def on_io_error(self) -> None:
        """The connection broke."""

    def decode_data(self, data: bytes) -> Any:
        return self.connection_manager.data_encoder.decode(data)

    def encode_data(self, data: Any) -> bytes:
        return self.connection_manager.encode_data(data)

    def fetch_commands(self) -> None:
        """Act on every packet that came, until none is left or a `recv_...` says False."""
        goes_on = True
        while goes_on and (command := self.connection_manager.read_command(self)) is not None:
            goes_on = self.recv_command(command[0], **command[1])

    def send_command(self, cmd_type: int, **cmd_args: Any) -> None:
        """Queue a packet on this handler's connection."""
        self.connection_manager.send_command(self, cmd_type, cmd_args)

    def recv_command(self, cmd_type: int, **cmd_args: Any) -> bool:
        """Call the method for the packet; it returns whether to go on with the next.

        Raises:
            UnknownCommandError: there is no method for it.
        """
        name = str(get_command_name(cmd_type)).lower().replace("gearman_command_", "recv_")
        callback = getattr(self, name, None)
        if callback is None:
            raise UnknownCommandError(f"no use for {get_command_name(cmd_type)} {cmd_args!r}")
        return callback(**cmd_args) is not False

    def recv_error(self, error_code: str, error_text: str) -> bool:
        self.connection_manager.on_gearman_error(error_code, error_text)
        return True
