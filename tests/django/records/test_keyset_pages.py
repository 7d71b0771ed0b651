"""Pages of any list: every row once, forwards and backwards, however many are of one moment."""

from __future__ import annotations

import base64
import datetime
import json
from datetime import UTC, timedelta
from typing import Any

import pytest
from django.db import connection

from gearjobs.errors import UsageError
from gearjobs.models import FailureGroup, OperatorAction, Schedule
from gearjobs.records.keyset_pages import keyset_page

pytestmark = pytest.mark.django_db

NOW = datetime.datetime(2026, 11, 21, 12, 0, 0, 123_456, tzinfo=UTC)
LATEST = ("-at", "-pk")


def make_actions(count: int, *, at: datetime.datetime = NOW) -> None:
    OperatorAction.objects.bulk_create(OperatorAction(verb=str(number), at=at) for number in range(count))


def forwards(ordering=LATEST, size: int = 3, model=OperatorAction) -> list[list[Any]]:
    """Return all pages of a list, one after the other."""
    pages, cursor = [], ""
    while True:
        page = keyset_page(model.objects.all(), ordering, cursor=cursor, size=size)
        pages.append(page.rows)
        cursor = page.next_cursor
        if not cursor:
            return pages


def backwards(cursor: str, ordering=LATEST, size: int = 3) -> list[list[Any]]:
    """Return the pages before a place, the nearest first."""
    pages = []
    while cursor:
        page = keyset_page(OperatorAction.objects.all(), ordering, cursor=cursor, size=size)
        pages.append(page.rows)
        cursor = page.previous_cursor
    return pages


def cursor_of(*said: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode()


def test_rows_of_one_moment_are_each_on_one_page():
    # Pages by an offset among those of one moment lost all beyond the thousandth.
    make_actions(2_500)

    found = [row.pk for page in forwards(size=200) for row in page]

    assert found == sorted(found, reverse=True)
    assert len(set(found)) == 2_500


def test_pages_lead_back_as_they_led_on():
    for number in range(8):
        make_actions(1, at=NOW - timedelta(seconds=number // 3))
    pages = forwards()
    page = keyset_page(OperatorAction.objects.all(), LATEST, size=3)
    for _ in range(len(pages) - 1):
        page = keyset_page(OperatorAction.objects.all(), LATEST, cursor=page.next_cursor, size=3)

    assert page.rows == pages[-1]
    assert backwards(page.previous_cursor) == pages[-2::-1]


def test_ends_of_a_list_say_that_they_are():
    make_actions(4)

    first = keyset_page(OperatorAction.objects.all(), LATEST, size=3)
    last = keyset_page(OperatorAction.objects.all(), LATEST, cursor=first.next_cursor, size=3)
    again = keyset_page(OperatorAction.objects.all(), LATEST, cursor=last.previous_cursor, size=3)

    assert (first.previous_cursor, last.next_cursor, again.previous_cursor) == ("", "", "")
    assert (again.rows, bool(again.next_cursor)) == (first.rows, True)


def test_columns_may_go_different_ways():
    for number in range(9):
        FailureGroup.objects.create(
            fingerprint=f"f{number}", function="f", last_seen_at=NOW - timedelta(seconds=number // 4)
        )

    pages = forwards(("-last_seen_at", "fingerprint"), size=2, model=FailureGroup)

    assert [row.pk for page in pages for row in page] == [f"f{number}" for number in range(9)]


def test_page_goes_on_where_it_was_though_the_row_is_gone_and_others_came():
    make_actions(6)
    first = keyset_page(OperatorAction.objects.all(), LATEST, size=3)
    rest = list(OperatorAction.objects.order_by(*LATEST)[3:])

    first.rows[-1].delete()
    make_actions(2)

    assert keyset_page(OperatorAction.objects.all(), LATEST, cursor=first.next_cursor, size=3).rows == rest


def test_place_without_rows_is_an_empty_page():
    page = keyset_page(OperatorAction.objects.all(), LATEST, cursor=cursor_of(0, 1, 1), size=3)

    assert (page.rows, page.next_cursor, page.previous_cursor) == ([], "", "")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "x" * 5_000,
        cursor_of(),
        cursor_of(0, 1),
        cursor_of(2, 1, 1),
        cursor_of(0, "2026-01-01", 1),
        cursor_of(0, -1, 1),
        cursor_of(0, 10**18, 1),
        cursor_of(0, True, 1),
        cursor_of(0, 1, None),
        cursor_of(0, 1, "x"),
        cursor_of(0, 1, 2**63),
        cursor_of(0, 1, [1]),
        cursor_of(0, 1, 1.5),
        base64.urlsafe_b64encode(b"[" * 1_400).decode(),
    ],
)
def test_cursor_of_somebody_else_is_refused(cursor):
    with pytest.raises(UsageError, match="a cursor must come from another page"):
        keyset_page(OperatorAction.objects.all(), LATEST, cursor=cursor, size=3)


@pytest.mark.parametrize("text", ["\0", "\ud800"])
def test_cursor_with_a_text_that_no_database_takes_is_refused(text):
    with pytest.raises(UsageError, match="a cursor must come from another page"):
        keyset_page(FailureGroup.objects.all(), ("-last_seen_at", "fingerprint"), cursor=cursor_of(0, 1, text), size=3)


def test_cursor_of_another_list_finds_what_it_means_there_or_is_refused():
    cursor = cursor_of(0, 1, "f1")

    assert keyset_page(FailureGroup.objects.all(), ("-last_seen_at", "fingerprint"), cursor=cursor, size=3).rows == []
    with pytest.raises(UsageError):
        keyset_page(Schedule.objects.all(), ("-created_at", "-id"), cursor=cursor, size=3)


def test_deep_page_enters_an_index(django_assert_num_queries):
    make_actions(50)
    first = keyset_page(OperatorAction.objects.all(), LATEST, size=3)

    with django_assert_num_queries(1) as captured:
        keyset_page(OperatorAction.objects.all(), LATEST, cursor=first.next_cursor, size=3)

    quote = connection.ops.quote_name
    assert f"{quote('gearjobs_operatoraction')}.{quote('at')} <= " in captured[0]["sql"]
