"""From a row of one of gearmand's SQL tables to a record, whoever wrote the row.

gearmand writes an empty payload as NULL into SQLite, and then does not start any more; people write rows by hand. What
cannot be a job is named in the log, left where it is and passed over: one such row must not keep all others from being
run.
"""

from __future__ import annotations

import logging

from gearjobs.core.jobs import Lane
from gearjobs.stores.queue_records import QueueRecord, RecordName

logger = logging.getLogger("gearjobs.stores")

Text = bytes | str | None
Number = bytes | str | float | None
#: unique_key, function_name, priority, data, when_to_run and our extras.
Row = tuple[Text, Text, Number, Text | float, Number, Text]


def record_of_row(row: Row) -> QueueRecord | None:
    """Return the record of a row; None for one that cannot be a job."""
    key, function, priority, payload, when, extras = row
    if key is None or function is None:
        logger.error("leave unique_key=%r function_name=%r where it is: a job needs both", key, function)
        return None
    name = RecordName(_bytes(function), _bytes(key))
    return QueueRecord(name, _number(priority, Lane.NORMAL), _payload(payload), _number(when, 0), _bytes(extras))


def _bytes(text: Text) -> bytes:
    if text is None:
        return b""
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def _payload(value: Text | float) -> bytes:
    # SQLite keeps a number as one where somebody wrote it so.
    return str(value).encode("ascii") if isinstance(value, int | float) else _bytes(value)


def _number(value: Number, otherwise: int) -> int:
    """Return a number that anybody may have written."""
    try:
        return otherwise if value is None else int(value)
    except (OverflowError, ValueError):
        return otherwise
