"""GearmanClient: submits jobs, waits for them, asks for their status.

Each request goes to one server, chosen at random and then kept to for its retries while that server is there; another
one is taken when it is not. A submission whose connection broke before the answer is repeated as often as `max_retries`
allows, which may run the job twice: the caller asked for it. Not for several threads at once.
"""

from __future__ import annotations

import random
import secrets
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

from gearjobs.compat.gearman.client_handler import GearmanClientCommandHandler
from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.connection import GearmanConnection
from gearjobs.compat.gearman.connection_manager import GearmanConnectionManager, Host
from gearjobs.compat.gearman.constants import JOB_CREATED, JOB_FAILED, JOB_PENDING, JOB_UNKNOWN, PRIORITY_NONE
from gearjobs.compat.gearman.errors import (
    ConnectionError,
    ExceededConnectionAttempts,
    ServerUnavailable,
    WrongArgument,
)
from gearjobs.compat.gearman.job import GearmanJobRequest
from gearjobs.compat.gearman.util import Stopwatch

#: Bytes of chance in a unique that nobody gave; it is sent in hexadecimal.
RANDOM_UNIQUE_BYTES: Final = 16

#: The list that was given is what comes back.
Requests = TypeVar("Requests", bound=Iterable[GearmanJobRequest])


class GearmanClient(GearmanConnectionManager):
    """A client of any number of job servers.

    Args:
        host_list: the servers.
        random_unique_bytes: bytes of chance in a unique that nobody gave.
    """

    command_handler_class: ClassVar[Callable[..., GearmanCommandHandler]] = GearmanClientCommandHandler

    def __init__(self, host_list: Sequence[Host] | None = None, random_unique_bytes: int = RANDOM_UNIQUE_BYTES) -> None:
        super().__init__(host_list)
        self.random_unique_bytes = random_unique_bytes
        #: The servers in the order in which each request tries them.
        self.request_to_rotating_connection_queue: weakref.WeakKeyDictionary[
            GearmanJobRequest, deque[GearmanConnection]
        ] = weakref.WeakKeyDictionary()

    def submit_job(
        self,
        task: str,
        data: Any,
        unique: str | None = None,
        priority: str | None = PRIORITY_NONE,
        background: bool = False,
        wait_until_complete: bool = True,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> GearmanJobRequest:
        """Submit one job, wait until a server has it, and, unless told otherwise, until it is complete.

        Args:
            task: the function's name.
            data: the payload, for the data encoder.
            unique: jobs of one function and one unique are coalesced; chance if not given.
            priority: PRIORITY_NONE, PRIORITY_LOW or PRIORITY_HIGH.
            background: the job is complete once a server has it.
            wait_until_complete: False to return once a server has it.
            max_retries: how often to submit it again when the connection breaks before the answer.
            poll_timeout: seconds to wait in all; None for ever. `timed_out` of the request tells.

        Raises:
            ServerUnavailable: no server can be reached.
            ExceededConnectionAttempts: each attempt's connection broke.
        """
        job_info = {"task": task, "data": data, "unique": unique, "priority": priority}
        (request,) = self.submit_multiple_jobs([job_info], background, wait_until_complete, max_retries, poll_timeout)
        return request

    def submit_multiple_jobs(
        self,
        jobs_to_submit: Iterable[Mapping[str, Any]],
        background: bool = False,
        wait_until_complete: bool = True,
        max_retries: int = 0,
        poll_timeout: float | None = None,
    ) -> list[GearmanJobRequest]:
        """Submit jobs of `task`, `data` and, if wanted, `unique` and `priority`; all else as `submit_job`."""
        _require_several(jobs_to_submit)
        requests = [
            self._create_request_from_dictionary(job_info, background=background, max_retries=max_retries)
            for job_info in jobs_to_submit
        ]
        return self.submit_multiple_requests(requests, wait_until_complete, poll_timeout)

    def submit_multiple_requests(
        self, job_requests: Requests, wait_until_complete: bool = True, poll_timeout: float | None = None
    ) -> Requests:
        """Submit requests that were made or reset before; all else as `submit_job`."""
        _require_several(job_requests)
        stopwatch = Stopwatch(poll_timeout)
        self.wait_until_jobs_accepted(job_requests, poll_timeout=stopwatch.get_time_remaining())
        remaining_s = stopwatch.get_time_remaining()
        if wait_until_complete and remaining_s != 0.0:
            self.wait_until_jobs_completed(job_requests, poll_timeout=remaining_s)
        return job_requests

    def wait_until_jobs_accepted(self, job_requests: Requests, poll_timeout: float | None = None) -> Requests:
        """Submit what is UNKNOWN, and wait until nothing is PENDING."""
        _require_several(job_requests)

        def submit_and_see_if_pending(_any_activity: bool) -> bool:
            for request in job_requests:
                if request.state == JOB_UNKNOWN:
                    self.send_job_request(request)
            return any(request.state == JOB_PENDING for request in job_requests)

        self.poll_connections_until_stopped(self.connection_list, submit_and_see_if_pending, timeout=poll_timeout)
        for request in job_requests:
            request.timed_out = request.state == JOB_PENDING
        return job_requests

    def wait_until_jobs_completed(self, job_requests: Requests, poll_timeout: float | None = None) -> Requests:
        """Wait until each is complete, or will never be; `timed_out` tells which are not."""
        _require_several(job_requests)

        def is_any_incomplete(_any_activity: bool) -> bool:
            return any(request.state in {JOB_PENDING, JOB_CREATED} and not request.complete for request in job_requests)

        self.poll_connections_until_stopped(self.connection_list, is_any_incomplete, timeout=poll_timeout)
        for request in job_requests:
            # A background job that the server refused has ended, though it never becomes complete.
            request.timed_out = not request.complete and request.state != JOB_FAILED
            if request.complete:
                self.request_to_rotating_connection_queue.pop(request, None)
        return job_requests

    def get_job_status(
        self, current_request: GearmanJobRequest, poll_timeout: float | None = None
    ) -> GearmanJobRequest:
        """Ask the request's server how far the job is; its `status` has the answer."""
        (request,) = self.get_job_statuses([current_request], poll_timeout=poll_timeout)
        return request

    def get_job_statuses(self, job_requests: Requests, poll_timeout: float | None = None) -> Requests:
        """Ask each request's server how far the job is.

        Raises:
            ServerUnavailable: one of the servers cannot be reached.
        """
        _require_several(job_requests)
        for request in job_requests:
            request.status["last_time_received"] = request.status.get("time_received")
            self._status_handler(request).send_get_status_of_job(request)
        return self.wait_until_job_statuses_received(job_requests, poll_timeout=poll_timeout)

    def wait_until_job_statuses_received(self, job_requests: Requests, poll_timeout: float | None = None) -> Requests:
        """Wait for the answers to `get_job_statuses`; `timed_out` tells which did not come."""
        _require_several(job_requests)

        def is_any_unanswered(_any_activity: bool) -> bool:
            return any(self._is_status_due(request) for request in job_requests)

        self.poll_connections_until_stopped(self.connection_list, is_any_unanswered, timeout=poll_timeout)
        for request in job_requests:
            request.timed_out = request.status.get("time_received") == request.status.get("last_time_received")
        return job_requests

    def get_job_status_by_handle(self, job_handle: str, poll_timeout: float | None = None) -> dict[str, Any]:
        """Ask every server about a job of which only the handle is known; gearjobs' addition to python-gearman.

        Returns:
            A `status`; of a job nobody knows, `known` is False. Empty when no answer came in time.

        Raises:
            ServerUnavailable: no server can be reached.
        """
        stopwatch = Stopwatch(poll_timeout)
        requests = [self._request_of_handle(job_handle, connection) for connection in self._reachable()]
        if not requests:
            raise ServerUnavailable(f"Found no valid connections in list: {self.connection_list!r}")
        self.get_job_statuses(requests, poll_timeout=stopwatch.get_time_remaining())
        statuses = [request.status for request in requests if not request.timed_out]
        return next((status for status in statuses if status["known"]), statuses[0] if statuses else {})

    def establish_request_connection(self, current_request: GearmanJobRequest) -> GearmanConnection:
        """Return a live connection for the request: the first in its order of servers that can be reached.

        Raises:
            ServerUnavailable: none can.
        """
        order = self.request_to_rotating_connection_queue.get(current_request)
        if not order:
            order = deque(random.sample(self.connection_list, len(self.connection_list)))
            self.request_to_rotating_connection_queue[current_request] = order
        for _ in range(len(order)):
            try:
                return self.establish_connection(order[0])
            except ConnectionError:
                order.rotate(-1)
        raise ServerUnavailable(f"Found no valid connections in list: {self.connection_list!r}")

    def send_job_request(self, current_request: GearmanJobRequest) -> GearmanJobRequest:
        """Submit a request once more.

        Raises:
            ExceededConnectionAttempts: it was submitted as often as it may be.
            ServerUnavailable: no server can be reached.
        """
        if current_request.connection_attempts >= current_request.max_connection_attempts:
            raise ExceededConnectionAttempts(
                f"Exceeded {current_request.max_connection_attempts} connection attempt(s) :: {current_request!r}"
            )
        connection = self.establish_request_connection(current_request)
        current_request.job.connection = connection
        current_request.connection_attempts += 1
        current_request.timed_out = False
        self._handler(connection).send_job_request(current_request)
        return current_request

    def _create_request_from_dictionary(
        self, job_info: Mapping[str, Any], *, background: bool, max_retries: int
    ) -> GearmanJobRequest:
        # "-" is sent as it is: it asks the server to take the payload for the unique.
        unique = job_info.get("unique") or secrets.token_hex(self.random_unique_bytes)
        job = self.job_class(connection=None, handle=None, task=job_info["task"], unique=unique, data=job_info["data"])
        priority = job_info.get("priority", PRIORITY_NONE)
        return self.job_request_class(
            job, initial_priority=priority, background=background, max_attempts=max_retries + 1
        )

    def _request_of_handle(self, job_handle: str, connection: GearmanConnection) -> GearmanJobRequest:
        job = self.job_class(connection=connection, handle=job_handle, task="", unique=None, data=None)
        request = self.job_request_class(job, background=True)
        request.state = JOB_CREATED
        return request

    def _reachable(self) -> list[GearmanConnection]:
        reached = []
        for connection in self.connection_list:
            try:
                reached.append(self.establish_connection(connection))
            except ConnectionError:
                continue
        return reached

    def _handler(self, connection: GearmanConnection) -> Any:
        return self.connection_to_handler_map[connection]

    def _status_handler(self, request: GearmanJobRequest) -> Any:
        connection = request.job.connection
        if connection is None:
            raise ServerUnavailable(f"the request was not submitted yet, so no server knows it: {request!r}")
        try:
            # The job may live although the connection over which it was submitted does not.
            return self._handler(self.establish_connection(connection))
        except ConnectionError as error:
            raise ServerUnavailable(str(error)) from error

    def _is_status_due(self, request: GearmanJobRequest) -> bool:
        connection = request.job.connection
        handler = None if connection is None else self.connection_to_handler_map.get(connection)
        return isinstance(handler, GearmanClientCommandHandler) and handler.is_asked_for_status(request)


def _require_several(given: object) -> None:
    if not isinstance(given, list | tuple | set):
        raise WrongArgument(f"expected a list, tuple or set of jobs, got {type(given).__name__}; submit_job takes one")
