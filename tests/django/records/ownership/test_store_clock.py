"""The database's clock, read as microseconds."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections

from gearjobs.errors import StoreError
from gearjobs.models import JobServer
from gearjobs.records.ownership.store_clock import StoreClock, clock_sql, read_clock_us


def test_clock_of_shared_databases_is_that_of_their_machine(alias):
    assert abs(read_clock_us(connections[alias]) - time.time() * 1e6) < 10e6


def test_clock_counts_on_between_two_statements(alias):
    first = read_clock_us(connections[alias])

    assert read_clock_us(connections[alias]) > first


def test_clock_can_be_written_and_compared(db):
    JobServer.objects.create(incarnation="x", renewed_at_us=StoreClock() + 60_000_000)

    assert JobServer.objects.filter(renewed_at_us__gt=StoreClock()).exists()
    assert abs(JobServer.objects.get().renewed_at_us - read_clock_us(connection) - 60_000_000) < 10_000_000


def test_unknown_kind_of_database_is_refused():
    oracle: Any = SimpleNamespace(vendor="oracle")

    with pytest.raises(StoreError, match="runs on SQLite, PostgreSQL, MySQL and MariaDB, got oracle"):
        clock_sql(oracle)
