"""Values that every database takes."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, models
from hypothesis import given
from hypothesis import strategies as st

from gearjobs.models import Job
from gearjobs.records.rows.column_values import (
    BodyLimit,
    TimeColumn,
    finite,
    fit_priority,
    fit_tail,
    fit_text,
    json_text,
    plain_text,
    to_datetime,
    to_unix_s,
    worker_ids_text,
)

ENQUEUED_AT = Job._meta.get_field("enqueued_at")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=20,
)


@given(st.integers(min_value=0, max_value=7_000_000_000_000_000))
def test_times_are_written_as_the_field_itself_writes_them(unix_us):
    moment = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=unix_us)
    assert isinstance(ENQUEUED_AT, models.DateTimeField)

    written = TimeColumn(connection)(moment.timestamp())

    assert written == ENQUEUED_AT.get_db_prep_value(moment, connection)


def test_times_of_one_second_share_their_beginning_only():
    to_time = TimeColumn(connection)

    written = [to_time(1_760_000_000 + part) for part in (0.5, 0.25, 0.0, 1.0)]

    expected = [
        ENQUEUED_AT.get_db_prep_value(to_datetime(1_760_000_000 + part), connection) for part in (0.5, 0.25, 0.0, 1.0)
    ]
    assert written == expected


@pytest.mark.parametrize(("unix_s", "year"), [(1e300, 9999), (math.inf, 9999), (-1.0, 1970), (math.nan, 1970)])
def test_times_beyond_the_calendar_become_its_end(unix_s, year):
    assert to_datetime(unix_s).year == year
    assert str(year) in str(TimeColumn(connection)(unix_s))


def test_naive_times_of_a_project_without_time_zones(settings):
    settings.USE_TZ = False

    naive = to_datetime(1_760_000_000.25)

    assert naive.isoformat() == "2025-10-09T10:53:20.250000"
    assert to_unix_s(naive) == 1_760_000_000.25


@given(st.text(st.characters()))
def test_any_text_becomes_text_that_utf8_holds_without_nul(text):
    plain = plain_text(text)

    assert "\0" not in plain
    assert plain.encode("utf-8").decode("utf-8") == plain


@given(st.text(max_size=30), st.integers(min_value=2, max_value=20))
def test_text_is_cut_to_its_column(text, limit):
    assert len(fit_text(text, limit)) <= limit
    assert len(fit_tail(text, limit)) <= limit


def test_cut_text_says_so_at_the_end_that_is_missing():
    assert (fit_text("abcdef", 4), fit_tail("abcdef", 4)) == ("abc…", "…def")


@pytest.mark.parametrize(("number", "kept"), [(1.5, 1.5), (math.inf, 0.0), (-math.inf, 0.0), (math.nan, 0.0)])
def test_numbers_are_finite(number, kept):
    assert finite(number) == kept


@pytest.mark.parametrize(("given_", "kept"), [(7, 7), (10**9, 32_767), (-(10**9), -32_767)])
def test_priorities_fit_their_column(given_, kept):
    assert fit_priority(given_) == kept


@given(st.dictionaries(st.text(st.characters()), ANY_JSON, max_size=4))
def test_metadata_becomes_json_that_postgresql_takes(metadata):
    text = json_text(metadata)

    json.loads(text, parse_constant=pytest.fail)
    assert "\\u0000" not in text.replace("\\\\", "")
    json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8")


def test_metadata_deeper_than_mariadb_takes_ends_in_an_ellipsis():
    deep: dict[str, object] = {}
    for _ in range(100):
        deep = {"a": deep}

    text = json_text(deep)

    assert text.count("{") == 24
    assert "…" in json.loads(text).__repr__()


@given(st.lists(st.text(), max_size=3))
def test_worker_ids_are_a_json_list(worker_ids):
    assert json.loads(worker_ids_text(worker_ids)) == [plain_text(worker_id) for worker_id in worker_ids]


@pytest.mark.parametrize(
    ("body", "is_exceeded"),
    [(b"x" * 500_000, False), (b"x" * 600_000, True), (b"'" * 300_000, True), (b"x" * 300_000, False)],
)
def test_body_too_long_for_a_statement_is_known_beforehand(body, is_exceeded):
    assert BodyLimit(2 * (524_288 + 550_000)).is_exceeded(body) is is_exceeded


def test_without_a_limit_no_body_is_too_long():
    assert not BodyLimit(None).is_exceeded(b"'" * 1_000_000)
