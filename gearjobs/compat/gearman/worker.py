"""GearmanWorker: takes jobs from any number of job servers, one at a time, and runs them.

The servers take turns, so that none of them starves the others; one that is down is tried again while the others are
served (python-gearman polled the survivors only, and slept up to a minute). A connection that breaks under a running
job is no exception to its function: the reports are dropped, and the server gives the job to another worker. Rules of
one connection are `worker_handler`'s.
"""

from __future__ import annotations

import logging
import math
import random
import select
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, ClassVar, Final

from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.connection import GearmanConnection
from gearjobs.compat.gearman.connection_manager import LONGEST_WAIT_S, GearmanConnectionManager, Host, NoopEncoder
from gearjobs.compat.gearman.errors import ConnectionError, ServerUnavailable
from gearjobs.compat.gearman.job import GearmanJob
from gearjobs.compat.gearman.protocol import GEARMAN_COMMAND_RESET_ABILITIES
from gearjobs.compat.gearman.wire_strings import to_wire
from gearjobs.compat.gearman.worker_handler import ANSWER_TIMEOUT_S, GearmanWorkerCommandHandler

gearman_logger = logging.getLogger("gearman.worker")

#: Seconds without activity after which `after_poll` is called.
POLL_TIMEOUT_IN_SECONDS: Final = 60.0
#: Seconds to wait for a server to take the last words before a close.
FAREWELL_S: Final = 0.5

#: Takes the worker and the job, returns the result for the data encoder.
TaskCallback = Callable[[Any, Any], Any]
#: As `sys.exc_info` returns it.
ExceptionInfo = tuple[type[BaseException] | None, BaseException | None, TracebackType | None]


class GearmanWorker(GearmanConnectionManager):
    """A worker of any number of job servers.

    Args:
        host_list: the servers.
    """

    command_handler_class: ClassVar[Callable[..., GearmanCommandHandler]] = GearmanWorkerCommandHandler

    def __init__(self, host_list: Sequence[Host] | None = None) -> None:
        super().__init__(host_list)
        self.randomized_connections: list[GearmanConnection] | None = None
        self.worker_abilities: dict[str, TaskCallback] = {}
        self.worker_client_id: str | None = None
        self.command_handler_holding_job_lock: GearmanCommandHandler | None = None
        self.continue_working = False
        #: Whether a worker that no server calls asks for jobs now and then; said by `work`.
        self.asks_by_itself = True
        self._is_at_work = False
        self._update_initial_state()

    def register_task(self, task: str, callback_function: TaskCallback) -> str:
        """Offer a function to the servers; the callback takes the worker and the job, and returns the result."""
        self.worker_abilities[task] = callback_function
        self._tell_abilities()
        return task

    def unregister_task(self, task: str) -> str:
        """Offer a function no longer."""
        self.worker_abilities.pop(task, None)
        self._tell_abilities()
        return task

    def set_client_id(self, client_id: str) -> str:
        """Set the name that servers show for this worker."""
        self.worker_client_id = client_id
        self._update_initial_state()
        for handler in self._handlers():
            handler.set_client_id(client_id)
        return client_id

    def work(
        self, poll_timeout: float | None = POLL_TIMEOUT_IN_SECONDS, do_grab: bool = True, *, reconnect: bool = False
    ) -> None:
        """Run jobs until `after_poll` or `after_job` returns False, or `shutdown` is called; then close.

        Args:
            poll_timeout: seconds without activity after which `after_poll` is called.
            do_grab: whether to ask servers that sent no call for long, as yunjianfei's fork does; a call may get lost.
            reconnect: gearjobs' addition: True to wait for the servers when all are down.

        Raises:
            ServerUnavailable: all servers are down.
        """
        self.continue_working = self._is_at_work = True
        self.asks_by_itself = do_grab
        try:
            while self.continue_working:
                connections = self._connections(reconnect=reconnect)
                self._go_on_if(self.after_poll(False))
                if self.continue_working:
                    self._work_until_idle(connections, poll_timeout, reconnect=reconnect)
        finally:
            # Still at work: `shutdown` of another thread would close what is being read here.
            try:
                self._leave()
            finally:
                self._is_at_work = False

    def shutdown(self) -> None:
        """Stop: `work` returns once the running job has ended; without `work`, close the connections now."""
        self.continue_working = False
        if not self._is_at_work:
            self.command_handler_holding_job_lock = None
            super().shutdown()

    def after_poll(self, any_activity: bool) -> bool:
        """Override: called when something happened, or nothing did for `poll_timeout`; return False to stop."""
        return True

    def after_job(self) -> bool:
        """Override: called after each job; return False to stop."""
        return True

    def establish_worker_connections(self) -> list[GearmanConnection]:
        """Connect to each server that can be reached and is not left alone for a while; return those connected."""
        self.randomized_connections = random.sample(self.connection_list, len(self.connection_list))
        now = time.monotonic()
        established = []
        for connection in self.randomized_connections:
            if not connection.connected and now < connection.allowed_connect_time:
                continue
            try:
                established.append(self.establish_connection(connection))
            except ConnectionError as error:
                gearman_logger.warning("Cannot use a server error=%s", error)
        return established

    def handle_error(self, current_connection: GearmanConnection) -> None:
        """Close a broken connection; it holds the job lock no longer."""
        handler = self.connection_to_handler_map.get(current_connection)
        if handler is not None:
            self.set_job_lock(handler, lock=False)
        super().handle_error(current_connection)

    def wait_until_updates_sent(
        self, multiple_gearman_jobs: Iterable[GearmanJob], poll_timeout: float | None = None
    ) -> None:
        """Wait until what was reported about the jobs has left; a server that takes nothing is given up."""
        for connection in {job.connection for job in multiple_gearman_jobs if job.connection is not None}:
            try:
                _flush(connection, ANSWER_TIMEOUT_S if poll_timeout is None else poll_timeout)
            except ConnectionError as error:
                gearman_logger.warning("Lost a report with its server; the job runs again error=%s", error)
                self.handle_error(connection)

    def send_job_status(
        self, current_job: GearmanJob, numerator: float, denominator: float, poll_timeout: float | None = None
    ) -> None:
        """Tell how far the job is."""
        self._report(
            current_job, poll_timeout, lambda handler: handler.send_job_status(current_job, numerator, denominator)
        )

    def send_job_complete(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """Report the result, which ends the job."""
        self._report(current_job, poll_timeout, lambda handler: handler.send_job_complete(current_job, data))

    def send_job_failure(self, current_job: GearmanJob, poll_timeout: float | None = None) -> None:
        """Report a failure, which ends the job."""
        self._report(current_job, poll_timeout, lambda handler: handler.send_job_failure(current_job))

    def send_job_exception(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """Report a failure and its exception, which ends the job."""
        self._report(current_job, poll_timeout, lambda handler: handler.send_job_exception(current_job, data))

    def send_job_data(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """Send a part of the result early."""
        self._report(current_job, poll_timeout, lambda handler: handler.send_job_data(current_job, data))

    def send_job_warning(self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None) -> None:
        """Send a warning; the job goes on."""
        self._report(current_job, poll_timeout, lambda handler: handler.send_job_warning(current_job, data))

    def create_job(
        self, command_handler: GearmanCommandHandler, job_handle: str, task: str, unique: str | None, data: Any
    ) -> GearmanJob:
        """Make the job of an assignment."""
        return self.job_class(self.handler_to_connection_map[command_handler], job_handle, task, unique, data)

    def on_job_execute(self, current_job: GearmanJob) -> bool:
        """Override: run the job's callback and report; returns whether it succeeded."""
        try:
            result = self._callback(current_job.task)(self, current_job)
        except Exception:  # noqa: BLE001 - the wall at which what users' code raises becomes the job's failure
            return self.on_job_exception(current_job, sys.exc_info())
        return self.on_job_complete(current_job, result)

    def on_job_exception(self, current_job: GearmanJob, exc_info: ExceptionInfo) -> bool:
        """Override: what to do with a callback's exception; by default, the job fails."""
        gearman_logger.warning(
            "Job failed job=%s function=%s", current_job.handle, current_job.task, exc_info=exc_info[1]
        )
        self.send_job_failure(current_job)
        return False

    def on_job_complete(self, current_job: GearmanJob, job_result: Any) -> bool:
        """Override: what to do with a callback's result; by default, it is reported."""
        if job_result is None and self.data_encoder is NoopEncoder:
            # What python-gearman's own documentation has callbacks return that sent their data on the way.
            job_result = b""
        try:
            self.send_job_complete(current_job, job_result)
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - the result cannot be encoded or sent; it would end one worker after another
            return self.on_job_exception(current_job, sys.exc_info())
        return True

    def set_job_lock(self, command_handler: GearmanCommandHandler, lock: bool) -> bool:
        """Take or give back the lock that lets one connection ask or work; return whether that could be."""
        if command_handler not in self.handler_to_connection_map:
            return False
        holder = self.command_handler_holding_job_lock
        if holder is not (None if lock else command_handler):
            return False
        self.command_handler_holding_job_lock = command_handler if lock else None
        return True

    def check_job_lock(self, command_handler: GearmanCommandHandler) -> bool:
        """Whether the handler holds the lock."""
        return self.command_handler_holding_job_lock is command_handler

    def note_end_of_job(self) -> None:
        """A job was run and reported."""
        self._go_on_if(self.after_job())

    def _leave(self) -> None:
        """Give back what is being handed over, and close so that the servers hear it."""
        for handler, connection in list(self.handler_to_connection_map.items()):
            handler.send_command(GEARMAN_COMMAND_RESET_ABILITIES)
            with suppress(ConnectionError):
                _flush(connection, FAREWELL_S)
        for connection in self.connection_list:
            self._forget(connection)
            connection.close_gently(timeout_s=FAREWELL_S)
        self.command_handler_holding_job_lock = None

    def _work_until_idle(
        self, connections: list[GearmanConnection], poll_timeout: float | None, *, reconnect: bool
    ) -> None:
        """Work until told to stop, or until nothing happened for `poll_timeout`."""
        idle_at = self._idle_at(poll_timeout)
        while self.continue_working and (now := time.monotonic()) < idle_at:
            self._give_turn(now)
            wait_s = min(idle_at - now, self._rest_s(now), LONGEST_WAIT_S)
            activity = self.handle_connection_activity(*self.poll_connections_once(connections, timeout=wait_s))
            activity[2].update(self._drop_overdue())
            if any(activity) and self.continue_working:
                self._go_on_if(self.after_poll(True))
                idle_at = self._idle_at(poll_timeout)
            if self.continue_working:
                connections = self._connections(reconnect=reconnect)

    @staticmethod
    def _idle_at(poll_timeout: float | None) -> float:
        return math.inf if poll_timeout is None else time.monotonic() + poll_timeout

    def _connections(self, *, reconnect: bool) -> list[GearmanConnection]:
        """Return the connections in use, after trying those that are down and due."""
        now = time.monotonic()
        is_due = any(not known.connected and now >= known.allowed_connect_time for known in self.connection_list)
        if is_due:
            self.establish_worker_connections()
        connected = [known for known in self.connection_list if known.connected]
        if not connected and not reconnect:
            raise ServerUnavailable(f"Found no valid connections in list: {self.connection_list!r}")
        return connected

    def _give_turn(self, now: float) -> None:
        """Let the connection that waits longest ask for a job, if none is asking."""
        handlers = self._handlers()
        for handler in handlers:
            handler.wake_if_due(now)
        awake = [handler for handler in handlers if handler.is_awake]
        if awake and self.command_handler_holding_job_lock is None:
            min(awake, key=lambda handler: handler.last_turn_at).take_turn(now)

    def _drop_overdue(self) -> set[GearmanConnection]:
        now = time.monotonic()
        overdue = {self.handler_to_connection_map[handler] for handler in self._handlers() if handler.is_overdue(now)}
        for connection in overdue:
            gearman_logger.warning("Lost server=%s error=no answer in %s s", connection, ANSWER_TIMEOUT_S)
            self.handle_error(connection)
            connection.failed(is_silent=True)
        return overdue

    def _rest_s(self, now: float) -> float:
        """Return how long nothing is due: no question, no answer, no server to be tried again."""
        due = [handler.due_at for handler in self._handlers()]
        due += [known.allowed_connect_time for known in self.connection_list if not known.connected]
        return max(0.0, min(due, default=math.inf) - now)

    def _handlers(self) -> list[Any]:
        return list(self.handler_to_connection_map)

    def _callback(self, task: str) -> TaskCallback:
        if task in self.worker_abilities:
            return self.worker_abilities[task]
        # A name that was registered as bytes, or comes as bytes.
        return {to_wire(name): callback for name, callback in self.worker_abilities.items()}[to_wire(task)]

    def _tell_abilities(self) -> None:
        self._update_initial_state()
        for handler in self._handlers():
            handler.set_abilities(self.handler_initial_state["abilities"])

    def _update_initial_state(self) -> None:
        self.handler_initial_state["abilities"] = list(self.worker_abilities)
        self.handler_initial_state["client_id"] = self.worker_client_id

    def _report(self, job: GearmanJob, poll_timeout: float | None, send: Callable[[Any], None]) -> None:
        handler = None if job.connection is None else self.connection_to_handler_map.get(job.connection)
        if handler is None:
            gearman_logger.warning("Lost a report with its server; the job runs again job=%s", job.handle)
            return
        send(handler)
        self.wait_until_updates_sent([job], poll_timeout=poll_timeout)

    def _go_on_if(self, is_wanted: bool) -> None:
        # Never from False to True: shutdown may have been called meanwhile.
        self.continue_working = self.continue_working and bool(is_wanted)


def _flush(connection: GearmanConnection, timeout_s: float) -> None:
    """Send all that is queued; reading waits until the job is over."""
    deadline = time.monotonic() + timeout_s
    while connection.writable():
        connection.send_data_to_socket()
        if not connection.writable():
            return
        rest_s = deadline - time.monotonic()
        if rest_s <= 0:
            raise ConnectionError(f"the server did not take all within {timeout_s} s: {connection!r}")
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLOUT)
        poller.poll(math.ceil(rest_s * 1000))
