"""The JSON arguments of the extension packets: what submit, assignment and failure say beyond Gearman's own words.

Each is one JSON object in UTF-8, written without what has its default and without a NUL byte (it is not always a
packet's last argument). Reading is strict: known keys must have their type and range, so that nothing a peer sends can
stop a store later; unknown keys are ignored, so that a newer peer may say more. What the values mean to the queue is
core/'s matter, what becomes of them in the job's row records/'. The packets stand in packets.py (numbers from 128).
"""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from math import isfinite
from typing import Never

from gearjobs.errors import WireError
from gearjobs.protocol.packets import ErrorCode

#: Bounds of a job's priority: django.tasks' own.
MIN_PRIORITY, MAX_PRIORITY = -100, 100
#: Last unix second that a date of four digits can name; databases and `datetime` end there.
MAX_UNIX_S = 253_402_300_799.0
#: Longest time that a worker may be given to come back with a run: a day, far beyond any server's restart.
MAX_LEASE_S = 86_400.0
#: Longest name, in characters: what a CharField holds on every database.
MAX_NAME_CHARACTERS = 255
#: Longest JSON argument: 8 MiB, the bound of a payload's JSON too.
MAX_JSON_BYTES = 8 * 1024 * 1024
#: Deepest nesting of metadata, the outermost object counted: 64 levels, as for a payload's JSON.
MAX_JSON_DEPTH = 64
#: Where a job's metadata name the job in whose run it was enqueued.
PARENT_KEY = "gearjobs.parent"
#: What a failed run may have ended as.
FAILED, TIMED_OUT, CANCELLED = "failed", "timed_out", "cancelled"
#: Longest delay of a retry: ten years.
MAX_RETRY_S = 315_360_000.0
#: Highest attempt number: what a database's integer holds.
MAX_ATTEMPT = 2**31 - 1

# Databases' integers in JSON: signed or unsigned, of 64 bits.
_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**64 - 1
# What text columns refuse: NUL (PostgreSQL), and lone surrogates, which UTF-8 cannot hold.
_UNSTORABLE = re.compile(r"[\0\ud800-\udfff]")
# What tells a failure report from other JSON.
_REPORT_KEYS = frozenset({"class_path", "message"})
# Checks the value of a key and returns it as it is to be kept.
_Reader = Callable[[str, object], object]


@dataclass(slots=True)
class SubmitAttributes:
    """What SUBMIT_JOB_EXT says of the job."""

    #: -100 to 100, higher first.
    priority: int = 0
    #: Unix seconds before which it must not start; 0 for at once.
    run_at: float = 0.0
    #: Dotted path of the decorated task.
    task: str = ""
    #: The django.tasks queue name.
    queue: str = ""
    #: Alias of the django.tasks backend that enqueued it.
    backend: str = ""
    #: Who enqueued it: a Django user's primary key as text, or empty.
    enqueued_by: str = ""
    #: JSON-ready values the caller attached.
    metadata: dict[str, object] = field(default_factory=dict)
    #: What the queue must obey (`core/terms`), read there.
    terms: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class AssignAttributes:
    """What JOB_ASSIGN_EXT says of the job."""

    #: 1 for the first run.
    attempt: int = 1
    #: -100 to 100.
    priority: int = 0
    #: Unix seconds before which it was not to start; 0 for at once.
    run_at: float = 0.0
    #: Unix seconds.
    accepted_at: float = 0.0
    #: Client id of the worker of every attempt so far, this one last.
    worker_ids: list[str] = field(default_factory=list)
    #: Seconds a worker may go on while the server is silent on an open connection; 0 for a job that is not resumable.
    lease_s: float = 0.0
    #: Seconds from the last granted RENEW_JOBS, or from asking for the job, after which the run must be over wherever
    #: the server has gone; 0 for a job that is not resumable.
    resume_s: float = 0.0
    #: How many of the attempts before this one ended because their worker was lost or gave the job back.
    lost: int = 0
    #: Longest run in seconds, which the worker is to enforce; 0 for any time.
    timeout_s: float = 0.0
    #: Seconds after which the worker raises an exception in the run; 0 for never.
    soft_timeout_s: float = 0.0


@dataclass(slots=True)
class FailureReport:
    """What WORK_FAIL_EXT, or WORK_EXCEPTION of a gearjobs worker, says of a failed attempt."""

    #: Dotted path of the exception's class; empty when there is none.
    class_path: str = ""
    #: The exception's text.
    message: str = ""
    #: The formatted traceback; empty where it is nobody's business.
    traceback: str = ""
    #: What the run ended as: "failed", "timed_out" or "cancelled".
    outcome: str = FAILED
    #: Seconds after which the same job is to run again; None where this was the last attempt.
    retry_in_s: float | None = None


def encode(attributes: SubmitAttributes | AssignAttributes | FailureReport) -> bytes:
    """Return the JSON argument: ASCII, without NUL bytes, defaults left out.

    Raises:
        TypeError: metadata holds what JSON has no word for.
        ValueError: a number is not finite, or metadata holds itself.
    """
    if isinstance(attributes, FailureReport):
        return _ENCODER.encode(_report_document(attributes)).encode()
    names = _SUBMIT_NAMES if isinstance(attributes, SubmitAttributes) else _ASSIGN_NAMES
    return _ENCODER.encode({name: value for name in names if (value := getattr(attributes, name))}).encode()


def decode_submit(body: bytes) -> SubmitAttributes:
    """Read SUBMIT_JOB_EXT's attributes.

    Raises:
        WireError: INVALID_PACKET, naming the key, what was expected and what came.
    """
    said = SubmitAttributes()
    _read_into(said, _SUBMIT_READERS, _read_object(body, "SUBMIT_JOB_EXT attributes"))
    return said


def decode_assign(body: bytes) -> AssignAttributes:
    """Read JOB_ASSIGN_EXT's attributes; raises as decode_submit does."""
    said = AssignAttributes()
    _read_into(said, _ASSIGN_READERS, _read_object(body, "JOB_ASSIGN_EXT attributes"))
    return said


def decode_failure(body: bytes) -> FailureReport:
    """Read a failure report.

    Raises:
        WireError: INVALID_PACKET; also for a JSON object with neither a class path nor a message: other libraries'
            workers send such objects as their exceptions, and those are to be shown as they are.
    """
    document = _read_object(body, "failure report")
    if not document.keys() & _REPORT_KEYS:
        _refuse(f"failure report must have class_path or message, got the keys {reprlib.repr(list(document))}")
    report = FailureReport()
    _read_into(report, _REPORT_READERS, document)
    return report


def _report_document(report: FailureReport) -> dict[str, object]:
    document: dict[str, object] = {"class_path": report.class_path, "message": report.message}
    if report.traceback:
        document["traceback"] = report.traceback
    if report.outcome != FAILED:
        document["outcome"] = report.outcome
    if report.retry_in_s is not None:
        # Zero is said, too.
        document["retry_in_s"] = report.retry_in_s
    return document


def _read_into(
    attributes: SubmitAttributes | AssignAttributes | FailureReport,
    readers: Mapping[str, _Reader],
    document: Mapping[str, object],
) -> None:
    """Take over what is said; what is not keeps its default, and costs nothing."""
    for key, value in document.items():
        read = readers.get(key)
        if read is not None:
            setattr(attributes, key, read(key, value))


def _refuse(text: str) -> Never:
    raise WireError(ErrorCode.INVALID_PACKET, text)


def _read_object(body: bytes, name: str) -> dict[str, object]:
    if len(body) > MAX_JSON_BYTES:
        _refuse(f"{name} must have at most {MAX_JSON_BYTES} bytes, got {len(body)}")
    try:
        document: object = _DECODER.decode(body.decode())
    except (ValueError, RecursionError) as error:
        raise WireError(ErrorCode.INVALID_PACKET, f"{name} must be JSON, got {body[:75]!r} ({error})") from error
    if not isinstance(document, dict):
        _refuse(f"{name} must be a JSON object, got {reprlib.repr(document)}")
    return document


def _object_of_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return document


def _refuse_constant(name: str) -> Never:
    raise ValueError(f"{name} is not a number of JSON")


def _integer(key: str, value: object, *, lowest: int, highest: int) -> int:
    # A bool is an int to isinstance, and would be one to the store.
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        _refuse(f"{key} must be an integer from {lowest} to {highest}, got {reprlib.repr(value)}")
    return value


def _seconds(key: str, value: object, *, kind: str = "seconds", most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        _refuse(f"{key} must be {kind} from 0 to {most:.0f}, got {reprlib.repr(value)}")
    return float(value)


def _outcome(key: str, value: object) -> str:
    if value not in (FAILED, TIMED_OUT, CANCELLED):
        _refuse(f"{key} must be {FAILED}, {TIMED_OUT} or {CANCELLED}, got {reprlib.repr(value)}")
    return str(value)


def _retry_in_s(key: str, value: object) -> float | None:
    return None if value is None else _seconds(key, value, most=MAX_RETRY_S)


def _text(key: str, value: object) -> str:
    """Return the text with what no column can hold written as an escape: a report must arrive whatever is in it."""
    if not isinstance(value, str):
        _refuse(f"{key} must be a string, got {reprlib.repr(value)}")
    return _storable(value)


def _storable(text: str) -> str:
    # What is printable holds neither NUL nor a surrogate.
    return text if text.isprintable() else _UNSTORABLE.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _name(key: str, value: object) -> str:
    name = _text(key, value)
    if len(name) > MAX_NAME_CHARACTERS:
        _refuse(f"{key} must have at most {MAX_NAME_CHARACTERS} characters, got {len(name)}: {reprlib.repr(name)}")
    return name


def _worker_ids(key: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(worker_id, str) for worker_id in value):
        _refuse(f"{key} must be a list of strings, got {reprlib.repr(value)}")
    return [_storable(worker_id) for worker_id in value]


def _metadata(key: str, value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        _refuse(f"{key} must be a JSON object, got {reprlib.repr(value)}")
    level: list[object] = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [inner for outer in level for inner in _inner_values(outer, key)]
        if not level:
            return value
    _refuse(f"{key} must nest at most {MAX_JSON_DEPTH} levels, got more")


def _inner_values(value: object, key: str) -> Iterable[object]:
    """Return what a list or an object holds; of a plain value nothing, but refuse it if no JSON column can hold it."""
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, list):
        return value
    if isinstance(value, str) and _UNSTORABLE.search(value):
        _refuse(f"{key} must be free of NUL and lone surrogates, got {reprlib.repr(value)}")
    if isinstance(value, float) and not isfinite(value):
        _refuse(f"{key} must hold finite numbers, got {value}")
    if isinstance(value, int) and not _MIN_INTEGER <= value <= _MAX_INTEGER:
        _refuse(f"{key} must hold integers of 64 bits, got {reprlib.repr(value)}")
    return ()


_ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(object_pairs_hook=_object_of_pairs, parse_constant=_refuse_constant)

_attempt: _Reader = partial(_integer, lowest=1, highest=MAX_ATTEMPT)
_count: _Reader = partial(_integer, lowest=0, highest=MAX_ATTEMPT)
_priority: _Reader = partial(_integer, lowest=MIN_PRIORITY, highest=MAX_PRIORITY)
_unix_s: _Reader = partial(_seconds, kind="unix seconds", most=MAX_UNIX_S)
_lease_s: _Reader = partial(_seconds, most=MAX_LEASE_S)
_run_s: _Reader = partial(_seconds, most=MAX_UNIX_S)

_SUBMIT_READERS: dict[str, _Reader] = {
    "priority": _priority,
    "run_at": _unix_s,
    "task": _name,
    "queue": _name,
    "backend": _name,
    "enqueued_by": _name,
    "metadata": _metadata,
    "terms": _metadata,
}
_ASSIGN_READERS: dict[str, _Reader] = {
    "attempt": _attempt,
    "priority": _priority,
    "run_at": _unix_s,
    "accepted_at": _unix_s,
    "worker_ids": _worker_ids,
    "lease_s": _lease_s,
    "resume_s": _lease_s,
    "lost": _count,
    "timeout_s": _run_s,
    "soft_timeout_s": _run_s,
}
_REPORT_READERS: dict[str, _Reader] = {
    "class_path": _text,
    "message": _text,
    "traceback": _text,
    "outcome": _outcome,
    "retry_in_s": _retry_in_s,
}
_SUBMIT_NAMES = tuple(one.name for one in fields(SubmitAttributes))
_ASSIGN_NAMES = tuple(one.name for one in fields(AssignAttributes))
