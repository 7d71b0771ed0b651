"""Pages of what happened, the latest first, on screens; each begins where the one before ended, whatever came since.

A place that cannot be read is the beginning, for it was typed by hand or comes from an old link.
"""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from gearjobs.errors import UsageError
from gearjobs.records.keyset_pages import keyset_page

Row = TypeVar("Row", bound=Model)


def older_page(rows: QuerySet[Row], *, moment: str, cursor: str, size: int) -> tuple[list[Row], str]:
    """Return some rows, and the place where the next ones begin; that is empty at the end.

    Args:
        rows: in any order.
        moment: the column that says when.
        cursor: where the page begins; empty for the beginning.
        size: how many rows.
    """
    ordering = (f"-{moment}", "-pk")
    try:
        page = keyset_page(rows, ordering, cursor=cursor, size=size)
    except UsageError:
        page = keyset_page(rows, ordering, size=size)
    return page.rows, page.next_cursor
