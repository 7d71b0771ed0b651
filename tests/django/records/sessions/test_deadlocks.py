"""Which failed transactions are run again."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection

from gearjobs.records.sessions import deadlocks
from gearjobs.records.sessions.deadlocks import run_again


class DriverError(Exception):
    """What a driver raises."""

    def __init__(self, *args: object, sqlstate: str | None = None) -> None:
        super().__init__(*args)
        self.sqlstate = sqlstate


class Work:
    """Fails a few times."""

    def __init__(self, cause: Exception, times: int) -> None:
        self.cause = cause
        self.left = times
        self.runs = 0

    def __call__(self) -> str:
        self.runs += 1
        if self.left:
            self.left -= 1
            raise OperationalError("the database says so") from self.cause
        return "done"


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(deadlocks, "_PAUSE_S", 0.0)


@pytest.mark.parametrize(
    "cause",
    [
        DriverError("deadlock detected", sqlstate="40P01"),
        DriverError("could not serialize access", sqlstate="40001"),
        DriverError(1213, "Deadlock found when trying to get lock; try restarting transaction"),
        DriverError(1020, "Record has changed since last read"),
    ],
)
def test_transaction_that_met_a_deadlock_is_run_again(cause):
    work = Work(cause, 3)

    assert run_again(connection, work) == "done"
    assert work.runs == 4


@pytest.mark.parametrize(
    "cause", [DriverError(1205, "Lock wait timeout exceeded"), DriverError("gone", sqlstate="57P01"), DriverError()]
)
def test_other_failures_are_not_tried_again(cause):
    work = Work(cause, 1)

    with pytest.raises(OperationalError):
        run_again(connection, work)
    assert work.runs == 1


def test_endless_deadlock_is_given_up():
    work = Work(DriverError(1213), 100)

    with pytest.raises(OperationalError):
        run_again(connection, work)
    assert work.runs == 6


def test_nothing_is_run_again_inside_of_somebody_elses_transaction(db):
    work = Work(DriverError(1213), 1)

    with pytest.raises(OperationalError):
        run_again(connection, work)
    assert work.runs == 1
