"""One handler a packet: reads its arguments, calls the queue's verb of the same name, sends the direct answer.

The table at the end of the class is the list of what the server understands. No decision about jobs is made here;
what a peer may be refused is raised as QueueRefusal by the queue or as WireError here, and becomes an ERROR packet in
one place. Source: PROTOCOL; gearmand's answers where the text is silent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gearjobs.core.changes import JobDetails, JobFailure, Outcome
from gearjobs.core.handles import HandleMaker, is_handle
from gearjobs.core.job_queue import JobQueue
from gearjobs.core.jobs import (
    HIGH_PRIORITY,
    LOW_PRIORITY,
    NORMAL_PRIORITY,
    FunctionName,
    Job,
    JobHandle,
)
from gearjobs.core.reattachment import ReattachRules
from gearjobs.core.rescheduling import Wish
from gearjobs.core.run_reports import FailedRun
from gearjobs.core.submission import CancelReceipt, CancelVerdict, Submission
from gearjobs.core.terms import NO_TERMS, JobTerms, OnConflict, TermsError, read_terms, write_terms
from gearjobs.errors import JobNotHeld, JobUnknown, QueueFull, QueueRefusal, UniqueTaken, UniqueTooLong, WireError
from gearjobs.protocol import attributes
from gearjobs.protocol.codec import Packet, encode_response
from gearjobs.protocol.packets import EXCEPTIONS_OPTION, EXTENSIONS_OPTION, HEADER_BYTES, ErrorCode, PacketType, Refusal
from gearjobs.protocol.wire_text import to_text
from gearjobs.server.assignments import NO_JOB, Assignments
from gearjobs.server.commit.durability import Durability
from gearjobs.server.connection import Connection
from gearjobs.server.cron_fields import scheduled_time
from gearjobs.server.held_grabs import HeldGrabs
from gearjobs.server.memory_budget import MemoryBudget
from gearjobs.server.wire_numbers import (
    attempt_number,
    due_time,
    lenient_number,
    timeout_seconds,
    wanted_priority,
    wanted_time,
)

Arguments = tuple[bytes, ...]
#: Does what a packet asks.
Handler = Callable[[Connection, Packet, float], None]

#: gearmand keeps 127 bytes of a client id.
CLIENT_ID_LIMIT_BYTES: Final = 127

#: Kept of what a supervisor says of a lost process: a sentence.
CAUSE_LIMIT_BYTES: Final = 1000

#: Priority, and whether it is a background job.
_SUBMITS: Final[dict[int, tuple[int, bool]]] = {
    PacketType.SUBMIT_JOB: (NORMAL_PRIORITY, False),
    PacketType.SUBMIT_JOB_HIGH: (HIGH_PRIORITY, False),
    PacketType.SUBMIT_JOB_LOW: (LOW_PRIORITY, False),
    PacketType.SUBMIT_JOB_BG: (NORMAL_PRIORITY, True),
    PacketType.SUBMIT_JOB_HIGH_BG: (HIGH_PRIORITY, True),
    PacketType.SUBMIT_JOB_LOW_BG: (LOW_PRIORITY, True),
    PacketType.SUBMIT_REDUCE_JOB: (NORMAL_PRIORITY, False),
    PacketType.SUBMIT_REDUCE_JOB_BACKGROUND: (NORMAL_PRIORITY, True),
}

#: gearmand words its refusal of a report by the kind of the report.
_NOT_HELD: Final[dict[int, Refusal]] = {
    PacketType.WORK_DATA: Refusal.NO_JOB_FOR_DATA,
    PacketType.WORK_WARNING: Refusal.NO_JOB_FOR_DATA,
    PacketType.WORK_EXCEPTION: Refusal.NO_JOB_FOR_EXCEPTION,
}

#: Reports of a job's end.
_ENDINGS: Final = frozenset(
    {PacketType.WORK_COMPLETE, PacketType.WORK_FAIL, PacketType.WORK_FAIL_EXT, PacketType.WORK_EXCEPTION}
)

#: JOB_CREATED's header, by the length of the handle behind it; there are 63 lengths.
_CREATED_HEADERS: Final[dict[int, bytes]] = {}
_STORE_FAILED: Final = encode_response(PacketType.ERROR, *(text.encode() for text in Refusal.STORE_FAILED.value))


def error_packet(code: str, text: str) -> bytes:
    """Return an ERROR packet."""
    return encode_response(PacketType.ERROR, code.encode(), text.encode())


class Dispatch:
    """Packets in, verbs called, answers out.

    Args:
        queue: the queue.
        durability: holds JOB_CREATED until its job is committed.
        handles: names new jobs.
        budget: knows when there is no memory for more of them.
        assignments: makes what workers are sent with their jobs.
        held: keeps grabs that find nothing for a moment; where there is none, they are answered at once.
    """

    def __init__(
        self,
        queue: JobQueue,
        durability: Durability,
        handles: HandleMaker,
        *,
        budget: MemoryBudget,
        assignments: Assignments | None = None,
        held: HeldGrabs | None = None,
    ) -> None:
        self._queue = queue
        self._durability = durability
        self._handles = handles
        self._budget = budget
        self._assignments = assignments or Assignments(ReattachRules())
        self._held = held
        self._table: dict[int, Handler] = {
            PacketType.CAN_DO: self._can_do,
            PacketType.CAN_DO_TIMEOUT: self._can_do_timeout,
            PacketType.CANT_DO: self._cant_do,
            PacketType.RESET_ABILITIES: self._reset_abilities,
            PacketType.PRE_SLEEP: self._pre_sleep,
            PacketType.SET_CLIENT_ID: self._set_client_id,
            PacketType.GRAB_JOB: self._grab_job,
            PacketType.GRAB_JOB_UNIQ: self._grab_job,
            PacketType.GRAB_JOB_ALL: self._grab_job,
            PacketType.GRAB_JOB_EXT: self._grab_job_ext,
            PacketType.RESUME_JOB: self._resume_job,
            PacketType.RENEW_JOBS: self._renew_jobs,
            PacketType.WORK_STATUS: self._work_status,
            PacketType.WORK_STATUS_EXT: self._work_status_ext,
            PacketType.WORK_DATA: self._work_data,
            PacketType.WORK_WARNING: self._work_warning,
            PacketType.WORK_COMPLETE: self._work_complete,
            PacketType.WORK_FAIL: self._work_fail,
            PacketType.WORK_FAIL_EXT: self._work_fail_ext,
            PacketType.WORK_EXCEPTION: self._work_exception,
            PacketType.LOSS_REPORT: self._loss_report,
            PacketType.SUBMIT_JOB: self._submit_job,
            PacketType.SUBMIT_JOB_HIGH: self._submit_job,
            PacketType.SUBMIT_JOB_LOW: self._submit_job,
            PacketType.SUBMIT_JOB_BG: self._submit_job,
            PacketType.SUBMIT_JOB_HIGH_BG: self._submit_job,
            PacketType.SUBMIT_JOB_LOW_BG: self._submit_job,
            PacketType.SUBMIT_REDUCE_JOB: self._submit_reduce_job,
            PacketType.SUBMIT_REDUCE_JOB_BACKGROUND: self._submit_reduce_job,
            PacketType.SUBMIT_JOB_EPOCH: self._submit_delayed_job,
            PacketType.SUBMIT_JOB_SCHED: self._submit_delayed_job,
            PacketType.SUBMIT_JOB_EXT: self._submit_job_ext,
            PacketType.ADOPT_JOBS: self._adopt_jobs,
            PacketType.CANCEL_JOB: self._cancel_job,
            PacketType.CANCEL_FOR_REASON: self._cancel_job,
            PacketType.CHANGE_JOB: self._change_job,
            PacketType.GET_STATUS: self._get_status,
            PacketType.GET_STATUS_UNIQUE: self._get_status_unique,
            PacketType.ECHO_REQ: self._echo_req,
            PacketType.OPTION_REQ: self._option_req,
        }

    def learn(self, further: Mapping[int, Handler]) -> None:
        """Hand packets that are not about jobs to these from now on."""
        self._table.update(further)

    def handle(self, connection: Connection, packet: Packet, now: float) -> None:
        """Do what the packet asks.

        Raises:
            WireError: it is refused; nothing changed.
        """
        handler = self._table.get(packet.type)
        if handler is None:
            raise WireError(*Refusal.NOT_A_REQUEST.value)
        try:
            handler(connection, packet, now)
        except QueueRefusal as refusal:
            if packet.type in _ENDINGS and connection.has_extensions:
                # Nobody wants the outcome; a worker that can come back to a run keeps it until it hears so.
                settled = encode_response(PacketType.OUTCOME_SETTLED, _before_nul(packet.arguments[0]))
                connection.send(settled)
            raise _translate(refusal, packet.type) from refusal

    def _can_do(self, connection: Connection, packet: Packet, now: float) -> None:
        self._queue.can_do(connection.id, FunctionName(packet.arguments[0]), now=now)

    def _can_do_timeout(self, connection: Connection, packet: Packet, now: float) -> None:
        function, milliseconds = packet.arguments
        self._queue.can_do(connection.id, FunctionName(function), timeout_s=timeout_seconds(milliseconds), now=now)

    def _cant_do(self, connection: Connection, packet: Packet, now: float) -> None:
        self._queue.cant_do(connection.id, FunctionName(packet.arguments[0]), now=now)

    def _reset_abilities(self, connection: Connection, packet: Packet, now: float) -> None:
        self._queue.reset_abilities(connection.id, now=now)

    def _pre_sleep(self, connection: Connection, packet: Packet, now: float) -> None:
        self._queue.pre_sleep(connection.id, now=now)

    def _set_client_id(self, connection: Connection, packet: Packet, now: float) -> None:
        self._queue.set_client_id(connection.id, to_text(packet.arguments[0][:CLIENT_ID_LIMIT_BYTES]))

    def _grab_job(self, connection: Connection, packet: Packet, now: float) -> None:
        self._grab(connection, packet, self._queue.grab_job(connection.id, now=now), now=now)

    def _grab_job_ext(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        connection.watch_closely()
        self._grab(connection, packet, self._queue.grab_job(connection.id, is_resumable=True, now=now), now=now)

    def _grab(self, connection: Connection, packet: Packet, job: Job | None, *, now: float) -> None:
        """Answer a grab, or hold it."""
        if job is not None:
            connection.send(self._assignments.packet(packet.type, job))
        elif self._held is None:
            connection.send(NO_JOB)
        else:
            self._held.hold(connection, packet.type, now)

    def _resume_job(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        # A worker that comes back with a run may not ask for another job before the end of it.
        connection.watch_closely()
        handle, attempt = packet.arguments
        verdict = self._queue.resume_job(connection.id, JobHandle(handle), attempt_number(attempt), now=now)
        connection.send(encode_response(PacketType.RESUME_RES, handle, attempt, verdict.encode()))

    def _renew_jobs(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        connection.send(encode_response(PacketType.RENEW_RES, b"%d" % self._durability.is_lease_held))

    def _work_status(self, connection: Connection, packet: Packet, now: float) -> None:
        handle, numerator, denominator = packet.arguments
        numbers = (lenient_number(numerator), lenient_number(denominator))
        self._queue.work_status(connection.id, JobHandle(handle), (numerator, denominator), numbers=numbers, now=now)

    def _work_status_ext(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        handle, numerator, denominator, message = packet.arguments
        self._queue.work_status(
            connection.id,
            JobHandle(handle),
            (numerator, denominator),
            numbers=(lenient_number(numerator), lenient_number(denominator)),
            message=_readable(message),
            now=now,
        )

    def _work_data(self, connection: Connection, packet: Packet, now: float) -> None:
        self._queue.work_data(connection.id, JobHandle(packet.arguments[0]), packet.arguments[1], now=now)

    def _work_warning(self, connection: Connection, packet: Packet, now: float) -> None:
        self._queue.work_warning(connection.id, JobHandle(packet.arguments[0]), packet.arguments[1], now=now)

    def _work_complete(self, connection: Connection, packet: Packet, now: float) -> None:
        # Any: see `_submit_job`.
        words: Any = packet.arguments
        handle, result = words
        self._queue.work_complete(connection.id, handle, result, now=now)

    def _work_fail(self, connection: Connection, packet: Packet, now: float) -> None:
        self._queue.work_fail(connection.id, JobHandle(_before_nul(packet.arguments[0])), now=now)

    def _work_exception(self, connection: Connection, packet: Packet, now: float) -> None:
        handle, body = packet.arguments
        failure = JobFailure(message=_readable(body))
        self._queue.work_exception(connection.id, JobHandle(handle), body, failure=failure, now=now)

    def _work_fail_ext(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        handle, body = packet.arguments
        report = _read_failure(body)
        # Clients learn what failed; the traceback stays in the record.
        public = attributes.encode(attributes.FailureReport(report.class_path, report.message))
        failure = JobFailure(report.class_path, report.message, report.traceback)
        run = FailedRun(failure, public, Outcome(report.outcome), report.retry_in_s)
        self._queue.work_fail_ext(connection.id, JobHandle(handle), run, now=now)

    def _loss_report(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        handle, attempt, cause = packet.arguments
        _require_handle(handle, "LOSS_REPORT")
        shown = _readable(cause[:CAUSE_LIMIT_BYTES])
        self._queue.loss_report(JobHandle(handle), attempt_number(attempt), shown)

    def _submit_job(self, connection: Connection, packet: Packet, now: float) -> None:
        # Any: a call that only names a type would be made for every job.
        words: Any = packet.arguments
        function, unique, payload = words
        priority, is_background = _SUBMITS[packet.type]
        submission = Submission(function, unique, payload, priority, is_background)
        self._submit(connection, submission, self._handles.next_handle(), now=now)

    def _submit_reduce_job(self, connection: Connection, packet: Packet, now: float) -> None:
        function, unique, reducer, _aggregator, payload = packet.arguments
        priority, is_background = _SUBMITS[packet.type]
        submission = Submission(FunctionName(function), unique, payload, priority, is_background, reducer=reducer)
        self._submit(connection, submission, self._handles.next_handle(), now=now)

    def _submit_delayed_job(self, connection: Connection, packet: Packet, now: float) -> None:
        function, unique, *when, payload = packet.arguments
        is_epoch = packet.type == PacketType.SUBMIT_JOB_EPOCH
        run_at = due_time(when[0], now=now) if is_epoch else scheduled_time(when, now=now)
        submission = Submission(FunctionName(function), unique, payload, NORMAL_PRIORITY, True, run_at)
        self._submit(connection, submission, self._handles.next_handle(), now=now)

    def _submit_job_ext(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        handle, function, unique, body, payload = packet.arguments
        _require_handle(handle, "SUBMIT_JOB_EXT")
        said = attributes.decode_submit(body)
        terms = _read_terms(said.terms)
        details = JobDetails(said.task, said.queue, said.backend, said.enqueued_by, said.metadata)
        if terms is not NO_TERMS:
            details.terms = write_terms(terms)
        submission = Submission(
            FunctionName(function),
            unique,
            payload,
            said.priority,
            is_background=True,
            run_at=said.run_at,
            details=details,
            terms=terms,
        )
        self._submit(connection, submission, JobHandle(handle), now=now)

    def _submit(self, connection: Connection, submission: Submission, handle: JobHandle, *, now: float) -> None:
        if self._budget.is_refusing:
            self._budget.submits_refused += 1
            raise WireError(*Refusal.OUT_OF_MEMORY.value)
        if connection.credentials is not None and connection.credentials.grants is not None:
            submission.submitter = connection.credentials.identity.principal
        receipt = self._queue.submit_job(connection.id, submission, handle=handle, now=now)
        created = _created(receipt.handle)
        if receipt.awaits_store:
            may_join = submission.terms.on_conflict is not OnConflict.RAISE
            self._durability.hold_created(connection, receipt.handle, created, refusal=_STORE_FAILED, may_join=may_join)
        else:
            connection.send(created)

    def _cancel_job(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        word, force, *reason = packet.arguments
        handle = JobHandle(word)
        try:
            receipt = self._queue.cancel_job(
                handle, is_forced=force == b"1", reason=_readable(b"".join(reason)), now=now
            )
        except JobUnknown:
            receipt = CancelReceipt(CancelVerdict.UNKNOWN)
        answer = encode_response(PacketType.CANCEL_RES, handle, receipt.verdict.encode())
        if receipt.verdict is CancelVerdict.ASKED:
            self._durability.hold_asked(connection, handle, answer, is_new=receipt.awaits_store)
        elif receipt.awaits_store:
            # Nobody knows then whether the job has a row, and is run.
            self._durability.hold_ended(connection, handle, answer, refusal=_STORE_FAILED)
        else:
            connection.send(answer)

    def _change_job(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        word, priority, run_at, function, queue = packet.arguments
        handle = JobHandle(word)
        wish = Wish(wanted_priority(priority), wanted_time(run_at), FunctionName(function) if function else None)
        wish.queue = _readable(queue)
        receipt = self._queue.change_job(handle, wish, now=now)
        answer = encode_response(PacketType.CHANGE_RES, handle, receipt.verdict.encode())
        if receipt.awaits_store:
            self._durability.hold_changed(connection, handle, answer)
        else:
            connection.send(answer)

    def _adopt_jobs(self, connection: Connection, packet: Packet, now: float) -> None:
        _require_extensions(connection)
        self._durability.adopt()

    def _get_status(self, connection: Connection, packet: Packet, now: float) -> None:
        handle = _before_nul(packet.arguments[0])
        status = self._queue.get_status(JobHandle(handle))
        connection.send(
            encode_response(
                PacketType.STATUS_RES,
                handle,
                b"%d" % status.is_known,
                b"%d" % status.is_running,
                b"%d" % status.numerator,
                b"%d" % status.denominator,
            )
        )

    def _get_status_unique(self, connection: Connection, packet: Packet, now: float) -> None:
        unique = _before_nul(packet.arguments[0])
        status = self._queue.get_status_unique(unique)
        connection.send(
            encode_response(
                PacketType.STATUS_RES_UNIQUE,
                unique,
                b"%d" % status.is_known,
                b"%d" % status.is_running,
                b"%d" % status.numerator,
                b"%d" % status.denominator,
                b"%d" % status.clients,
            )
        )

    def _echo_req(self, connection: Connection, packet: Packet, now: float) -> None:
        connection.send(encode_response(PacketType.ECHO_RES, packet.arguments[0]))

    def _option_req(self, connection: Connection, packet: Packet, now: float) -> None:
        option = packet.arguments[0]
        if _before_nul(option).lower() == EXCEPTIONS_OPTION:
            self._queue.want_exceptions(connection.id)
        elif option == EXTENSIONS_OPTION:
            connection.has_extensions = True
            self._queue.use_extensions(connection.id)
        else:
            raise WireError(*Refusal.UNKNOWN_OPTION.value)
        connection.send(encode_response(PacketType.OPTION_RES, option))


def _created(handle: JobHandle) -> bytes:
    # Handles of one process have one length, mostly.
    header = _CREATED_HEADERS.get(len(handle))
    if header is None:
        header = _CREATED_HEADERS[len(handle)] = encode_response(PacketType.JOB_CREATED, handle)[:HEADER_BYTES]
    return header + handle


def _require_extensions(connection: Connection) -> None:
    if not connection.has_extensions:
        raise WireError(*Refusal.NOT_A_REQUEST.value)


def _require_handle(word: bytes, packet: str) -> None:
    """Refuse what no store could look for."""
    if not is_handle(word):
        text = f"{packet} wants a handle of 1 to 63 bytes of visible ASCII, got {word[:80]!r}"
        raise WireError(ErrorCode.INVALID_PACKET, text)


def _read_terms(document: dict[str, object]) -> JobTerms:
    try:
        return read_terms(document)
    except TermsError as error:
        raise WireError(ErrorCode.INVALID_PACKET, f"SUBMIT_JOB_EXT terms: {error}") from error


def _read_failure(body: bytes) -> attributes.FailureReport:
    """Return a worker's report; one that cannot be read must not keep its job from ending."""
    try:
        return attributes.decode_failure(body)
    except WireError as error:
        return attributes.FailureReport(message=f"the worker's report cannot be read: {error.text}")


def _before_nul(argument: bytes) -> bytes:
    """Return a packet's only argument as gearmand reads it: up to its first NUL, which some clients send along."""
    return argument.partition(b"\0")[0]


def _readable(raw: bytes) -> str:
    """Return a peer's words as text that every database takes: valid UTF-8 without NUL."""
    return raw.decode("utf-8", "replace").replace("\0", "\ufffd")


def _translate(refusal: QueueRefusal, packet_type: int) -> WireError:
    if isinstance(refusal, UniqueTooLong):
        return WireError(*Refusal.UNIQUE_TOO_LARGE.value)
    if isinstance(refusal, QueueFull):
        return WireError(*Refusal.QUEUE_FULL.value)
    if isinstance(refusal, UniqueTaken):
        return WireError(ErrorCode.UNIQUE_TAKEN, f"{refusal}: {to_text(refusal.handle)}")
    if isinstance(refusal, JobNotHeld):
        return WireError(*_NOT_HELD.get(packet_type, Refusal.NO_JOB_FOR_RESULT).value)
    raise AssertionError(f"no ERROR packet is known for {type(refusal).__name__}") from refusal
