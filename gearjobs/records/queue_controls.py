"""What operators say of functions, as rows: read by every job server of the database, written a field at a time.

Two who change different things of a function at once both get what they want: a change names its fields, and nothing
else is written. Functions are texts in the reversible form of `protocol/wire_text`, as in a job's row. What the words
mean to the queue is `core/function_brake`'s.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.utils import timezone

from gearjobs.core.function_brake import NO_CONTROL
from gearjobs.core.function_brake import QueueControl as ControlOfQueue
from gearjobs.core.jobs import FunctionName
from gearjobs.models import QueueControl
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.rows.function_keys import function_key
from gearjobs.records.sessions.writing_transaction import in_writing_transaction
from gearjobs.settings import gearjobs_settings

#: Length of a note.
NOTE_LIMIT = 500


def all_controls() -> list[QueueControl]:
    """Return the rows of all functions of which something was ever said, by name."""
    return sorted(QueueControl.objects.using(gearjobs_settings().database), key=lambda row: row.function)


def control_of(function: str) -> QueueControl | None:
    """Return the function's row; None where nothing was ever said of it."""
    rows = QueueControl.objects.using(gearjobs_settings().database)
    return rows.filter(pk=function_key(to_bytes(function))).first()


def say_of_queue(function: str, fields: dict[str, Any], *, changed_by: str = "") -> bool:
    """Change what is said of a function; return whether that was said differently before.

    Args:
        function: its name as text.
        fields: of its row, by name.
        changed_by: primary key of the user as text; empty for a command or an admin line.

    Raises:
        django.db.Error: the database has not kept it.
    """
    return in_writing_transaction(gearjobs_settings().database, partial(_say, function, fields, changed_by))


def forget_queue(function: str) -> bool:
    """Take back all that is said of a function; return whether anything was said.

    Raises:
        django.db.Error: the database has not taken it back.
    """
    rows = QueueControl.objects.using(gearjobs_settings().database)
    return bool(rows.filter(pk=function_key(to_bytes(function))).delete()[0])


def read_controls(alias: str) -> dict[FunctionName, ControlOfQueue]:
    """Return what job servers have to obey, of each function of which something is said."""
    said = {FunctionName(to_bytes(row.function)): _to_queue(row) for row in QueueControl.objects.using(alias)}
    return {name: control for name, control in said.items() if control != NO_CONTROL}


def _say(function: str, fields: dict[str, Any], changed_by: str) -> bool:
    rows = QueueControl.objects.using(gearjobs_settings().database)
    key = function_key(to_bytes(function))
    # Looked at under a lock, so that of two who say the same one has changed it.
    row, _ = rows.select_for_update().get_or_create(pk=key, defaults={"function": function})
    if all(getattr(row, name) == value for name, value in fields.items()):
        return False
    changed = {**fields, "changed_by": changed_by, "changed_at": timezone.now()}
    if "is_paused" in fields:
        changed["paused_at"] = changed["changed_at"] if fields["is_paused"] else None
    rows.filter(pk=key).update(**changed)
    return True


def _to_queue(row: QueueControl) -> ControlOfQueue:
    said = (row.max_high, row.max_normal, row.max_low)
    return ControlOfQueue(
        is_paused=row.is_paused,
        max_jobs=None if said == (None, None, None) else (said[0] or 0, said[1] or 0, said[2] or 0),
        concurrency=row.concurrency,
        # A rate is nothing without its time.
        rate=row.rate if row.per_s > 0 else 0,
        per_s=row.per_s if row.rate > 0 else 0.0,
    )
