"""What a type checker sees of schedules: `periodic` gives back the task it stands above; run by mypy, not by pytest."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_type

from gearjobs import GearResult, GearTask, ScheduleSpec, gear_task, periodic
from gearjobs.models import Schedule


@periodic("0 3 * * *", tz="Europe/Berlin", args=[1], overlap="coalesce", catch_up="all", jitter=timedelta(minutes=1))
@gear_task
def report(number: int) -> str:
    return str(number)


@gear_task(schedule=ScheduleSpec(timedelta(hours=1), args=[1]), max_attempts=3)
def clean_up(number: int) -> str:
    return str(number)


def tasks_keep_their_signatures() -> None:
    assert_type(report.enqueue(1), GearResult[str])
    assert_type(clean_up.enqueue(1), GearResult[str])
    report.enqueue("1")  # type: ignore[arg-type]  # not an int
    assert_type(report.schedule("@daily", key="reports", args=[1]), Schedule)


def words_are_checked(task: GearTask[[], None]) -> None:
    periodic(60)  # type: ignore[arg-type]  # seconds are not said so
    periodic("@daily", zone="UTC")  # type: ignore[call-arg]  # it is called tz
    periodic("@daily")(len)  # type: ignore[type-var]  # no task
