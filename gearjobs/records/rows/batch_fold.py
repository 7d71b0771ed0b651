"""Folds a batch of changes into one row write per job.

Within a batch only the last word on each column counts, so a job that was accepted, started and finished between two
commits costs one insert. The order of a job's changes is kept: what comes after its end changes nothing, and a restart
after a requeue wins over both. What a change means for the columns is decided here and nowhere else; the SQL is
`row_sql`'s, values that databases would refuse are `column_values`'s, why a run failed is `failure_columns`'s, streamed
pieces are `output_rows`'s, attempts that others followed `attempt_rows`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

from gearjobs.core.changes import (
    Accepted,
    CancelAsked,
    Change,
    Explained,
    Finished,
    Forgotten,
    Hastened,
    JobFailure,
    Outcome,
    Progressed,
    Requeued,
    Rescheduled,
    Retried,
    Started,
    Streamed,
)
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.models import DETAIL_STATUS, Job, StatusDetail
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.failures.fingerprint import Fingerprints
from gearjobs.records.failures.group_counts import FailureCount
from gearjobs.records.rows.attempt_rows import AttemptEnd
from gearjobs.records.rows.column_values import (
    CANCEL_REASON_LIMIT,
    BodyLimit,
    TimeColumn,
    finite,
    fit_priority,
    fit_text,
    json_text,
    name_text,
    terms_columns,
    worker_ids_text,
)
from gearjobs.records.rows.failure_columns import class_path_of, failure_values
from gearjobs.records.rows.unique_keys import unique_key

#: The columns of a fresh row that differ from job to job, in the order of `BatchFold.accepted`'s tuples.
ACCEPTED_FIELDS: Final = (
    "handle", "function", "unique", "queue", "task", "backend", "priority", "status_detail", "run_at", "enqueued_at",
    "enqueued_by", "metadata", "reducer", "owner", "unique_key", "payload",
)  # fmt: skip

_NO_NAMES: Final = ("", "", "")
_WAITING: Final = StatusDetail.WAITING.value
_SCHEDULED: Final = StatusDetail.SCHEDULED.value
#: The two columns that say where a job stands.
_STATES: Final = {
    detail: {"status": status.value, "status_detail": detail.value} for detail, status in DETAIL_STATUS.items()
}
_DETAILS: Final = {outcome: StatusDetail(outcome.value) for outcome in Outcome}


def _limit(name: str) -> int:
    return int(getattr(Job._meta.get_field(name), "max_length", None) or 0)


_TASK_LIMIT, _QUEUE_LIMIT, _BACKEND_LIMIT = _limit("task"), _limit("queue"), _limit("backend")
_SUBMITTER_LIMIT, _NOTE_LIMIT = _limit("enqueued_by"), _limit("progress_message")


@lru_cache(maxsize=4096)
def _names(queue: str, task: str, backend: str) -> tuple[str, str, str]:
    return fit_text(queue, _QUEUE_LIMIT), fit_text(task, _TASK_LIMIT), fit_text(backend, _BACKEND_LIMIT)


class JobWrite:
    """What a batch changes on a row beyond its acceptance."""

    __slots__ = ("is_finished", "is_forgotten", "start", "values", "versions", "was_refused")

    def __init__(self) -> None:
        #: Column values by field name, in the order they were first set.
        self.values: dict[str, object] = {}
        #: How many visible changes were folded.
        self.versions = 0
        #: The latest start.
        self.start: Started | None = None
        self.is_finished = False
        self.is_forgotten = False
        #: With `is_forgotten`: the row may stay if others rely on it.
        self.was_refused = False


class BatchFold:
    """The row writes of one batch.

    Args:
        changes: in the order in which they happened.
        owner: the job server's incarnation, for new rows.
        to_time: the database's time column.
        body_limit: what the database takes in one statement.
        fingerprints: tells the kinds of failures.

    Raises:
        StoreError: a payload is too long for the database.
    """

    def __init__(
        self,
        changes: Iterable[Change],
        *,
        owner: str,
        to_time: TimeColumn,
        body_limit: BodyLimit,
        fingerprints: Fingerprints,
    ) -> None:
        #: New rows: values of ACCEPTED_FIELDS by handle.
        self.accepted: dict[JobHandle, tuple[object, ...]] = {}
        #: Changes of rows, new or old, by handle.
        self.writes: dict[JobHandle, JobWrite] = {}
        #: Streamed pieces in order.
        self.streamed: list[Streamed] = []
        #: Jobs of groups that have ended.
        self.members: list[JobHandle] = []
        #: What became of lost workers.
        self.explained: list[Explained] = []
        #: Runs that failed, by fingerprint.
        self.failures: dict[str, FailureCount] = {}
        self._attempts: list[AttemptEnd] = []
        self._owner = owner
        self._to_time = to_time
        self._body_limit = body_limit
        self._fingerprints = fingerprints
        folders: dict[type[Change], Callable[..., None]] = {
            Started: self._start,
            Progressed: self._progress,
            Requeued: self._requeue,
            Retried: self._retry,
            CancelAsked: self._ask_cancel,
            Hastened: self._hasten,
            Rescheduled: self._reschedule,
            Finished: self._finish,
            Forgotten: self._forget,
        }
        for change in changes:
            kind = type(change)
            if kind is Accepted:
                self._accept(change)  # type: ignore[arg-type]  # the line above knows; isinstance costs a tenth of a row
            elif kind is Streamed:
                self.streamed.append(change)  # type: ignore[arg-type]  # likewise
            elif kind is Explained:
                # It may well come after the end.
                self.explained.append(change)  # type: ignore[arg-type]  # likewise
            else:
                write = self.writes.get(change.handle)
                if write is None:
                    write = self.writes[change.handle] = JobWrite()
                if not write.is_finished or kind is Forgotten:
                    write.versions += 1
                    folders[kind](write, change)

    def ended(self) -> list[JobHandle]:
        """Return the jobs of which nothing more will come."""
        return [handle for handle, write in self.writes.items() if write.is_finished or write.is_forgotten]

    def forgotten(self) -> list[JobHandle]:
        """Return the jobs whose rows go."""
        return [handle for handle, write in self.writes.items() if write.is_forgotten and handle not in self.accepted]

    def attempts(self) -> list[AttemptEnd]:
        """Return the attempts that did not end their job, in order, of jobs that have a row."""
        writes = self.writes
        return [end for end in self._attempts if end.handle in writes and not writes[end.handle].is_forgotten]

    def sort_accepted(self) -> None:
        """Put the new rows in an order that two servers with the same uniques share, so that neither waits for both."""
        place = ACCEPTED_FIELDS.index("unique_key")
        if sum(row[place] is not None for row in self.accepted.values()) > 1:
            self.accepted = dict(sorted(self.accepted.items(), key=lambda item: str(item[1][place] or "")))

    def take_refused(self) -> list[JobHandle]:
        """Return the jobs that others may rely on although their acceptance was refused; they are written no more."""
        refused = [handle for handle, write in self.writes.items() if write.was_refused]
        for handle in refused:
            del self.writes[handle]
        return [handle for handle in refused if self.accepted.pop(handle, None) is None]

    def _accept(self, change: Accepted) -> None:
        handle = change.handle
        if handle in self.accepted or handle in self.writes:
            return
        if self._body_limit.is_exceeded(change.payload):
            text = f"a payload must be short enough for the database's statement, got {len(change.payload)} bytes"
            raise StoreError(text, is_outage=False)
        details, names, submitter, metadata = change.details, _NO_NAMES, "", "{}"
        if details is not None:
            names = _names(details.queue, details.task, details.backend)
            submitter = fit_text(details.enqueued_by, _SUBMITTER_LIMIT)
            metadata = json_text(details.metadata)
            if details.terms:
                write = self.writes[handle] = JobWrite()
                write.values.update(terms_columns(details.terms, self._to_time))
        self.accepted[handle] = (
            handle.decode("ascii"),
            name_text(change.function),
            to_text(change.unique) if change.unique else "",
            *names,
            fit_priority(change.priority),
            _SCHEDULED if change.run_at > change.accepted_at else _WAITING,
            self._to_time(change.run_at) if change.run_at else None,
            self._to_time(change.accepted_at),
            submitter,
            metadata,
            name_text(change.reducer) if change.reducer else "",
            self._owner,
            unique_key(change.function, change.unique, change.payload) if change.unique else None,
            change.payload,
        )

    def _start(self, write: JobWrite, change: Started) -> None:
        moment = self._to_time(change.started_at)
        write.start = change
        values = write.values
        values.update(_STATES[StatusDetail.RUNNING])
        values.setdefault("started_at", moment)
        values["last_attempted_at"] = moment
        values["attempt"] = change.attempt
        values["worker_ids"] = worker_ids_text(change.worker_ids)
        values["is_resumable"] = change.is_resumable
        if change.frees_unique:
            values["unique_key"] = None

    def _progress(self, write: JobWrite, change: Progressed) -> None:
        values = write.values
        values["progress_numerator"] = finite(change.numerator)
        values["progress_denominator"] = finite(change.denominator)
        values["progress_message"] = fit_text(change.message, _NOTE_LIMIT)

    def _requeue(self, write: JobWrite, change: Requeued) -> None:
        has_failed = change.is_crash or change.failure is not None
        self._line_up(write, StatusDetail.RETRYING if has_failed else StatusDetail.WAITING)
        write.values["crashes"] = change.crashes
        write.values["lost"] = change.lost
        if change.failure is not None:
            self._note_attempt(write, change, ended_at=change.requeued_at, failure=change.failure)
            self._note_failure(write, change, ended_at=change.requeued_at, failure=change.failure)

    def _retry(self, write: JobWrite, change: Retried) -> None:
        self._line_up(write, StatusDetail.RETRYING)
        write.values["run_at"] = self._to_time(change.run_at)
        self._note_attempt(write, change, ended_at=change.retried_at, failure=change.failure)
        self._note_failure(write, change, ended_at=change.retried_at, failure=change.failure)

    def _line_up(self, write: JobWrite, detail: StatusDetail) -> None:
        write.values.update(_STATES[detail])
        write.values.update(progress_numerator=0.0, progress_denominator=0.0, progress_message="")

    def _note_attempt(
        self, write: JobWrite, change: Requeued | Retried, *, ended_at: float, failure: JobFailure
    ) -> None:
        start = write.start if write.start is not None and write.start.attempt == change.attempt else None
        error = failure_values(change.outcome, failure)
        self._attempts.append(
            AttemptEnd(
                change.handle,
                change.attempt,
                change.outcome.value,
                (error["error_class"], error["error_message"], error["error_traceback"]),
                self._to_time(ended_at),
                start,
            )
        )

    def _note_failure(
        self, write: JobWrite, change: Requeued | Retried | Finished, *, ended_at: float, failure: JobFailure | None
    ) -> None:
        kind = self._fingerprints.kind_of(change.function, change.outcome, failure=failure, ended_at=ended_at)
        if kind is None:
            return
        write.values["fingerprint"] = kind.fingerprint
        count = self.failures.setdefault(kind.fingerprint, FailureCount(kind))
        count.add(change.handle.decode("ascii"), ended_at, is_end=type(change) is Finished)

    def _hasten(self, write: JobWrite, change: Hastened) -> None:
        values = write.values
        values["priority"] = fit_priority(change.priority)
        values["run_at"] = self._to_time(change.run_at) if change.run_at else None
        if change.run_at <= change.hastened_at:
            values.update(_STATES[StatusDetail.WAITING])

    def _reschedule(self, write: JobWrite, change: Rescheduled) -> None:
        values = write.values
        values["priority"] = fit_priority(change.priority)
        values["run_at"] = self._to_time(change.run_at) if change.run_at else None
        is_later = change.run_at > change.rescheduled_at
        if is_later:
            values.update(_STATES[StatusDetail.RETRYING if change.has_run else StatusDetail.SCHEDULED])
        elif not change.has_run:
            values.update(_STATES[StatusDetail.WAITING])
        if change.function:
            values["function"] = name_text(change.function)
            values["queue"] = fit_text(change.queue, _QUEUE_LIMIT)

    def _ask_cancel(self, write: JobWrite, change: CancelAsked) -> None:
        write.values["cancel_asked_at"] = self._to_time(change.asked_at)
        if change.reason:
            write.values["cancel_reason"] = fit_text(change.reason, CANCEL_REASON_LIMIT)

    def _finish(self, write: JobWrite, change: Finished) -> None:
        if self._body_limit.is_exceeded(change.result):
            change = _without_result(change)
        write.is_finished = True
        if change.is_member:
            self.members.append(change.handle)
        values = write.values
        values.update(_STATES[_DETAILS[change.outcome]])
        values["finished_at"] = self._to_time(change.finished_at)
        values["unique_key"] = None
        if change.cancel_reason:
            values["cancel_reason"] = fit_text(change.cancel_reason, CANCEL_REASON_LIMIT)
        values["result"] = change.result
        # An earlier run may have failed.
        values["fingerprint"] = None
        if change.outcome is not Outcome.SUCCEEDED:
            values["result"] = change.result or None
            values.update(failure_values(change.outcome, change.failure))
            self._note_failure(write, change, ended_at=change.finished_at, failure=change.failure)

    def _forget(self, write: JobWrite, change: Forgotten) -> None:
        write.is_forgotten = True
        write.was_refused = change.was_refused


def _without_result(change: Finished) -> Finished:
    """Return the outcome of a job whose result the database cannot take: it ends, and says what is missing."""
    words = f"the job {change.outcome.value}, but its result of {len(change.result)} bytes is too long for the database"
    failure = JobFailure(class_path_of(StoreError), words)
    is_member, function = change.is_member, change.function
    return Finished(change.handle, Outcome.FAILED, b"", change.finished_at, failure, is_member, function=function)
