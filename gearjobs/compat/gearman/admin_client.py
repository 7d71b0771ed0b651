"""GearmanAdminClient: one job server's administrative commands, in python-gearman's shapes.

Each call waits for its answer, `poll_timeout` at most. The text protocol is spoken by `gearjobs.client.admin_client`;
a ping is a packet, on a connection of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

from gearjobs.client.admin_client import AdminClient
from gearjobs.compat.gearman.admin_client_handler import (
    GearmanAdminClientCommandHandler,
    read_jobs,
    read_status,
    read_unique_jobs,
    read_workers,
)
from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.connection_manager import GearmanConnectionManager, Host
from gearjobs.compat.gearman.errors import ConnectionError, InvalidAdminClientState, ProtocolError, ServerUnavailable
from gearjobs.compat.gearman.protocol import (
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
from gearjobs.compat.gearman.util import unlist
from gearjobs.compat.gearman.wire_strings import to_wire
from gearjobs.errors import ServerUnavailable as NoAnswer
from gearjobs.errors import UsageError
from gearjobs.guarded_socket import NO_SECURITY, make_security
from gearjobs.servers import ServerAddress
from gearjobs.tls import TlsFiles

#: What a ping sends.
ECHO_STRING: Final = b"ping? pong!"
DEFAULT_ADMIN_CLIENT_TIMEOUT: Final = 10.0


class GearmanAdminClient(GearmanConnectionManager):
    """An administrative client of one job server.

    Args:
        host_list: exactly one server.
        poll_timeout: seconds to wait for an answer.

    Raises:
        GearmanError: there is not exactly one server.
    """

    command_handler_class: ClassVar[Callable[..., GearmanCommandHandler]] = GearmanAdminClientCommandHandler

    def __init__(
        self, host_list: Sequence[Host] | None = None, poll_timeout: float = DEFAULT_ADMIN_CLIENT_TIMEOUT
    ) -> None:
        super().__init__(host_list)
        self.poll_timeout = poll_timeout
        self.current_connection = unlist(self.connection_list)
        self._admin: AdminClient | None = None

    def __del__(self) -> None:
        if getattr(self, "_admin", None) is not None:
            self.shutdown()

    def shutdown(self) -> None:
        """Close the connections; the server goes on (`send_shutdown` stops it)."""
        if self._admin is not None:
            self._admin.close()
        super().shutdown()

    def establish_admin_connection(self) -> None:
        """Connect.

        Raises:
            ServerUnavailable: the server cannot be reached.
        """
        try:
            self.establish_connection(self.current_connection)
        except ConnectionError as error:
            raise ServerUnavailable(f"Found no valid connections in list: {self.connection_list!r}") from error

    def ping_server(self) -> float:
        """Return the seconds in which the server sends a few bytes back."""
        started_at = time.monotonic()
        self.establish_admin_connection()
        handler = self.connection_to_handler_map[self.current_connection]
        if not isinstance(handler, GearmanAdminClientCommandHandler):
            raise InvalidAdminClientState(f"a ping needs a GearmanAdminClientCommandHandler, got {handler!r}")
        handler.send_echo_request(ECHO_STRING)
        self.poll_connections_until_stopped(
            [self.current_connection], lambda _any_activity: handler.echoed is None, timeout=self.poll_timeout
        )
        if handler.echoed != ECHO_STRING:
            # An echo that comes later must not answer the next ping.
            self.handle_error(self.current_connection)
            raise InvalidAdminClientState(
                f"expected {ECHO_STRING!r} within {self.poll_timeout} s, got {handler.echoed!r}"
            )
        return time.monotonic() - started_at

    def send_maxqueue(self, task: str, max_size: int) -> str:
        """Limit how many jobs of the function may wait; negative for no limit."""
        answer = self._ask_line(b"%s %s %s" % (_word(GEARMAN_SERVER_COMMAND_MAXQUEUE), _word(task), _word(max_size)))
        if answer != "OK":
            raise ProtocolError(f"Expected 'OK', received: {answer}")
        return answer

    def send_shutdown(self, graceful: bool = True) -> None:
        """Stop the server: as soon as its jobs are done, or at once."""
        words = f"{GEARMAN_SERVER_COMMAND_SHUTDOWN} graceful" if graceful else GEARMAN_SERVER_COMMAND_SHUTDOWN
        try:
            answer = self._ask_line(words)
        except ServerUnavailable as error:
            if isinstance(error.__cause__, NoAnswer) and isinstance(error.__cause__.__cause__, ConnectionResetError):
                # It took the word and closed: gearmand's answer.
                return
            raise
        if answer.startswith("ERR"):
            raise ProtocolError(f"the server does not shut down: {answer}")

    def get_status(self) -> tuple[dict[str, Any], ...]:
        """Return each function: `task`, `queued`, `running`, `workers`."""
        return read_status(self._ask(GEARMAN_SERVER_COMMAND_STATUS))

    def get_version(self) -> str:
        """Return the server's line, such as `OK 1.1.20`."""
        return self._ask_line(GEARMAN_SERVER_COMMAND_VERSION)

    def get_workers(self) -> tuple[dict[str, Any], ...]:
        """Return each connection: `file_descriptor`, `ip`, `client_id`, `tasks`."""
        return read_workers(self._ask(GEARMAN_SERVER_COMMAND_WORKERS))

    def get_pid(self) -> str:
        """Return the server's line, such as `OK 1234`."""
        return self._ask_line(GEARMAN_SERVER_COMMAND_GETPID)

    def cancel_job(self, handle: str) -> str:
        """Cancel a job that waits; return the server's line, `OK` or an `ERR`."""
        return self._ask_line(b"%s %s" % (_word(GEARMAN_SERVER_COMMAND_CANCEL_JOB), _word(handle)))

    def get_jobs(self) -> tuple[dict[str, Any], ...]:
        """Return each job: `handle`, `queued`, `canceled`, `enabled`."""
        return read_jobs(self._ask(GEARMAN_SERVER_COMMAND_SHOW_JOBS))

    def get_unique_jobs(self) -> tuple[dict[str, list[str]], ...]:
        """Return each job's unique, in a list of one."""
        return read_unique_jobs(self._ask(GEARMAN_SERVER_COMMAND_SHOW_UNIQUE_JOBS))

    def _ask_line(self, line: str | bytes) -> str:
        return self._ask(line).decode("utf-8", "surrogateescape").strip()

    def _ask(self, line: str | bytes) -> bytes:
        """Send a line and return the answer as it came.

        Raises:
            ServerUnavailable: the server cannot be reached, or broke off.
            InvalidAdminClientState: it did not answer in time, or the line is none.
        """
        try:
            self._admin = self._admin or self._new_admin()
            return self._admin.command(line)
        except UsageError as error:
            raise InvalidAdminClientState(str(error)) from error
        except NoAnswer as error:
            if isinstance(error.__cause__, TimeoutError):
                raise InvalidAdminClientState(f"Admin client timed out after {self.poll_timeout} second(s)") from error
            raise ServerUnavailable(str(error)) from error

    def _new_admin(self) -> AdminClient:
        connection = self.current_connection
        files = TlsFiles(
            ca_file=connection.ca_certs or "", certificate=connection.certfile or "", key=connection.keyfile or ""
        )
        security = make_security(tls=files) if connection.use_ssl else NO_SECURITY
        address = ServerAddress(connection.gearman_host, connection.gearman_port)
        return AdminClient(address, timeout_s=self.poll_timeout, security=security)


def _word(value: object) -> bytes:
    """Return a word of a command; a space or a line end in it would make another command of it."""
    word = to_wire(value)
    if word != GEARMAN_SERVER_COMMAND_CANCEL_JOB.encode() and len(word.split()) != 1:
        raise InvalidAdminClientState(f"a command's argument must be one word, got {word!r}")
    return word
