"""The record of a job in one of gearmand's queue stores, and what we add to it.

gearmand keeps (function, unique) -> priority, data and time, and forgets the rest: handle, attempts, terms, reducer. We
keep the same records, so that it can have its queue back, and beside each one `extras`, a JSON document of ours that it
does not look at. A record without extras is one that gearmand wrote. Where the store's own names cannot say what the
job's function and unique are (none, `-`, bytes that are no text), the record is named by the handle, and the extras say
it. What the records are kept in is a `RecordTable` (`queue_only`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from gearjobs.core.changes import StoredJob
from gearjobs.core.jobs import HIGH_PRIORITY, LOW_PRIORITY, NORMAL_PRIORITY, FunctionName, JobHandle, Lane, lane_of
from gearjobs.core.terms import NO_TERMS, read_terms, write_terms

#: Version of the extras' form.
EXTRAS_VERSION: Final = 1
#: The most a `when` can say: gearmand's int64_t.
WHEN_LIMIT_S: Final = 2**63 - 1

_PRIORITIES: Final[Mapping[int, int]] = {
    Lane.HIGH: HIGH_PRIORITY,
    Lane.NORMAL: NORMAL_PRIORITY,
    Lane.LOW: LOW_PRIORITY,
}
#: Fields of StoredJob that stand in the extras as they are, unless they have their default: name there -> field.
_PLAIN: Final[Mapping[str, str]] = {
    "attempt": "attempt",
    "crashes": "crashes",
    "lost": "lost",
    "workers": "worker_ids",
    "running": "was_running",
    "resumable": "is_resumable",
    "cancel": "is_cancel_asked",
}
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode
_DEFAULTS: Final = StoredJob(JobHandle(b""), FunctionName(b""), b"", b"", 0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class RecordName:
    """The name of a record: no two of a table have the same."""

    #: gearmand's function_name.
    function: bytes
    #: gearmand's unique_key.
    key: bytes


@dataclass(slots=True)
class QueueRecord:
    """One unfinished background job as a table keeps it."""

    name: RecordName
    #: gearmand's priority: 0 high, 1 normal, 2 low.
    lane: int
    payload: bytes
    #: Whole unix seconds before which the job must not start; 0 for at once. A table that can hold less writes its
    #: most: the extras know it exactly.
    when: int
    #: Ours; b"" where gearmand wrote the record.
    extras: bytes


@dataclass(slots=True)
class RecordBatch:
    """What one commit does to a table, in this order; every part of it may be done twice without harm."""

    #: Removed; one may be missing already.
    deleted: list[RecordName] = field(default_factory=list)
    #: Written whole, in place of a record of the same name if there is one.
    put: list[QueueRecord] = field(default_factory=list)
    #: Records that are there, with another lane, time and extras; the payload is what it was.
    changed: list[QueueRecord] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.deleted or self.put or self.changed)


def make_record(job: StoredJob, name: RecordName) -> QueueRecord:
    """Return the job's record under that name."""
    return QueueRecord(
        name, int(lane_of(job.priority)), job.payload, _whole_seconds(job.run_at), _write_extras(job, name)
    )


def read_record(record: QueueRecord) -> StoredJob:
    """Return the job of a record that has extras.

    Raises:
        ValueError: the extras are not what `make_record` writes.
    """
    said = json.loads(record.extras.decode("ascii"))
    try:
        if said["v"] != EXTRAS_VERSION:
            raise ValueError(f"extras must be of version {EXTRAS_VERSION}, got {said['v']!r}")
        job = StoredJob(
            JobHandle(_read_bytes(said["handle"])),
            FunctionName(_read_bytes(said["function"]) if "function" in said else record.name.function),
            _read_bytes(said["unique"]) if "unique" in said else record.name.key,
            record.payload,
            int(said["priority"]),
            float(said["run_at"]),
            float(said["accepted_at"]),
            reducer=_read_bytes(said.get("reducer", "")),
            terms=read_terms(said.get("terms", {})),
        )
        for name, where in _PLAIN.items():
            if name in said:
                setattr(job, where, said[name])
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"extras lack what they must have: {type(error).__name__}: {error}") from error
    return job


def foreign_job(record: QueueRecord, handle: JobHandle, accepted_at: float) -> StoredJob:
    """Return the job of a record that gearmand wrote.

    Raises:
        ValueError: somebody else wrote it: a packet cannot say its name, so that no worker could be given the job.
    """
    if b"\0" in record.name.function + record.name.key:
        raise ValueError("a function or a unique must not contain a NUL")
    priority = _PRIORITIES.get(record.lane, NORMAL_PRIORITY)
    function = FunctionName(record.name.function)
    return StoredJob(handle, function, record.name.key, record.payload, priority, float(record.when), accepted_at)


def _write_extras(job: StoredJob, name: RecordName) -> bytes:
    said: dict[str, object] = {
        "v": EXTRAS_VERSION,
        "handle": _write_bytes(job.handle),
        "priority": job.priority,
        "run_at": job.run_at,
        "accepted_at": job.accepted_at,
    }
    if job.function != name.function:
        said["function"] = _write_bytes(job.function)
    if job.unique != name.key:
        said["unique"] = _write_bytes(job.unique)
    if job.reducer:
        said["reducer"] = _write_bytes(job.reducer)
    if job.terms is not NO_TERMS:
        said["terms"] = write_terms(job.terms)
    # Most records are written once, of jobs that never ran.
    for key, where in _PLAIN.items() if job.attempt or job.crashes or job.is_cancel_asked else ():
        if (value := getattr(job, where)) != getattr(_DEFAULTS, where):
            said[key] = value
    return _ENCODE(said).encode("ascii")


def _write_bytes(raw: bytes) -> str:
    # Every byte has its character, and what is ASCII can be read.
    return raw.decode("latin-1")


def _read_bytes(text: str) -> bytes:
    return text.encode("latin-1")


def _whole_seconds(run_at: float) -> int:
    return math.ceil(min(max(run_at, 0.0), float(WHEN_LIMIT_S - 1024)))
