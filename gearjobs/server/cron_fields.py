"""The time that the five fields of SUBMIT_JOB_SCHED name: the next minute that matches them, in the server's time zone.

The fields are a crontab's: numbers, three-letter names, `*`, ranges, steps and lists; an empty field and -1 mean any,
as `*` does. But the day of the week counts from Monday = 0, as PROTOCOL says, where cron counts from Sunday. PROTOCOL
says no time zone: it is the process's own, which Django sets from TIME_ZONE. gearmand never built the packet.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cronsim import CronSim, CronSimError

from gearjobs.errors import WireError
from gearjobs.protocol.packets import ErrorCode

_VALUE: Final = r"(?:[0-9]{1,2}|[A-Za-z]{3})"
_TERM: Final = rf"(?:\*|{_VALUE}(?:-{_VALUE})?)(?:/[0-9]{{1,2}})?"
#: A list of 60 terms names every minute.
_FIELD: Final = re.compile(rf"{_TERM}(?:,{_TERM}){{0,59}}")
_ANY: Final = ("", "-1")
_SUNDAY: Final = 6


def scheduled_time(fields: Sequence[bytes], *, now: float) -> float:
    """Return the unix seconds of the next minute after `now` that matches.

    Args:
        fields: minute, hour, day of month, month, day of week.
        now: unix seconds.

    Raises:
        WireError: a field is not a crontab's, or no minute within 50 years matches.
    """
    try:
        minute, hour, day, month, weekday = (_checked(field.decode("ascii")) for field in fields)
        # Without a zone: cronsim's arithmetic is then the wall clock's, and what the clock skips comes after the gap.
        wall = datetime.fromtimestamp(now)  # noqa: DTZ006  # the process's own zone is meant
        due = next(CronSim(f"{minute} {hour} {day} {month} {_from_sunday(weekday)}", wall))
    except (ValueError, CronSimError, StopIteration) as error:
        given = b" ".join(fields)[:75]
        text = f"SUBMIT_JOB_SCHED must give a crontab's five fields (day of week: 0 is Monday), got {given!r}"
        raise WireError(ErrorCode.INVALID_PACKET, text) from error
    due_at = due.timestamp()
    # The wall clock shows an hour twice in autumn, and the first one may be over.
    return due_at if due_at > now else due.replace(fold=1).timestamp()


def _checked(field: str) -> str:
    if field in _ANY:
        return "*"
    if _FIELD.fullmatch(field) is None:
        raise ValueError(field)
    return field


def _from_sunday(weekday: str) -> str:
    """Return a day-of-week field that counts from Monday as cron counts it."""
    if weekday == "*":
        return weekday
    return ",".join(_days_of(term) for term in weekday.split(","))


def _days_of(term: str) -> str:
    span, _, step = term.partition("/")
    if re.search("[A-Za-z]", span):
        return term
    first, _, last = ("0", "-", str(_SUNDAY)) if span == "*" else span.partition("-")
    end = int(last or (_SUNDAY if step else first))
    if end > _SUNDAY:
        raise ValueError(term)
    return ",".join(str((day + 1) % 7) for day in range(int(first), end + 1, int(step or 1)))
