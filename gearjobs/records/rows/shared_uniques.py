"""One unfinished job for each unique, across servers that know nothing of each other's queues.

A batch is inserted as if all were new; only when the database objects is it looked at what is there already: a handle
that somebody inserted or committed before, or a unique that another job holds. Such an acceptance is joined to the job
that is there, and that job is touched in the same transaction, so that whoever wanted to take it back (its submitter
was told ERROR) finds that others rely on it now.

Rows that clients inserted get their key when a server adopts them. Where another unfinished job has it, the row ends
and names that job, whatever the terms say of such a case, for only a queue knows whether the other has been handed out:
`replace` acts as `coalesce` here, and neither changes the other's priority or time. After `raise` the row says that it
was refused. A job that keeps its unique only until it starts has given it back for good once it has started.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from django.db.models import F
from django.utils import timezone

from gearjobs.core.changes import Accepted, Change, Finished, Forgotten, Started
from gearjobs.core.jobs import JobHandle
from gearjobs.core.terms import OnConflict, UniqueSpan
from gearjobs.errors import JobCoalesced, StoreError, UniqueConflict
from gearjobs.models import Job, JobStatus, StatusDetail
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.rows.failure_columns import class_path_of
from gearjobs.records.rows.unique_keys import unique_key

#: Handles and keys named in one statement.
_AT_ONCE: Final = 500
_CANCELLED_FIELDS: Final = (
    "status", "status_detail", "finished_at", "error_class", "error_message", "joined_to", "version",
)  # fmt: skip


class Overtaken(StoreError):
    """What was found a moment ago is no longer so: to be looked at again."""


@dataclass(slots=True)
class Known:
    """What of a batch's acceptances the table has already."""

    #: Rows under an accepted handle that this server is to own: its own, or nobody's.
    taken: set[JobHandle] = field(default_factory=set)
    #: Acceptances that are not inserted, and the job that stands for each: it itself where its row is finished or
    #: another server's.
    joined: dict[JobHandle, JobHandle] = field(default_factory=dict)
    #: Unfinished rows that submitters come to rely on by it.
    relied: set[str] = field(default_factory=set)


def find_known(alias: str, changes: Sequence[Change], *, owner: str) -> Known:
    """Look up what of a batch's acceptances the table has.

    Args:
        alias: the database of the job table.
        changes: the batch.
        owner: this server's incarnation.
    """
    known = Known()
    accepted = {change.handle: change for change in reversed(changes) if isinstance(change, Accepted)}
    ending = {change.handle for change in changes if _frees_unique(change)}
    rows = _rows(alias, "handle", _texts(accepted), columns=("handle", "owner", "finished_at"))
    for text, row_owner, finished_at in rows:
        handle = JobHandle(str(text).encode("ascii"))
        if finished_at is None and row_owner in {"", owner}:
            known.taken.add(handle)
            continue
        known.joined[handle] = handle
        if finished_at is None:
            known.relied.add(str(text))
    _find_joined(alias, [accepted[handle] for handle in reversed(accepted)], known=known, ending=ending)
    return known


def take(alias: str, known: Known, *, owner: str) -> None:
    """Own the rows to be owned and touch those relied on, in the transaction of the batch.

    Raises:
        Overtaken: one of them has ended meanwhile, or another server owns it.
    """
    taken = 0
    for some in _slices(_texts(known.taken)):
        rows = Job.objects.using(alias).filter(handle__in=some, finished_at=None)
        rows.filter(owner="").update(owner=owner)
        # Two servers would run it, each believing that the row is its own.
        taken += rows.filter(owner=owner).count()
    if taken != len(known.taken):
        raise Overtaken(f"{len(known.taken)} rows were to be taken over, {taken} were free", is_outage=False)
    rely_on(alias, known.relied)


def rely_on(alias: str, handles: Iterable[str]) -> None:
    """Touch unfinished jobs, so that nobody takes them back who thought that nobody else knows them.

    Raises:
        Overtaken: one of them has ended meanwhile.
    """
    relied = sorted(set(handles))
    unfinished = Job.objects.using(alias).filter(finished_at=None)
    touched = sum(unfinished.filter(handle__in=some).update(version=F("version") + 1) for some in _slices(relied))
    if touched != len(relied):
        raise Overtaken(f"{len(relied)} jobs were to be joined, {touched} are unfinished", is_outage=False)


def withdraw(alias: str, refused: Sequence[JobHandle], *, owner: str) -> None:
    """Remove jobs whose submitters were told ERROR; those that others rely on meanwhile are anybody's to adopt."""
    for some in _slices(_texts(refused)):
        unfinished = Job.objects.using(alias).filter(handle__in=some, owner=owner, finished_at=None)
        # Locked, for Django deletes what it has read, by handle alone: somebody may come to rely on it in between.
        unknown = list(unfinished.filter(version=1).select_for_update().values_list("handle", flat=True))
        Job.objects.using(alias).filter(handle__in=unknown).delete()
        unfinished.update(owner="")


def give_keys(alias: str, handles: Sequence[str]) -> set[str]:
    """Give keys to adopted rows that have none; return those that ended, being duplicates of unfinished jobs.

    Args:
        alias: the database of the job table.
        handles: in the order of acceptance: of two rows the earlier one is the job.

    Raises:
        IntegrityError: another server inserted such a job at the same moment.
        Overtaken: a job that is duplicated has ended meanwhile.
    """
    return {ended for some in _slices(handles) for ended in _give_some_keys(alias, some)}


def _give_some_keys(alias: str, handles: Sequence[str]) -> set[str]:
    keyless = Job.objects.using(alias).filter(handle__in=handles, finished_at=None, unique_key=None)
    rows = keyless.exclude(unique="").order_by("enqueued_at", "handle")
    found = rows.only("handle", "function", "unique", "payload", "version", "attempt", "terms")
    keyed = {row.handle: row for row in found if not _has_freed_unique(row)}
    for row in keyed.values():
        row.unique_key = unique_key(to_bytes(row.function), to_bytes(row.unique), bytes(row.payload))
    wanted = [row.unique_key for row in keyed.values() if row.unique_key]
    if not wanted:
        return set()
    holders = {
        str(key): str(handle) for key, handle in _rows(alias, "unique_key", wanted, columns=("unique_key", "handle"))
    }
    relied = set(holders.values())
    winners, duplicates = [], []
    for row in keyed.values():
        if row.unique_key is None:
            continue
        holder = holders.setdefault(row.unique_key, row.handle)
        if holder == row.handle:
            winners.append(row)
        else:
            duplicates.append(_cancelled(row, holder))
    jobs = Job.objects.using(alias)
    jobs.bulk_update(winners, ["unique_key"], batch_size=_AT_ONCE)
    jobs.bulk_update(duplicates, _CANCELLED_FIELDS, batch_size=_AT_ONCE)
    rely_on(alias, relied)
    return {row.handle for row in duplicates}


def _find_joined(alias: str, accepted: Sequence[Accepted], *, known: Known, ending: set[JobHandle]) -> None:
    keys: dict[JobHandle, str] = {}
    for change in accepted:
        if change.handle in known.joined or change.handle in ending:
            continue
        key = unique_key(change.function, change.unique, change.payload)
        if key is not None:
            keys[change.handle] = key
    rows = _rows(alias, "unique_key", list(keys.values()), columns=("unique_key", "handle"))
    # What this batch ends gives its key free.
    in_table = {str(key): JobHandle(str(text).encode("ascii")) for key, text in rows}
    holders = {key: handle for key, handle in in_table.items() if handle not in ending}
    for handle, key in keys.items():
        into = holders.get(key)
        if into is None:
            holders[key] = handle
        elif into != handle:
            known.joined[handle] = into
            known.taken.discard(handle)
            if in_table.get(key) == into:
                known.relied.add(into.decode("ascii"))


def _frees_unique(change: Change) -> bool:
    return isinstance(change, Finished | Forgotten) or (isinstance(change, Started) and change.frees_unique)


def _has_freed_unique(row: Job) -> bool:
    return row.attempt > 0 and row.terms.get("unique_for") == UniqueSpan.QUEUED.value


def _cancelled(row: Job, holder: str) -> Job:
    row.unique_key = None
    row.status, row.status_detail = JobStatus.FAILED, StatusDetail.CANCELLED
    row.finished_at = timezone.now()
    is_refused = row.terms.get("on_conflict") == OnConflict.RAISE.value
    row.error_class = class_path_of(UniqueConflict if is_refused else JobCoalesced)
    row.error_message = f"the job {holder} has the same function and unique id, and was not finished"
    row.joined_to = holder
    row.version += 1
    return row


def _rows(alias: str, column: str, values: Sequence[str], *, columns: tuple[str, ...]) -> Iterator[tuple[object, ...]]:
    for some in _slices(values):
        yield from Job.objects.using(alias).filter(**{f"{column}__in": some}).values_list(*columns)


def _slices(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


def _texts(handles: Iterable[JobHandle]) -> list[str]:
    return [handle.decode("ascii") for handle in handles]
