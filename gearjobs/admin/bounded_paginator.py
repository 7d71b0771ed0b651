"""What keeps Django's own lists quick on a large table: pages whose number is counted up to a limit.

Django counts all rows that match before it shows a page; here nobody turns further than PAGED_LIMIT rows.
"""

from __future__ import annotations

from typing import Any, Final

from django.core.paginator import Paginator
from django.utils.functional import cached_property

#: Rows that can be reached by turning pages.
PAGED_LIMIT: Final = 10_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic when Django runs
    """Counts no further than PAGED_LIMIT."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:PAGED_LIMIT].count())
