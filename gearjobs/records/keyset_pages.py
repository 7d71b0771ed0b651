"""Pages of any list in a fixed order, forwards and backwards, at a cost that does not grow with how far a page is.

A page begins behind the row that its cursor names, whether that is still there or not: so many rows as may be of one
moment, none is shown twice or left out. A list names the columns of its order, of which the last is unique and none is
null; a cursor has the values of one row in them. Lists of jobs have `job_pages`, which also bounds how far it looks.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Field, Model, Q, QuerySet

from gearjobs.errors import UsageError
from gearjobs.records.rows.column_values import LATEST_S, to_datetime, to_unix_s

Row = TypeVar("Row", bound=Model)

_US_PER_S: Final = 1_000_000
#: What a database takes as a whole number.
_INTEGER_LIMIT: Final = 2**63
#: Longest cursor that is read: a moment and a text of 255 characters are far below.
_CURSOR_LIMIT: Final = 2_000
#: What no database takes in a text: JSON may escape half a character.
_NO_TEXT: Final = re.compile("[\0\ud800-\udfff]")


@dataclass(slots=True)
class KeysetPage(Generic[Row]):
    """Some rows of a list, in its order."""

    rows: list[Row] = field(default_factory=list)
    #: Where the next page begins; empty at the end of the list.
    next_cursor: str = ""
    #: Where the page before is; empty at the beginning.
    previous_cursor: str = ""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of an order."""

    name: str
    is_falling: bool
    field: Field[Any, Any]

    def behind(self, value: object, *, is_back: bool) -> Q:
        """Return what is true of rows that come later in the order, or earlier."""
        return Q(**{f"{self.name}__{'lt' if self.is_falling is not is_back else 'gt'}": value})

    def not_before(self, value: object, *, is_back: bool) -> Q:
        return Q(**{f"{self.name}__{'lte' if self.is_falling is not is_back else 'gte'}": value})

    def written(self, row: Model) -> object:
        value = getattr(row, self.field.attname)
        return round(to_unix_s(value) * _US_PER_S) if isinstance(value, datetime.datetime) else value

    def read(self, value: object) -> object:
        """Return a column's value from what `written` made of it.

        Raises:
            UsageError: it is none.
        """
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INTEGER_LIMIT:
            if self.field.get_internal_type() != "DateTimeField":
                return self._fitting(value)
            if 0 <= value <= LATEST_S * _US_PER_S:
                return to_datetime(value / _US_PER_S)
        elif (
            isinstance(value, str) and not _NO_TEXT.search(value) and self.field.get_internal_type() != "DateTimeField"
        ):
            return self._fitting(value)
        raise UsageError(f"a cursor must come from another page, got {value!r:.80} for {self.name}")

    def _fitting(self, value: int | str) -> object:
        try:
            return self.field.to_python(value)
        except ValidationError as error:
            raise UsageError(f"a cursor must come from another page, got {value!r:.80} for {self.name}") from error


def keyset_page(rows: QuerySet[Row], ordering: Sequence[str], *, cursor: str = "", size: int) -> KeysetPage[Row]:
    """Return a page of rows.

    Args:
        rows: in any order.
        ordering: names of columns, with a minus those that fall; the last is unique.
        cursor: `next_cursor` or `previous_cursor` of another page; empty for the beginning.
        size: how many rows.

    Raises:
        UsageError: the cursor is none of this order.
    """
    columns = _columns(rows.model, ordering)
    place = _read(cursor, columns) if cursor else None
    is_back = place is not None and place[0]
    if place is not None:
        rows = rows.filter(_behind(columns, place[1], is_back=is_back))
    order = [f"{'-' if column.is_falling is not is_back else ''}{column.name}" for column in columns]
    found = list(rows.order_by(*order)[: size + 1])
    is_more, found = len(found) > size, found[:size]
    if is_back:
        found.reverse()
    if not found:
        return KeysetPage()
    page = KeysetPage(found)
    if is_more or is_back:
        page.next_cursor = _write(found[-1], columns, is_back=False)
    if (place is not None and not is_back) or (is_back and is_more):
        page.previous_cursor = _write(found[0], columns, is_back=True)
    return page


def _columns(model: type[Model], ordering: Sequence[str]) -> list[_Column]:
    fields = {"pk": model._meta.pk, **{one.name: one for one in model._meta.concrete_fields}}
    names = [(name.removeprefix("-"), name.startswith("-")) for name in ordering]
    return [_Column(name, is_falling, fields[name]) for name, is_falling in names]


def _behind(columns: Sequence[_Column], values: Sequence[object], *, is_back: bool) -> Q:
    """Return what is true of the rows behind a place; the first condition says where an index is entered."""
    condition = Q()
    for column, value in reversed(list(zip(columns, values, strict=True))):
        further = column.behind(value, is_back=is_back)
        condition = further | (Q(**{column.name: value}) & condition) if condition else further
    return columns[0].not_before(values[0], is_back=is_back) & condition


def _write(row: Model, columns: Sequence[_Column], *, is_back: bool) -> str:
    text = json.dumps([int(is_back), *(column.written(row) for column in columns)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str, columns: Sequence[_Column]) -> tuple[bool, list[object]]:
    """Return whether a cursor leads back, and the place it stands for."""
    try:
        text = base64.urlsafe_b64decode(f"{cursor[:_CURSOR_LIMIT]}{'=' * (-len(cursor) % 4)}")
        said = json.loads(text)
    except (ValueError, binascii.Error, RecursionError):
        said = None
    if not isinstance(said, list) or len(said) != len(columns) + 1 or said[0] not in (0, 1):
        raise UsageError(f"a cursor must come from another page, got {cursor[:80]!r}")
    return bool(said[0]), [column.read(value) for column, value in zip(columns, said[1:], strict=True)]
