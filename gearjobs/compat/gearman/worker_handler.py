"""One connection of a worker: when to ask for a job, and what to do with what comes.

A worker runs one job at a time over all its servers; the handler that holds the worker's job lock is the one that asks
or works. A handler that was called (NOOP) while another holds the lock stays awake until its turn comes: python-gearman
sent PRE_SLEEP again and was called again. A call can be lost in a server's fault, so a sleeper also asks by itself now
and then.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

from gearjobs.compat.gearman.command_handler import GearmanCommandHandler
from gearjobs.compat.gearman.errors import InvalidWorkerState, WrongArgument
from gearjobs.compat.gearman.protocol import (
    GEARMAN_COMMAND_CAN_DO,
    GEARMAN_COMMAND_CANT_DO,
    GEARMAN_COMMAND_GRAB_JOB_UNIQ,
    GEARMAN_COMMAND_PRE_SLEEP,
    GEARMAN_COMMAND_SET_CLIENT_ID,
    GEARMAN_COMMAND_WORK_COMPLETE,
    GEARMAN_COMMAND_WORK_DATA,
    GEARMAN_COMMAND_WORK_EXCEPTION,
    GEARMAN_COMMAND_WORK_FAIL,
    GEARMAN_COMMAND_WORK_STATUS,
    GEARMAN_COMMAND_WORK_WARNING,
)
from gearjobs.compat.gearman.wire_strings import to_wire
from gearjobs.protocol.packets import ErrorCode

if TYPE_CHECKING:
    from gearjobs.compat.gearman.connection_manager import GearmanConnectionManager
    from gearjobs.compat.gearman.job import GearmanJob
    from gearjobs.compat.gearman.worker import GearmanWorker

#: Seconds asleep after which a worker asks by itself.
REGRAB_S: Final = 10.0
#: Seconds a server may take to answer; one that takes longer is given up, so that the others get their turns.
ANSWER_TIMEOUT_S: Final = 30.0


class GearmanWorkerCommandHandler(GearmanCommandHandler):
    """What one connection of a worker is at."""

    def __init__(self, connection_manager: GearmanConnectionManager | None = None) -> None:
        super().__init__(connection_manager)
        self._abilities: dict[bytes, None] = {}
        self._client_id: str | None = None
        #: True when a job may be waiting at this server.
        self.is_awake = False
        #: When something is due by itself, monotonic seconds: the answer while asking, the next question while asleep.
        self.due_at = math.inf
        #: When it had its last turn; the one that waits longest is next.
        self.last_turn_at = -math.inf

    def initial_state(self, abilities: Iterable[str] | None = None, client_id: str | None = None) -> None:
        self.set_client_id(client_id)
        self.set_abilities(abilities or ())

    def set_abilities(self, connection_abilities_list: Iterable[str]) -> None:
        """Tell the server what is new and what is gone; RESET_ABILITIES would give a running job back."""
        wanted = {to_wire(task): None for task in connection_abilities_list}
        for task in self._abilities:
            if task not in wanted:
                self.send_command(GEARMAN_COMMAND_CANT_DO, task=task)
        for task in wanted:
            if task not in self._abilities:
                self.send_command(GEARMAN_COMMAND_CAN_DO, task=task)
        self._abilities = wanted
        if not self.is_holding_lock():
            self._awaken()

    def set_client_id(self, client_id: str | None) -> None:
        self._client_id = client_id
        if client_id is not None:
            self.send_command(GEARMAN_COMMAND_SET_CLIENT_ID, client_id=client_id)

    def is_holding_lock(self) -> bool:
        """Whether it asks for a job, or runs one."""
        return self._worker.check_job_lock(self)

    def is_overdue(self, now: float) -> bool:
        """Whether the server owes an answer for too long."""
        return self.is_holding_lock() and now >= self.due_at

    def wake_if_due(self, now: float) -> None:
        """Ask by itself when the time for it came."""
        if not self.is_awake and not self.is_holding_lock() and now >= self.due_at:
            self._awaken()

    def take_turn(self, now: float) -> None:
        """Ask for a job; the worker has seen that nobody holds the lock."""
        if self._worker.set_job_lock(self, lock=True):
            self.is_awake = False
            self.last_turn_at = now
            self.due_at = now + ANSWER_TIMEOUT_S
            self.send_command(GEARMAN_COMMAND_GRAB_JOB_UNIQ)

    def send_job_status(self, current_job: GearmanJob, numerator: float, denominator: float) -> None:
        for name, number in (("numerator", numerator), ("denominator", denominator)):
            if not isinstance(number, int | float):
                raise WrongArgument(f"the {name} must be a number, got {number!r}")
        self.send_command(
            GEARMAN_COMMAND_WORK_STATUS,
            job_handle=current_job.handle,
            numerator=_decimal(numerator),
            denominator=_decimal(denominator),
        )

    def send_job_complete(self, current_job: GearmanJob, data: Any) -> None:
        self._send_with_data(GEARMAN_COMMAND_WORK_COMPLETE, current_job, data)

    def send_job_failure(self, current_job: GearmanJob) -> None:
        self.send_command(GEARMAN_COMMAND_WORK_FAIL, job_handle=current_job.handle)

    def send_job_exception(self, current_job: GearmanJob, data: Any) -> None:
        """Report the exception, and the failure: to some servers the exception alone is not the end of the job."""
        self._send_with_data(GEARMAN_COMMAND_WORK_EXCEPTION, current_job, data)
        self.send_job_failure(current_job)

    def send_job_data(self, current_job: GearmanJob, data: Any) -> None:
        self._send_with_data(GEARMAN_COMMAND_WORK_DATA, current_job, data)

    def send_job_warning(self, current_job: GearmanJob, data: Any) -> None:
        self._send_with_data(GEARMAN_COMMAND_WORK_WARNING, current_job, data)

    def recv_noop(self) -> bool:
        # One that comes while asking or working is older than the question.
        if not self.is_holding_lock():
            self._awaken()
        return True

    def recv_no_job(self) -> bool:
        self._release_job_lock()
        self.is_awake = False
        self.due_at = time.monotonic() + REGRAB_S if self._worker.asks_by_itself else math.inf
        self.send_command(GEARMAN_COMMAND_PRE_SLEEP)
        return True

    def recv_job_assign_uniq(self, job_handle: str, task: str, unique: str | None, data: bytes) -> bool:
        """Run the job here and now; what else came is read when it has ended."""
        if not self.is_holding_lock():
            raise InvalidWorkerState("Received a job when we weren't expecting one")
        if to_wire(task) not in self._abilities:
            # Unregistered since it was asked for. Closing the connection gives the job back.
            raise InvalidWorkerState(f"expected a job of a registered task, got one of {task!r}")
        self.due_at = math.inf
        job = self._worker.create_job(self, job_handle, task, unique, data)
        try:
            job.data = self.decode_data(data)
        except Exception:  # noqa: BLE001 - users' decoders raise what they like; the job fails, the worker goes on
            self._worker.on_job_exception(job, sys.exc_info())
        else:
            self._worker.on_job_execute(job)
        self._worker.note_end_of_job()
        self._release_job_lock()
        self._awaken()
        return True

    def recv_job_assign(self, job_handle: str, task: str, data: bytes) -> bool:
        return self.recv_job_assign_uniq(job_handle, task, None, data)

    def recv_error(self, error_code: str, error_text: str) -> bool:
        """A complaint about a report; of an ended job it says nothing new: WORK_FAIL follows each exception."""
        if error_code not in {ErrorCode.JOB_NOT_FOUND, ErrorCode.JOB_NOT_FOUND.encode()}:
            self.connection_manager.on_gearman_error(error_code, error_text)
        return True

    @property
    def _worker(self) -> GearmanWorker:
        # A worker's handlers are made by workers only.
        return cast("GearmanWorker", self.connection_manager)

    def _awaken(self) -> None:
        self.is_awake = True
        self.due_at = math.inf

    def _release_job_lock(self) -> None:
        self._worker.set_job_lock(self, lock=False)

    def _send_with_data(self, cmd_type: int, job: GearmanJob, data: Any) -> None:
        self.send_command(cmd_type, job_handle=job.handle, data=self.encode_data(data))


def _decimal(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else str(number)
