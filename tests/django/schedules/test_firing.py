"""Firing: the run's row and its job in one transaction, once for each due time, by each policy."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import DataError, IntegrityError, OperationalError

from gearjobs.models import Job, Schedule, ScheduleRun
from gearjobs.tasks.schedules import firing
from gearjobs.tasks.schedules.firing import PORTION, PUT_OFF_S, ScheduleFirer, fire_by_hand
from tests.django.schedules.conftest import DUE, end_job, seconds_after, start_job

pytestmark = pytest.mark.django_db


def outcomes() -> list[str]:
    return list(ScheduleRun.objects.order_by("due_at").values_list("outcome", flat=True))


def test_due_schedule_makes_a_job_that_needs_no_task_to_be_imported(make_schedule, firer):
    schedule = make_schedule()

    report = firer.fire_due(seconds_after(0.5))

    job, run = Job.objects.get(), ScheduleRun.objects.get()
    assert (report.jobs, report.replaced, report.is_partial) == (1, [], False)
    assert (job.function, job.task, job.queue) == (schedule.task, schedule.task, "default")
    assert json.loads(bytes(job.payload)) == {"args": [1, 2], "kwargs": {}}
    assert job.metadata == {"schedule": "sums", "due_at": "2026-05-20T10:00:00+00:00"}
    assert (job.owner, job.status) == ("", "READY")
    assert (run.due_at, run.outcome, run.handle, run.decided_by) == (DUE, "fired", job.handle, "box:7")
    schedule.refresh_from_db()
    assert (schedule.next_due_at, schedule.last_handle) == (DUE + timedelta(minutes=10), job.handle)


def test_nothing_fires_before_its_time(make_schedule, firer):
    make_schedule()

    assert firer.fire_due(seconds_after(-0.1)).jobs == 0
    assert firer.next_fire_at(seconds_after(-0.1)) == DUE.timestamp()


def test_fired_due_time_does_not_fire_again(make_schedule, firer):
    make_schedule()
    firer.fire_due(seconds_after(0))

    assert firer.fire_due(seconds_after(1)).jobs == 0
    assert firer.next_fire_at(seconds_after(1)) == seconds_after(600)


def test_paused_and_withdrawn_schedules_do_not_fire(make_schedule, firer):
    Schedule.objects.filter(pk=make_schedule("paused").pk).update(is_enabled=False)
    Schedule.objects.filter(pk=make_schedule("gone").pk).update(withdrawn_at=DUE)

    assert firer.fire_due(seconds_after(0)).jobs == 0
    assert firer.next_fire_at(seconds_after(-9)) is None


def test_server_that_read_an_older_state_writes_nothing(make_schedule, firer, monkeypatch):
    make_schedule(overlap="queue")
    late = ScheduleFirer("box:8")
    original = late._prepare

    def prepare(schedule, plan, now):
        prepared = original(schedule, plan, now)
        # The other one is faster.
        firer.fire_due(now)
        return prepared

    monkeypatch.setattr(late, "_prepare", prepare)

    assert late.fire_due(seconds_after(0)).jobs == 0
    assert (Job.objects.count(), outcomes()) == (1, ["fired"])


def test_due_time_that_has_a_row_is_not_fired_again_whatever_the_schedule_says(make_schedule, firer):
    schedule = make_schedule()
    firer.fire_due(seconds_after(0))
    Schedule.objects.filter(pk=schedule.pk).update(next_due_at=DUE, next_fire_at=DUE)

    assert firer.fire_due(seconds_after(1)).jobs == 0
    schedule.refresh_from_db()
    assert schedule.next_due_at == DUE + timedelta(minutes=10)


def test_unique_row_decides_where_two_read_the_same(make_schedule, firer, monkeypatch):
    schedule = make_schedule()
    ScheduleRun.objects.create(schedule=schedule, due_at=DUE, decided_at=DUE, outcome="fired")
    # The other server's row was not there when we looked.
    monkeypatch.setattr(firing, "_known_due_times", lambda schedule, due_times: set())

    assert firer.fire_due(seconds_after(0)).jobs == 0
    assert Job.objects.count() == 0
    schedule.refresh_from_db()
    assert schedule.next_due_at == DUE


def test_row_and_job_are_written_together_or_not_at_all(make_schedule, firer, monkeypatch):
    make_schedule()

    def refuse(jobs):
        raise IntegrityError("no")

    monkeypatch.setattr(firing, "insert_jobs", refuse)

    assert firer.fire_due(seconds_after(0)).jobs == 0
    assert (ScheduleRun.objects.count(), Schedule.objects.get().next_due_at) == (0, DUE)


def test_skip_leaves_a_run_out_while_the_last_one_goes_on(make_schedule, firer):
    make_schedule()
    firer.fire_due(seconds_after(0))
    first = Job.objects.get().handle
    start_job(first)

    firer.fire_due(seconds_after(600))
    end_job(first)
    firer.fire_due(seconds_after(1200))

    assert outcomes() == ["fired", "overlapped", "fired"]


def test_queue_fires_beside_the_last_one(make_schedule, firer):
    make_schedule(overlap="queue")

    for number in range(3):
        firer.fire_due(seconds_after(600 * number))

    assert (outcomes(), Job.objects.count()) == (["fired"] * 3, 3)


def test_coalesce_lets_one_job_wait_at_most(make_schedule, firer):
    make_schedule(overlap="coalesce")
    firer.fire_due(seconds_after(0))
    first = Job.objects.get().handle
    start_job(first)

    for number in range(1, 4):
        firer.fire_due(seconds_after(600 * number))

    assert outcomes() == ["fired", "fired", "joined", "joined"]
    second = Job.objects.exclude(pk=first).get().handle
    assert set(ScheduleRun.objects.filter(outcome="joined").values_list("handle", flat=True)) == {second}


def test_replace_names_the_job_that_is_to_be_cancelled(make_schedule, firer):
    make_schedule(overlap="replace")
    firer.fire_due(seconds_after(0))
    first = Job.objects.get().handle

    report = firer.fire_due(seconds_after(600))

    assert (report.jobs, report.replaced) == (1, [first])


@pytest.mark.parametrize(
    ("catch_up", "expected"),
    [
        ("all", ["fired", "fired", "fired"]),
        ("last", ["missed", "missed", "fired"]),
        ("none", ["missed", "missed", "missed"]),
    ],
)
def test_what_an_outage_left_out_is_caught_up_by_policy(make_schedule, firer, catch_up, expected):
    make_schedule(catch_up=catch_up, overlap="queue")

    firer.fire_due(seconds_after(1200 + 300))

    assert outcomes() == expected
    assert Schedule.objects.get().next_due_at == DUE + timedelta(minutes=30)


def test_all_that_is_caught_up_obeys_overlap(make_schedule, firer):
    make_schedule(catch_up="all", overlap="skip")

    firer.fire_due(seconds_after(1200))

    assert outcomes() == ["fired", "overlapped", "overlapped"]


def test_schedule_that_cannot_be_read_holds_up_no_other(make_schedule, firer, caplog):
    broken = make_schedule("broken", when="0 3 * * *")
    Schedule.objects.filter(pk=broken.pk).update(time_zone="Mars/Olympus")
    make_schedule("good")

    assert firer.fire_due(seconds_after(0)).jobs == 1

    assert "cannot fire schedule=broken" in caplog.text
    assert "got 'Mars/Olympus'" in caplog.text
    broken.refresh_from_db()
    assert broken.next_fire_at == DUE + timedelta(seconds=PUT_OFF_S)


@pytest.mark.parametrize("bug", [ZeroDivisionError("a bug"), DataError("too long for its column")])
def test_schedule_that_meets_a_bug_holds_up_no_other(make_schedule, firer, monkeypatch, caplog, bug):
    make_schedule("one")
    make_schedule("two")
    original = firing.new_job

    def stumble(schedule, **moments):
        if schedule.key == "one":
            raise bug
        return original(schedule, **moments)

    monkeypatch.setattr(firing, "new_job", stumble)

    assert firer.fire_due(seconds_after(0)).jobs == 1

    assert f"cannot fire schedule=one, again in 600 s: {bug}" in caplog.text
    assert Job.objects.get().metadata["schedule"] == "two"


def test_outage_is_told_to_whoever_asked(make_schedule, firer, monkeypatch):
    make_schedule()

    def refuse(jobs):
        raise OperationalError("gone")

    monkeypatch.setattr(firing, "insert_jobs", refuse)

    with pytest.raises(OperationalError):
        firer.fire_due(seconds_after(0))
    assert (ScheduleRun.objects.count(), Schedule.objects.get().next_due_at) == (0, DUE)


def test_more_than_a_portion_is_told(make_schedule, firer):
    for number in range(PORTION + 1):
        make_schedule(f"sums-{number}")

    first, second = firer.fire_due(seconds_after(0)), firer.fire_due(seconds_after(0))

    assert (first.jobs, first.is_partial) == (PORTION, True)
    assert (second.jobs, second.is_partial) == (1, False)


def test_expiry_of_the_task_counts_from_the_firing(make_schedule, firer):
    schedule = make_schedule()
    Schedule.objects.filter(pk=schedule.pk).update(terms={"expires_at": 60.0, "timeout_s": 5.0})

    firer.fire_due(seconds_after(2))

    assert Job.objects.get().terms == {"expires_at": seconds_after(62), "timeout_s": 5.0}


def test_clock_that_was_ahead_delays_nothing(make_schedule, firer):
    schedule = make_schedule()
    ahead = DUE + timedelta(days=9)
    Schedule.objects.filter(pk=schedule.pk).update(next_due_at=ahead, next_fire_at=ahead)

    firer.aim_anew(seconds_after(1))

    schedule.refresh_from_db()
    assert schedule.next_due_at == DUE + timedelta(minutes=10)
    firer.aim_anew(seconds_after(2))
    assert Schedule.objects.get().next_due_at == DUE + timedelta(minutes=10)


def test_schedule_that_cannot_be_read_is_put_off_when_aimed_anew(make_schedule, firer):
    broken = make_schedule("broken", when="0 3 * * *")
    Schedule.objects.filter(pk=broken.pk).update(time_zone="Mars/Olympus")

    firer.aim_anew(seconds_after(-60))

    broken.refresh_from_db()
    assert (broken.next_due_at, broken.next_fire_at) == (DUE, DUE + timedelta(seconds=PUT_OFF_S - 60))


def test_run_by_hand_makes_a_job_and_leaves_the_due_times_alone(make_schedule):
    schedule = make_schedule()
    Schedule.objects.filter(pk=schedule.pk).update(is_enabled=False)

    handle = fire_by_hand(schedule, decided_by="ada")

    run = ScheduleRun.objects.get()
    assert (run.outcome, run.handle, run.decided_by) == ("by_hand", handle, "ada")
    assert Job.objects.get().handle == handle
    schedule.refresh_from_db()
    assert (schedule.next_due_at, schedule.last_handle) == (DUE, handle)
