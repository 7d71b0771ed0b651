"""One connection of a client: which answer belongs to which request, and what became of the jobs.

A server answers the requests of a connection in their order, each with its own packet or with ERROR; python-gearman
took no notice of the ERROR, and the request stayed PENDING for ever. Requests that the server coalesced into one job
have one handle, and each hears everything in its turn. This side asks for exceptions, which a server does not pass on
otherwise.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.constants import JOB_COMPLETE, JOB_CREATED, JOB_FAILED, JOB_PENDING, JOB_UNKNOWN
from gearjobs.compat.gearman.errors import InvalidClientState
from gearjobs.compat.gearman.protocol import (
    GEARMAN_COMMAND_GET_STATUS,
    GEARMAN_COMMAND_JOB_CREATED,
    GEARMAN_COMMAND_OPTION_REQ,
    GEARMAN_COMMAND_OPTION_RES,
    GEARMAN_COMMAND_STATUS_RES,
    get_command_name,
    submit_cmd_for_background_priority,
)
from gearjobs.compat.gearman.wire_strings import from_wire
from gearjobs.protocol.packets import EXCEPTIONS_OPTION

if TYPE_CHECKING:
    from gearjobs.compat.gearman.connection_manager import GearmanConnectionManager
    from gearjobs.compat.gearman.job import GearmanJobRequest


gearman_logger = logging.getLogger("gearman.client_handler")


class GearmanClientCommandHandler(GearmanCommandHandler):
    """What one connection of a client waits for."""

    def __init__(self, connection_manager: GearmanConnectionManager | None = None) -> None:
        super().__init__(connection_manager)
        # Number of the packet that answers, and the request it is about; None for an option.
        self._unanswered: deque[tuple[int, GearmanJobRequest | None]] = deque()
        #: The unfinished foreground jobs; the first of several requests is the one that hears next.
        self.handle_to_request_map: dict[str, deque[GearmanJobRequest]] = {}

    def initial_state(self, *largs: Any, **kwargs: Any) -> None:
        self.send_command(GEARMAN_COMMAND_OPTION_REQ, option_name=EXCEPTIONS_OPTION)
        self._unanswered.append((GEARMAN_COMMAND_OPTION_RES, None))

    def on_io_error(self) -> None:
        """What became of the unanswered requests and the unfinished jobs will never be heard."""
        running = [request for requests in self.handle_to_request_map.values() for request in requests]
        submitted = [
            request for answer, request in self._unanswered if request and answer == GEARMAN_COMMAND_JOB_CREATED
        ]
        for request in (*submitted, *running):
            request.state = JOB_UNKNOWN
        self._unanswered.clear()
        self.handle_to_request_map.clear()

    def send_job_request(self, current_request: GearmanJobRequest) -> None:
        """Submit the job."""
        job = current_request.job
        cmd_type = submit_cmd_for_background_priority(current_request.background, current_request.priority)
        self.send_command(cmd_type, task=job.task, unique=job.unique or "", data=self.encode_data(job.data))
        current_request.state = JOB_PENDING
        self._unanswered.append((GEARMAN_COMMAND_JOB_CREATED, current_request))

    def send_get_status_of_job(self, current_request: GearmanJobRequest) -> None:
        """Ask how far the job is."""
        self.send_command(GEARMAN_COMMAND_GET_STATUS, job_handle=current_request.job.handle)
        self._unanswered.append((GEARMAN_COMMAND_STATUS_RES, current_request))

    def is_asked_for_status(self, request: GearmanJobRequest) -> bool:
        """Whether an answer about the job is still to come."""
        return any(about is request for answer, about in self._unanswered if answer == GEARMAN_COMMAND_STATUS_RES)

    def recv_option_res(self, option_name: str) -> bool:
        self._answered(GEARMAN_COMMAND_OPTION_RES)
        return True

    def recv_error(self, error_code: str, error_text: str) -> bool:
        """The oldest unanswered request was refused; a refused job is a failed one, the reason its exception."""
        self.connection_manager.on_gearman_error(error_code, error_text)
        answer, request = self._unanswered.popleft() if self._unanswered else (0, None)
        if request is not None and answer == GEARMAN_COMMAND_JOB_CREATED:
            request.state = JOB_FAILED
            request.exception = f"{error_code}: {error_text}"
        return True

    def recv_job_created(self, job_handle: str) -> bool:
        request = self._answered(GEARMAN_COMMAND_JOB_CREATED)
        request.job.handle = job_handle
        request.state = JOB_CREATED
        if not request.background:
            self.handle_to_request_map.setdefault(job_handle, deque()).append(request)
        return True

    def recv_work_data(self, job_handle: str, data: bytes) -> bool:
        for request in self._hearing(job_handle):
            request.data_updates.append(self.decode_data(data))
        return True

    def recv_work_warning(self, job_handle: str, data: bytes) -> bool:
        for request in self._hearing(job_handle):
            request.warning_updates.append(self.decode_data(data))
        return True

    def recv_work_status(self, job_handle: str, numerator: str, denominator: str) -> bool:
        for request in self._hearing(job_handle):
            request.status = _status(job_handle, "1", "1", numerator, denominator)
        return True

    def recv_work_complete(self, job_handle: str, data: bytes) -> bool:
        for request in self._ended(job_handle):
            request.state = JOB_COMPLETE
            request.result = self.decode_data(data)
        return True

    def recv_work_fail(self, job_handle: str) -> bool:
        for request in self._ended(job_handle):
            request.state = JOB_FAILED
        return True

    def recv_work_exception(self, job_handle: str, data: bytes) -> bool:
        """The job failed with this; a server that lets WORK_FAIL follow is heard too."""
        for request in self._ended(job_handle):
            request.state = JOB_FAILED
            request.exception = self._decoded_exception(data)
        return True

    def recv_status_res(self, job_handle: str, known: str, running: str, numerator: str, denominator: str) -> bool:
        request = self._answered(GEARMAN_COMMAND_STATUS_RES)
        request.status = _status(job_handle, known, running, numerator, denominator)
        return True

    def _answered(self, cmd_type: int) -> Any:
        expected, request = self._unanswered[0] if self._unanswered else (0, None)
        if expected != cmd_type:
            # The request stays unanswered, so that it is known to be lost when the connection is closed for this.
            due = get_command_name(expected) if expected else "nothing"
            raise InvalidClientState(f"expected {due}, got {get_command_name(cmd_type)}")
        self._unanswered.popleft()
        return request

    def _hearing(self, job_handle: str) -> list[GearmanJobRequest]:
        """Return the request that is next to hear about the job, and put it behind the others of that job."""
        requests = self.handle_to_request_map.get(_clean(job_handle))
        if not requests:
            # No fault: some servers send WORK_FAIL after the WORK_EXCEPTION that ended the job.
            return []
        requests.rotate(-1)
        return [requests[-1]]

    def _ended(self, job_handle: str) -> list[GearmanJobRequest]:
        ended = self._hearing(job_handle)
        if ended:
            requests = self.handle_to_request_map[_clean(job_handle)]
            requests.pop()
            if not requests:
                del self.handle_to_request_map[_clean(job_handle)]
        return ended

    def _decoded_exception(self, data: bytes) -> Any:
        """Return the exception as the worker sent it; a worker of another library need not use this one's encoder."""
        try:
            return self.decode_data(data)
        except Exception:
            # Users' decoders raise what they like, and the job has ended already.
            gearman_logger.warning("Cannot decode an exception; it stays bytes", exc_info=True)
            return data


def _clean(job_handle: str) -> str:
    # gearmand appends a NUL to the handle when it turns an exception into WORK_FAIL.
    return job_handle.rstrip(from_wire(b"\0"))


def _status(job_handle: str, known: str, running: str, numerator: str, denominator: str) -> dict[str, Any]:
    yes = from_wire(b"1")
    return {
        "handle": job_handle,
        "known": known in {yes, "1"},
        "running": running in {yes, "1"},
        "numerator": _number(numerator),
        "denominator": _number(denominator),
        "time_received": time.time(),
    }


def _number(text: str) -> float:
    """Return a number as python-gearman does, an int; workers of other libraries send fractions, too."""
    try:
        number = float(text)
    except ValueError:
        # npm-gearman-node's workers leave the numerator empty.
        return 0
    return int(number) if number.is_integer() else number
