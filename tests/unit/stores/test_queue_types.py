"""`--queue-type` by name."""

from __future__ import annotations

import sys

import pytest

from gearjobs.core.jobs import JobHandle
from gearjobs.errors import UsageError
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_options import QueueOptions
from gearjobs.stores.queue_types import (
    DEAD_QUEUE_TYPES,
    QUEUE_TYPES,
    find_queue_type,
    instead_of,
    make_queue_store,
    make_table,
)


@pytest.mark.parametrize("name", ["libsqlite3", "LIBSQLITE3", "mysql", "POSTGRES"])
def test_store_is_found_in_any_spelling(name):
    found = find_queue_type(name)

    assert found is not None
    assert found.lower() == name.lower()


def test_unknown_store_is_not_found():
    assert find_queue_type("nonsense") is None
    assert instead_of("nonsense") is None


@pytest.mark.parametrize("name", DEAD_QUEUE_TYPES)
def test_dead_store_names_what_to_use_instead(name):
    assert "--queue-type" in (instead_of(name.upper()) or "")


@pytest.mark.parametrize(("name", "driver"), [("Postgres", "psycopg"), ("MySQL", "pymysql")])
def test_missing_driver_is_named_with_the_extra_that_has_it(monkeypatch, name, driver):
    monkeypatch.delitem(sys.modules, f"gearjobs.stores.{QUEUE_TYPES[name].module}", raising=False)
    monkeypatch.setitem(sys.modules, driver, None)

    with pytest.raises(UsageError, match=rf"{driver}.*install gearjobs\[{QUEUE_TYPES[name].extra}\]"):
        make_table(name, QueueOptions(), DurabilityLevel.FULL)


def test_store_is_made_without_touching_anything(tmp_path):
    file = tmp_path / "queue.sqlite3"

    make_queue_store(
        "libsqlite3",
        QueueOptions(libsqlite3_db=str(file)),
        durability=DurabilityLevel.FULL,
        make_handle=lambda: JobHandle(b"H"),
    )

    assert list(tmp_path.iterdir()) == []
