"""GearmanAdminClient: one job server's administrative commands, in python-gearman's shapes.

Each call waits for its answer, `poll_timeout` at most. All go over one connection, the ping's packet among the text
lines; what an answer is, `admin_client_handler` says. A connection on which anything went wrong is closed, so that what
comes late does not answer the next call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, cast

from gearjobs.compat.gearman.admin_client_handler import GearmanAdminClientCommandHandler
from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.connection_manager import GearmanConnectionManager, Host
from gearjobs.compat.gearman.errors import (
    ConnectionError,
    InvalidAdminClientState,
    ProtocolError,
    ServerUnavailable,
    WrongServer,
)
from gearjobs.compat.gearman.protocol import (
    GEARMAN_COMMAND_ECHO_REQ,
    GEARMAN_SERVER_COMMAND_CANCEL_JOB,
    GEARMAN_SERVER_COMMAND_GETPID,
    GEARMAN_SERVER_COMMAND_MAXQUEUE,
    GEARMAN_SERVER_COMMAND_SHOW_JOBS,
    GEARMAN_SERVER_COMMAND_SHOW_UNIQUE_JOBS,
    GEARMAN_SERVER_COMMAND_SHUTDOWN,
    GEARMAN_SERVER_COMMAND_STATUS,
    GEARMAN_SERVER_COMMAND_VERSION,
    GEARMAN_SERVER_COMMAND_WORKERS,
)
from gearjobs.compat.gearman.wire_strings import to_wire

#: What a ping sends.
ECHO_STRING: Final = b"ping? pong!"
DEFAULT_ADMIN_CLIENT_TIMEOUT: Final = 10.0


class GearmanAdminClient(GearmanConnectionManager):
    """An administrative client of one job server.

    Args:
        host_list: exactly one server.
        poll_timeout: seconds to wait for an answer.

    Raises:
        WrongServer: there is not exactly one server, or its name cannot be read.
    """

    command_handler_class: ClassVar[Callable[..., GearmanCommandHandler]] = GearmanAdminClientCommandHandler

    def __init__(
        self, host_list: Sequence[Host] | None = None, poll_timeout: float = DEFAULT_ADMIN_CLIENT_TIMEOUT
    ) -> None:
        super().__init__(host_list)
        self.poll_timeout = poll_timeout
        if len(self.connection_list) != 1:
            raise WrongServer(f"expected exactly one server, got {len(self.connection_list)}: {host_list!r}")
        self.current_connection = self.connection_list[0]
        #: Handler of the connection while there is one.
        self.current_handler: GearmanAdminClientCommandHandler | None = None

    def establish_admin_connection(self) -> None:
        """Connect, also when the server closed the connection since the last call.

        Raises:
            ServerUnavailable: the server cannot be reached.
        """
        self.handle_connection_activity(*self.poll_connections_once([self.current_connection], timeout=0.0))
        try:
            self.establish_connection(self.current_connection)
        except ConnectionError as error:
            raise ServerUnavailable(f"Found no valid connections in list: {self.connection_list!r}") from error
        handler = self.connection_to_handler_map[self.current_connection]
        self.current_handler = cast("GearmanAdminClientCommandHandler", handler)

    def ping_server(self) -> float:
        """Return the seconds in which the server sends a few bytes back."""
        started_at = time.monotonic()
        self._handler().send_echo_request(ECHO_STRING)
        echoed = self.wait_until_server_responds(GEARMAN_COMMAND_ECHO_REQ)
        if echoed != ECHO_STRING:
            raise InvalidAdminClientState(f"expected {ECHO_STRING!r} back, got {echoed!r}")
        return time.monotonic() - started_at

    def send_maxqueue(self, task: str, max_size: int) -> str:
        """Limit how many jobs of the function may wait; negative for no limit."""
        return cast("str", self._ask(GEARMAN_SERVER_COMMAND_MAXQUEUE, task, max_size))

    def send_shutdown(self, graceful: bool = True) -> None:
        """Stop the server: as soon as its jobs are done, or at once."""
        handler = self._handler()
        handler.send_text_command(f"{GEARMAN_SERVER_COMMAND_SHUTDOWN}{' graceful' if graceful else ''}")
        try:
            self.wait_until_server_responds(GEARMAN_SERVER_COMMAND_SHUTDOWN)
        except ServerUnavailable:
            # It took the word and closed, as some servers do instead of an answer.
            return

    def get_status(self) -> tuple[dict[str, Any], ...]:
        """Return each function: `task`, `queued`, `running`, `workers`."""
        return cast("tuple[dict[str, Any], ...]", self._ask(GEARMAN_SERVER_COMMAND_STATUS))

    def get_version(self) -> str:
        """Return the server's line, such as `OK 1.1.20`."""
        return cast("str", self._ask(GEARMAN_SERVER_COMMAND_VERSION))

    def get_workers(self) -> tuple[dict[str, Any], ...]:
        """Return each connection: `file_descriptor`, `ip`, `client_id`, `tasks`."""
        return cast("tuple[dict[str, Any], ...]", self._ask(GEARMAN_SERVER_COMMAND_WORKERS))

    def get_pid(self) -> str:
        """Return the server's line, such as `OK 1234`."""
        return cast("str", self._ask(GEARMAN_SERVER_COMMAND_GETPID))

    def cancel_job(self, handle: str) -> str:
        """Cancel a job that waits; return the server's line, `OK` or an `ERR`."""
        return cast("str", self._ask(GEARMAN_SERVER_COMMAND_CANCEL_JOB, handle))

    def get_jobs(self) -> tuple[dict[str, Any], ...]:
        """Return each job: `handle`, `queued`, `canceled`, `enabled`."""
        return cast("tuple[dict[str, Any], ...]", self._ask(GEARMAN_SERVER_COMMAND_SHOW_JOBS))

    def get_unique_jobs(self) -> tuple[dict[str, list[str]], ...]:
        """Return each job's unique, in a list of one."""
        return cast("tuple[dict[str, list[str]], ...]", self._ask(GEARMAN_SERVER_COMMAND_SHOW_UNIQUE_JOBS))

    def wait_until_server_responds(self, expected_type: str | int) -> Any:
        """Return the answer to the command that was sent last.

        Raises:
            InvalidAdminClientState: none came in time, or it answers something else.
            ServerUnavailable: the server broke off.
            ProtocolError: the answer cannot be read, or is a refusal.
        """
        handler = self.current_handler
        if handler is None:
            raise InvalidAdminClientState("expected a connection, got none: establish_admin_connection makes one")
        try:
            return self._answer(handler, expected_type)
        except (InvalidAdminClientState, ProtocolError):
            self.handle_error(self.current_connection)
            raise

    def _answer(self, handler: GearmanAdminClientCommandHandler, expected_type: str | int) -> Any:
        self.poll_connections_until_stopped(
            [self.current_connection], lambda _any_activity: not handler.response_ready, timeout=self.poll_timeout
        )
        if not handler.response_ready:
            raise InvalidAdminClientState(f"Admin client timed out after {self.poll_timeout} second(s)")
        cmd_type, answer = handler.pop_response()
        if cmd_type != expected_type:
            raise InvalidAdminClientState(f"expected the answer to {expected_type!r}, got that to {cmd_type!r}")
        return answer

    def _ask(self, command: str, *arguments: object) -> Any:
        handler = self._handler()
        handler.send_text_command(" ".join([command, *(_word(argument) for argument in arguments)]))
        return self.wait_until_server_responds(command)

    def _handler(self) -> GearmanAdminClientCommandHandler:
        """Connect and return the connection's handler.

        Raises:
            ServerUnavailable: the server cannot be reached.
        """
        self.establish_admin_connection()
        # Set by the line above; a subclass's establishing may do what it likes.
        if self.current_handler is None:
            raise InvalidAdminClientState("expected establish_admin_connection to set current_handler, got None")
        return self.current_handler


def _word(argument: object) -> str:
    """Return a command's argument; a space or a line end in it would make another command of it."""
    word = to_wire(argument)
    if len(word.split()) != 1:
        raise InvalidAdminClientState(f"a command's argument must be one word, got {word!r}")
    return word.decode("utf-8", "surrogateescape")
