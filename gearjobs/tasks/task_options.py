"""What a task says of its jobs beyond django.tasks' own words: one frozen value, `task.options`.

`option_words` has what people write (`@gear_task(timeout=30, rate="10/m")`), `TaskOptions` is what the code reads:
times in seconds, words as enums, limits parsed. `read_options` is the only way from one to the other, and refuses what
cannot be when the task is declared. What of it the job server obeys travels as the terms of each job (`job_terms`); the
rest is obeyed by the worker, which has the task (`execution`). Other backends carry the options and pass them over.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from enum import Enum
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, TypeVar

from django.utils import timezone

from gearjobs.core.terms import MAX_TERM_COUNT, MAX_TERM_S, OnConflict, OnLoss, UniqueSpan
from gearjobs.errors import UsageError
from gearjobs.tasks.call_keys import KeyRule, check_template
from gearjobs.tasks.django_tasks import normalize_json
from gearjobs.tasks.flow_limits import Limit, Rate, read_limits
from gearjobs.tasks.option_words import CallValues, OptionValues
from gearjobs.tasks.retry_policy import exponential

if TYPE_CHECKING:
    from gearjobs.tasks.retry_policy import Backoff

_Word = TypeVar("_Word", bound=Enum)

#: What a task may run in; the empty word is all of them.
EXECUTORS: Final = ("", "process", "thread", "async")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskOptions:
    """The options of a task, read; `OptionValues` says what each means."""

    unique: bool | KeyRule = False
    unique_for: UniqueSpan = UniqueSpan.UNFINISHED
    on_conflict: OnConflict = OnConflict.COALESCE
    max_attempts: int = 1
    backoff: Backoff = field(default_factory=exponential)
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    give_up_on: tuple[type[BaseException], ...] = ()
    on_worker_lost: OnLoss = OnLoss.RETRY
    #: 0 for the server's own bound.
    max_lost: int = 0
    #: 0 for any time.
    timeout_s: float = 0.0
    #: 0 for never.
    soft_timeout_s: float = 0.0
    #: Seconds from when a job may start; 0 for never.
    expires_s: float = 0.0
    #: Unix seconds, said by `using` instead; 0 where it was not.
    expires_at: float = 0.0
    limits: tuple[Limit | Rate, ...] = ()
    #: A level of logging; 0 for none.
    capture_logs: int = 0
    #: One of EXECUTORS.
    executor: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    #: False for a task that is not enqueued over HTTP; a class is the serializer of its keyword arguments.
    api: bool | type[Any] = False
    #: Patterns of names of parameters that are not shown.
    mask: tuple[str, ...] = ()


#: The options of a task that says nothing.
NO_OPTIONS: Final = TaskOptions()


def read_options(given: Mapping[str, Any], *, base: TaskOptions = NO_OPTIONS) -> TaskOptions:
    """Return options with what was given in the place of their own.

    Args:
        given: by the names of OptionValues.
        base: what holds for the rest.

    Raises:
        UsageError: a value cannot be; the text names the option, what was expected and what came.
        TypeError: there is no such option.
    """
    if not given:
        return base
    for name in given:
        if name not in OptionValues.__annotations__:
            near = get_close_matches(name, OptionValues.__annotations__, n=1)
            raise TypeError(f"a task has no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name in _READERS:
            changes |= _READERS[name](name, value)
    if given.keys() & {"concurrency", "rate", "limit_key"}:
        changes["limits"] = read_limits(
            given.get("concurrency"), given.get("rate"), key=_key_rule("limit_key", given.get("limit_key"))
        )
    options = replace(base, **changes)
    _check_together(options)
    return options


def check_keys(options: TaskOptions, function: Callable[..., Any], *, takes_context: bool) -> None:
    """Refuse templates that name what the function does not have.

    Raises:
        UsageError: the text names the option and the parameter.
    """
    rules = [("unique", options.unique), *(("limit_key", limit.key) for limit in options.limits)]
    for what, rule in rules:
        if isinstance(rule, str):
            check_template(rule, function, takes_context=takes_context, what=what)


def call_options(options: TaskOptions, given: Mapping[str, Any]) -> TaskOptions:
    """Return the options with what `using` was given in the place of their own.

    Args:
        options: the task's.
        given: by the names of CallValues; None leaves what is.

    Raises:
        UsageError: a value cannot be.
        TypeError: this is no option, or none that a call may change.
    """
    values = {name: value for name, value in given.items() if value is not None}
    for name in given:
        if name not in CallValues.__annotations__:
            known = ", ".join(CallValues.__annotations__)
            raise TypeError(f"using() cannot change {name!r}; of a task's options it changes {known}")
    moment = values.get("expires")
    if isinstance(moment, datetime):
        del values["expires"]
    if "metadata" in values:
        values["metadata"] = {**options.metadata, **_metadata("metadata", values["metadata"])}
    changed = read_options(values, base=options)
    return replace(changed, **_expiry(moment)) if moment is not None else changed


def _expiry(value: object) -> dict[str, Any]:
    """Return what a moment, or a span from when the job may start, makes of the two fields for it."""
    if not isinstance(value, datetime):
        return {"expires_at": 0.0}
    aware = timezone.make_aware(value) if timezone.is_naive(value) else value
    return {"expires_at": aware.timestamp(), "expires_s": 0.0}


def _check_together(options: TaskOptions) -> None:
    if options.timeout_s and options.soft_timeout_s >= options.timeout_s:
        raise UsageError(
            f"soft_timeout must be less than timeout, which ends the run by force; "
            f"got {options.soft_timeout_s:g} s and {options.timeout_s:g} s"
        )


def _seconds(name: str, value: object) -> float:
    if value is None:
        return 0.0
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise UsageError(f"{name} must be seconds or a timedelta, got {value!r}")
    if not (isfinite(seconds) and 0 < seconds <= MAX_TERM_S):
        raise UsageError(f"{name} must be more than 0 and at most {MAX_TERM_S:.0f} seconds, got {value!r}")
    return float(seconds)


def _count(name: str, value: object) -> int:
    # A bool is an int to isinstance.
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TERM_COUNT:
        raise UsageError(f"{name} must be a whole number from 1 up, got {value!r}")
    return value


def _word(name: str, value: object, words: type[_Word]) -> _Word:
    try:
        return words(value)
    except ValueError:
        known = ", ".join(repr(word.value) for word in words)
        raise UsageError(f"{name} must be one of {known}, got {value!r}") from None


def _key_rule(name: str, value: object) -> KeyRule | None:
    if value is None or (isinstance(value, str) and value) or callable(value):
        return value
    raise UsageError(f"{name} must be a template such as 'user:{{user_id}}' or a callable, got {value!r}")


def _unique(name: str, value: object) -> bool | KeyRule:
    return value if isinstance(value, bool) else _key_rule(name, value) or False


def _callable(name: str, value: object) -> Callable[..., Any]:
    if not callable(value):
        raise UsageError(f"{name} must be exponential(), linear() or another callable, got {value!r}")
    return value


def _error_classes(name: str, value: object) -> tuple[type[BaseException], ...]:
    classes = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    for one in classes:
        if not (isinstance(one, type) and issubclass(one, BaseException)):
            raise UsageError(f"{name} must be exception classes, got {one!r}")
    return classes


def _log_level(name: str, value: object) -> int:
    if isinstance(value, bool):
        return logging.INFO if value else 0
    levels = logging.getLevelNamesMapping()
    if not isinstance(value, str) or value.upper() not in levels:
        raise UsageError(f"{name} must be True, False or the name of a level, got {value!r}")
    return levels[value.upper()]


def _executor(name: str, value: object) -> str:
    if value is not None and (not value or value not in EXECUTORS):
        known = ", ".join(repr(word) for word in EXECUTORS if word)
        raise UsageError(f"{name} must be one of {known} or None, got {value!r}")
    return str(value or "")


def _metadata(name: str, value: object) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise UsageError(f"{name} must be a mapping with strings as keys, got {value!r}")
    try:
        return {key: normalize_json(one) for key, one in value.items()}
    except TypeError as error:
        raise UsageError(f"{name} must be JSON: {error}") from error


def _api(name: str, value: object) -> bool | type[Any]:
    # What a serializer is, REST framework says; only its one method is needed, and it need not be imported here.
    if isinstance(value, bool) or (isinstance(value, type) and hasattr(value, "is_valid")):
        return value
    raise UsageError(f"{name} must be True, False or a serializer class, got {value!r}")


def _mask(name: str, value: object) -> tuple[str, ...]:
    patterns = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list | tuple | set) else ()
    if not patterns or not all(isinstance(one, str) and one for one in patterns):
        raise UsageError(f"{name} must be names of parameters, got {value!r}")
    return patterns


def _as(field_name: str, read: Callable[[str, Any], object]) -> Callable[[str, object], dict[str, object]]:
    return lambda name, value: {field_name: read(name, value)}


#: From an option to what it changes. The limits' three are read together.
_READERS: Final[Mapping[str, Callable[[str, object], dict[str, object]]]] = {
    "unique": _as("unique", _unique),
    "unique_for": _as("unique_for", lambda name, value: _word(name, value, UniqueSpan)),
    "on_conflict": _as("on_conflict", lambda name, value: _word(name, value, OnConflict)),
    "max_attempts": _as("max_attempts", _count),
    "backoff": _as("backoff", _callable),
    "retry_on": _as("retry_on", _error_classes),
    "give_up_on": _as("give_up_on", _error_classes),
    "on_worker_lost": _as("on_worker_lost", lambda name, value: _word(name, value, OnLoss)),
    "max_lost": _as("max_lost", lambda name, value: 0 if value is None else _count(name, value)),
    "timeout": _as("timeout_s", _seconds),
    "soft_timeout": _as("soft_timeout_s", _seconds),
    "expires": _as("expires_s", _seconds),
    "capture_logs": _as("capture_logs", _log_level),
    "executor": _as("executor", _executor),
    "metadata": _as("metadata", _metadata),
    "api": _as("api", _api),
    "mask": _as("mask", _mask),
}
