"""Pages of what happened, the latest first: each begins where the one before ended, whatever came meanwhile.

A place in a list is written as `records/job_pages` writes it: a moment and a primary key. One that cannot be read is
the beginning, for it was typed by hand.
"""

from __future__ import annotations

from typing import TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from gearjobs.errors import UsageError
from gearjobs.records.job_pages import PagePosition, read_cursor

Row = TypeVar("Row", bound=Model)


def older_page(rows: QuerySet[Row], *, moment: str, cursor: str, size: int) -> tuple[list[Row], str]:
    """Return some rows, and the place where the next ones begin; that is empty at the end.

    Args:
        rows: in any order.
        moment: the column that says when.
        cursor: where the page begins; empty for the beginning.
        size: how many rows.
    """
    after = position_of(cursor)
    key = None if after is None else _key_of(rows, after.handle)
    if after is not None and key is not None:
        same = Q(**{moment: after.enqueued_at, "pk__lt": key})
        rows = rows.filter(Q(**{f"{moment}__lt": after.enqueued_at}) | same)
    found = list(rows.order_by(f"-{moment}", "-pk")[: size + 1])
    if len(found) <= size:
        return found, ""
    last = found[size - 1]
    return found[:size], str(PagePosition(getattr(last, moment), str(last.pk)))


def position_of(cursor: str) -> PagePosition | None:
    """Return the place that a cursor of an address stands for; None for the beginning."""
    if "\0" in cursor:
        return None
    try:
        return read_cursor(cursor)
    except (UsageError, OverflowError, ValueError, OSError):
        return None


def _key_of(rows: QuerySet[Row], text: str) -> object:
    """Return a primary key; None for what is none."""
    try:
        return rows.model._meta.pk.to_python(text)
    except ValidationError:
        return None
