"""From what peers say to what every database takes: times, text, numbers and JSON as column values.

A peer's value must never make a database refuse a row, for its whole batch would be tried again row by row: NUL and
lone surrogates (PostgreSQL), not-a-number (SQLite, MySQL), text longer than its column and times beyond the calendar
are changed here into the nearest that fits, on every database alike. Called for every row written, so each function
does nothing in its usual case.
"""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from gearjobs.protocol.wire_text import to_text

#: 9999-01-01: the last year that datetime and every database know, less the time zones.
LATEST_S: Final = 253_370_764_800.0
#: What the column of the priority holds; django.tasks uses -100 to 100.
PRIORITY_LIMIT: Final = 32_767
#: Characters of a reason for cancelling.
CANCEL_REASON_LIMIT: Final = 500
#: Levels of JSON that are kept: MariaDB refuses more than 31 as invalid.
JSON_DEPTH_LIMIT: Final = 24


class TimeColumn:
    """Turns unix seconds into what the database's own adapter makes of a datetime.

    The adapter costs more than the rest of a row. Where its answer for a whole second is text and a fraction is
    appended to it (SQLite, MySQL), it is asked once a second.
    """

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        self._adapt = connection.ops.adapt_datetimefield_value
        whole = self._adapt(to_datetime(0.0))
        self._is_text = isinstance(whole, str) and self._adapt(to_datetime(0.123456)) == f"{whole}.123456"
        self._second = -1
        self._prefix = ""

    def __call__(self, unix_s: float) -> object:
        """Return the column value; a time beyond the calendar becomes its nearest end."""
        if not self._is_text or not 0.0 <= unix_s <= LATEST_S:
            return self._adapt(to_datetime(unix_s))
        second = int(unix_s)
        # The difference is exact; a product of the whole would not be.
        fraction = round((unix_s - second) * 1_000_000)
        if fraction == 1_000_000:
            second, fraction = second + 1, 0
        if second != self._second:
            self._prefix = str(self._adapt(to_datetime(float(second))))
            self._second = second
        return f"{self._prefix}.{fraction:06d}" if fraction else self._prefix


def to_datetime(unix_s: float) -> datetime.datetime:
    """Return what a DateTimeField holds: aware, or without USE_TZ naive in the project's zone; within the calendar."""
    if not 0.0 <= unix_s <= LATEST_S:
        unix_s = LATEST_S if unix_s > 0.0 else 0.0
    if settings.USE_TZ:
        return datetime.datetime.fromtimestamp(unix_s, datetime.UTC)
    return datetime.datetime.fromtimestamp(unix_s, timezone.get_default_timezone()).replace(tzinfo=None)


def to_unix_s(moment: datetime.datetime) -> float:
    """Return the unix seconds of a DateTimeField's value."""
    return (moment if settings.USE_TZ else timezone.make_aware(moment)).timestamp()


class BodyLimit:
    """Tells which payloads and results are too long for one statement.

    Args:
        statement_bytes: how long a statement may be, or None for any length.
    """

    #: Left for everything else in the row: a failure's texts are the longest.
    _RESERVE_BYTES: Final = 524_288
    #: MySQL's drivers write each of these as two bytes.
    _ESCAPED: Final = (b"\0", b"\n", b"\r", b"\x1a", b"'", b'"', b"\\")

    def __init__(self, statement_bytes: int | None) -> None:
        # MariaDB 10.11 refuses a literal of half of its max_allowed_packet.
        half = math.inf if statement_bytes is None else statement_bytes // 2
        self._limit_bytes = max(0, half - self._RESERVE_BYTES)

    def is_exceeded(self, body: bytes) -> bool:
        """Tell whether the body is too long."""
        if len(body) * 2 <= self._limit_bytes:
            return False
        return len(body) + sum(map(body.count, self._ESCAPED)) > self._limit_bytes


@lru_cache(maxsize=4096)
def name_text(raw: bytes) -> str:
    """Return a name that many jobs share (a function, a reducer) as reversible text."""
    return to_text(raw)


def fit_text(text: str, limit: int) -> str:
    """Return text that every database takes, at most `limit` characters, cut at its end with an ellipsis."""
    text = plain_text(text)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def fit_tail(text: str, limit: int) -> str:
    """Return text that every database takes, its last `limit` characters: a traceback's end says most."""
    text = plain_text(text)
    return text if len(text) <= limit else f"…{text[1 - limit :]}"


def plain_text(text: str) -> str:
    r"""Return the text with NUL and lone surrogates written as `\x00` and `\udc80`."""
    if text.isascii():
        return text.replace("\0", "\\x00") if "\0" in text else text
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def finite(number: float) -> float:
    """Return the number, or 0 for what is none."""
    return number if math.isfinite(number) else 0.0


def fit_priority(priority: int) -> int:
    """Return the priority, or the nearest that the column holds."""
    if -PRIORITY_LIMIT <= priority <= PRIORITY_LIMIT:
        return priority
    return PRIORITY_LIMIT if priority > 0 else -PRIORITY_LIMIT


def json_text(value: Mapping[str, object] | Sequence[object]) -> str:
    """Return JSON text that every database takes for a JSON column."""
    if not value:
        return "{}" if isinstance(value, Mapping) else "[]"
    return json.dumps(plain_json(value), allow_nan=False)


def terms_columns(terms: Mapping[str, object], to_time: TimeColumn) -> dict[str, object]:
    """Return the columns that a job's terms fill, by field name."""
    expires_at = terms.get("expires_at")
    if not isinstance(expires_at, int | float) or expires_at <= 0:
        return {"terms": json_text(terms), "expires_at": None}
    return {"terms": json_text(terms), "expires_at": to_time(float(expires_at))}


def worker_ids_text(worker_ids: Sequence[str]) -> str:
    """Return `json_text` of the worker ids, quickly for one plain id: the first attempt of nearly every job."""
    if len(worker_ids) == 1:
        only = worker_ids[0]
        if only.isascii() and only.isprintable() and '"' not in only and "\\" not in only:
            return f'["{only}"]'
    return json_text(worker_ids)


def plain_json(value: object, levels: int = JSON_DEPTH_LIMIT) -> object:
    """Return a copy without NULs, surrogates and infinities, with an ellipsis for what is deeper than `levels`."""
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, float):
        return finite(value)
    if value is None or isinstance(value, bool | int):
        return value
    if levels == 0:
        return "…"
    if isinstance(value, Mapping):
        return {plain_text(str(key)): plain_json(one, levels - 1) for key, one in value.items()}
    if isinstance(value, Sequence):
        return [plain_json(one, levels - 1) for one in value]
    return plain_text(str(value))
