"""What a job's submitter wants obeyed beyond Gearman's own words, and how that is written down.

The terms travel and are kept as one JSON object, in SUBMIT_JOB_EXT's attributes and in the job's row: `read_terms` and
`write_terms` are its only reader and writer, so that a job means the same after a restart. Reading is strict, since any
peer may send such an object. A job without terms is an ordinary Gearman job. Each term is obeyed by the file of its
policy: `expiry`, `redelivery`, `deadlines`, `limits`, `coalescing`.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Final, Never, TypeVar

_Word = TypeVar("_Word", bound=Enum)

#: Longest time a term can name, in seconds: a hundred years.
MAX_TERM_S: Final = 3.2e9
#: Last unix second that a date of four digits can name; databases end there.
MAX_EXPIRY_S: Final = 253_402_300_799.0
#: Highest count a term can name: what a database's integer holds.
MAX_TERM_COUNT: Final = 2**31 - 1
#: Limits of one job: by task, by customer, by outside service; more is a mistake.
MAX_LIMITS: Final = 8
#: Longest key of a limit, in bytes of UTF-8.
MAX_KEY_BYTES: Final = 128


class OnLoss(Enum):
    """What becomes of a job whose worker was lost."""

    #: It runs again, `max_lost` times at most.
    RETRY = "retry"
    #: It ends as lost.
    FAIL = "fail"


class UniqueSpan(Enum):
    """How long a job keeps others of its function and unique out."""

    #: Until it has ended: Gearman's own meaning.
    UNFINISHED = "unfinished"
    #: Until it starts.
    QUEUED = "queued"


class OnConflict(Enum):
    """What becomes of a submission whose unique is taken."""

    #: It joins the live job, which takes the higher priority and the earlier time of the two while it waits.
    COALESCE = "coalesce"
    #: It joins the live job, which stays as it is.
    SKIP = "skip"
    #: The live job is cancelled where it has not started, and the new one takes its place; a running one is joined.
    REPLACE = "replace"
    #: It is refused.
    RAISE = "raise"


class TermsError(ValueError):
    """A document of terms that cannot be read; the text says what was expected and what came."""


@dataclass(frozen=True, slots=True)
class Limit:
    """How many jobs of one key may run at once, and how many may start in a time, over all functions of the server."""

    key: str
    #: Jobs that may run at the same time; 0 for any number.
    concurrency: int = 0
    #: Jobs that may start within `per_s`; 0 for any number.
    rate: int = 0
    #: Seconds; 0 only where `rate` is.
    per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class JobTerms:
    """The terms of one job."""

    #: Unix seconds after which it must not start any more; 0 for never.
    expires_at: float = 0.0
    #: Longest run in seconds: then its worker ends it by force; 0 for any time.
    timeout_s: float = 0.0
    #: Seconds after which its worker raises an exception in it; 0 for never. The queue only passes it on.
    soft_timeout_s: float = 0.0
    #: Runs, those lost with their worker not counted, after which a run that was ended by force is the last one;
    #: 0 or 1: it is at once. A worker that reports a failure says itself whether the job runs again.
    max_attempts: int = 0
    #: What becomes of it when its worker is lost.
    on_lost: OnLoss = OnLoss.RETRY
    #: Lost workers after which it is dead; 0 for the server's own bound.
    max_lost: int = 0
    #: How long it keeps its unique.
    unique_for: UniqueSpan = UniqueSpan.UNFINISHED
    #: What becomes of it where its unique is taken.
    on_conflict: OnConflict = OnConflict.COALESCE
    #: All of them are kept at once.
    limits: tuple[Limit, ...] = ()
    #: True for a job of a group: others may wait for its end, which its store then looks after.
    is_member: bool = False


#: The terms of a job that has none.
NO_TERMS: Final = JobTerms()
_TERMS: Final = tuple(one.name for one in fields(JobTerms))


def read_terms(document: Mapping[str, object]) -> JobTerms:
    """Read what `write_terms` wrote; unknown keys are passed over, so that a newer peer may say more.

    Raises:
        TermsError: a key has a value it cannot have.
    """
    if not document:
        return NO_TERMS
    return JobTerms(
        expires_at=_seconds(document, "expires_at", most=MAX_EXPIRY_S),
        timeout_s=_seconds(document, "timeout_s"),
        soft_timeout_s=_seconds(document, "soft_timeout_s"),
        max_attempts=_count(document, "max_attempts"),
        on_lost=_word(document, "on_lost", OnLoss.RETRY),
        max_lost=_count(document, "max_lost"),
        unique_for=_word(document, "unique_for", UniqueSpan.UNFINISHED),
        on_conflict=_word(document, "on_conflict", OnConflict.COALESCE),
        limits=_limits(document),
        is_member=_flag(document, "is_member"),
    )


def write_terms(terms: JobTerms) -> dict[str, object]:
    """Return the terms as a JSON-ready object, without what has its default."""
    document: dict[str, object] = {
        name: value.value if isinstance(value, Enum) else value
        for name in _TERMS
        if name != "limits" and (value := getattr(terms, name)) != getattr(NO_TERMS, name)
    }
    if terms.limits:
        document["limits"] = [_limit_document(limit) for limit in terms.limits]
    return document


def _limit_document(limit: Limit) -> dict[str, object]:
    said = {"key": limit.key, "concurrency": limit.concurrency, "rate": limit.rate, "per_s": limit.per_s}
    return {name: value for name, value in said.items() if value}


def _refuse(text: str) -> Never:
    raise TermsError(text)


def _seconds(document: Mapping[str, object], key: str, *, most: float = MAX_TERM_S) -> float:
    if key not in document:
        return 0.0
    value = document[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        _refuse(f"{key} must be seconds from 0 to {most:.0f}, got {reprlib.repr(value)}")
    return float(value)


def _count(document: Mapping[str, object], key: str) -> int:
    if key not in document:
        return 0
    value = document[key]
    # A bool is an int to isinstance.
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_TERM_COUNT:
        _refuse(f"{key} must be an integer from 0 to {MAX_TERM_COUNT}, got {reprlib.repr(value)}")
    return value


def _flag(document: Mapping[str, object], key: str) -> bool:
    if key not in document:
        return False
    value = document[key]
    if not isinstance(value, bool):
        _refuse(f"{key} must be true or false, got {reprlib.repr(value)}")
    return value


def _word(document: Mapping[str, object], key: str, default: _Word) -> _Word:
    if key not in document:
        return default
    value = document[key]
    for word in type(default):
        if word.value == value:
            return word
    words = ", ".join(str(word.value) for word in type(default))
    _refuse(f"{key} must be one of {words}, got {reprlib.repr(value)}")


def _limits(document: Mapping[str, object]) -> tuple[Limit, ...]:
    if "limits" not in document:
        return ()
    value = document["limits"]
    if not isinstance(value, list) or len(value) > MAX_LIMITS:
        _refuse(f"limits must be a list of at most {MAX_LIMITS} objects, got {reprlib.repr(value)}")
    return tuple(_limit(one) for one in value)


def _limit(value: object) -> Limit:
    if not isinstance(value, dict):
        _refuse(f"a limit must be an object, got {reprlib.repr(value)}")
    key = value.get("key")
    if not isinstance(key, str) or not 0 < len(key.encode("utf-8", "surrogatepass")) <= MAX_KEY_BYTES:
        _refuse(f"a limit's key must be a string of 1 to {MAX_KEY_BYTES} bytes, got {reprlib.repr(key)}")
    limit = Limit(key, _count(value, "concurrency"), _count(value, "rate"), _seconds(value, "per_s"))
    if not (limit.concurrency or limit.rate) or bool(limit.rate) != bool(limit.per_s):
        _refuse(f"a limit must have a concurrency, or a rate and per_s, got {reprlib.repr(value)}")
    return limit
