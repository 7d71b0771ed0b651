"""Limits on a task's jobs: how many run at once, and how many start in a time.

The server keeps them (`core/limits`), so that a job over its limit waits there and holds no worker. Here is how they
are said, `concurrency=2` and `rate="10/m"`, `Limit` and `Rate` where each has a key of its own, and what that means for
one call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final, TypeVar

from gearjobs.core.terms import MAX_LIMITS, MAX_TERM_COUNT, MAX_TERM_S
from gearjobs.core.terms import Limit as LimitTerm
from gearjobs.errors import UsageError
from gearjobs.tasks.call_keys import KeyRule, key_of_call, limit_key
from gearjobs.tasks.django_tasks import Task

#: Seconds of the units a rate is written in.
_UNITS_S: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_RATE: Final = re.compile(r"\s*(\d+)\s*/\s*(\d*)\s*([smhd])\s*")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most so many jobs of a key run at the same time."""

    concurrency: int
    #: Template or callable; None for the task's `limit_key`.
    key: KeyRule | None = None

    def __post_init__(self) -> None:
        _check_count(self.concurrency, "concurrency")


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many jobs of a key start within so many seconds."""

    count: int
    per_s: float
    #: Template or callable; None for the task's `limit_key`.
    key: KeyRule | None = None

    def __post_init__(self) -> None:
        _check_count(self.count, "a rate's count")
        if not (isfinite(self.per_s) and 0 < self.per_s <= MAX_TERM_S):
            raise UsageError(f"a rate's per_s must be seconds above 0, got {self.per_s!r}")


_Bound = TypeVar("_Bound", Limit, Rate)


def read_rate(text: str) -> Rate:
    """Return the rate that `"10/m"` or `"100/15m"` means: a count, and s, m, h or d with an optional number.

    Raises:
        UsageError: the text is no rate.
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise UsageError(f"a rate must be like '10/m' or '100/15m' (s, m, h, d), got {text!r}")
    count, number, unit = found.groups()
    return Rate(int(count), int(number or 1) * _UNITS_S[unit])


def read_limits(concurrency: object, rate: object, *, key: KeyRule | None) -> tuple[Limit | Rate, ...]:
    """Return the limits that the options say.

    Args:
        concurrency: an int, a Limit, or several.
        rate: text, a Rate, or several.
        key: the key of those that have none.

    Raises:
        UsageError: the text says what was expected.
    """
    limits = [_with_key(_as_limit(one), key) for one in _as_several(concurrency)]
    rates = [_with_key(_as_rate(one), key) for one in _as_several(rate)]
    found: tuple[Limit | Rate, ...] = (*limits, *rates)
    if key is not None and not found:
        raise UsageError("limit_key must come with concurrency or rate")
    if len(found) > MAX_LIMITS:
        raise UsageError(f"a task must have at most {MAX_LIMITS} limits, got {len(found)}")
    return found


def limits_of_call(
    task: Task[..., Any],
    args: Sequence[object],
    *,
    kwargs: Mapping[str, object],
    limits: Sequence[Limit | Rate],
    own_key: str,
) -> tuple[LimitTerm, ...]:
    """Return the limits of one call, without those whose key is empty.

    Args:
        task: what is called.
        args: the call's, made JSON.
        kwargs: the call's, made JSON.
        limits: the task's.
        own_key: the key of a limit that names none.

    Raises:
        UsageError: a key cannot be made of these arguments.
    """
    terms = []
    for limit in limits:
        text = own_key if limit.key is None else key_of_call(task, args, kwargs=kwargs, rule=limit.key)
        if not text:
            continue
        if isinstance(limit, Limit):
            terms.append(LimitTerm(limit_key(text), concurrency=limit.concurrency))
        else:
            terms.append(LimitTerm(limit_key(text), rate=limit.count, per_s=limit.per_s))
    return tuple(terms)


def _as_several(value: object) -> Sequence[object]:
    if value is None:
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def _as_limit(value: object) -> Limit:
    if isinstance(value, Limit):
        return value
    if isinstance(value, int):
        return Limit(value)
    raise UsageError(f"concurrency must be a whole number, a Limit or several of them, got {value!r}")


def _as_rate(value: object) -> Rate:
    if isinstance(value, Rate):
        return value
    if isinstance(value, str):
        return read_rate(value)
    raise UsageError(f"rate must be like '10/m', a Rate or several of them, got {value!r}")


def _with_key(limit: _Bound, key: KeyRule | None) -> _Bound:
    return limit if limit.key is not None else replace(limit, key=key)


def _check_count(count: object, what: str) -> None:
    # A bool is an int to isinstance.
    if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MAX_TERM_COUNT:
        raise UsageError(f"{what} must be a whole number from 1 up, got {count!r}")
