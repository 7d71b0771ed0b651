"""Schedules fired by real job servers: two of them on one database, one killed, workers that run what is fired."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from gearjobs.models import Job, Schedule, ScheduleRun, ScheduleSource
from gearjobs.tasks.schedules.saved_schedules import create_schedule, spec_columns
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.eventually import eventually
from tests.support.running_site import RunningSite
from tests.support.sample_tasks import add

pytestmark = pytest.mark.slow

#: Seconds for some firings, a second apart, on a busy machine.
FIRING_S = 30.0


@pytest.fixture
def alias(shared_database, django_alias, settings):
    """The database that the servers share, as this process sees it."""
    alias = django_alias(shared_database.settings)
    settings.GEARJOBS = {"DATABASE": alias}
    return alias


@pytest.fixture
def both(new_sharing_server, alias):
    servers = new_sharing_server(), new_sharing_server()
    for server in servers:
        server.start()
    return servers


def make_schedule(alias: str) -> Schedule:
    """Make one that is due every second."""
    spec = ScheduleSpec(timedelta(seconds=1), key="every-second", args=[1], overlap="queue", catch_up="all")
    schedule = create_schedule("every-second", spec_columns(add, spec), source=ScheduleSource.ADMIN)
    assert schedule._state.db == alias
    return schedule


def runs_of(alias: str) -> list[ScheduleRun]:
    return list(ScheduleRun.objects.using(alias).order_by("due_at"))


def await_runs(alias: str, count: int) -> list[ScheduleRun]:
    eventually(lambda: len(runs_of(alias)) >= count, FIRING_S, f"{count} firings")
    return runs_of(alias)


def assert_each_once(alias: str, runs: list[ScheduleRun]) -> None:
    first = runs[0].due_at
    assert [run.due_at for run in runs] == [first + timedelta(seconds=number) for number in range(len(runs))]
    assert {run.outcome for run in runs} == {"fired"}
    fired = [run.handle for run in runs]
    made = list(Job.objects.using(alias).filter(function=add.function_name).values_list("handle", flat=True))
    assert len(set(fired)) == len(fired)
    # The next one may have been fired since.
    assert set(fired) <= set(made)
    assert len(made) == ScheduleRun.objects.using(alias).count()


def test_each_due_time_fires_once_whichever_server_is_up(both, alias):
    make_schedule(alias)

    await_runs(alias, 6)
    # When: one of them dies at once.
    killed = both[0]
    killed.kill9()
    at_kill = len(runs_of(alias))
    await_runs(alias, at_kill + 5)
    Schedule.objects.using(alias).update(is_enabled=False)

    # Then: no second was left out, none fired twice, and the other server did the rest.
    runs = runs_of(alias)
    assert_each_once(alias, runs)
    assert {run.decided_by.rpartition(":")[2] for run in runs[at_kill + 1 :]} == {str(both[1].pid)}


def test_firings_of_two_servers_are_adopted_at_once(both, alias):
    make_schedule(alias)

    await_runs(alias, 3)

    eventually(
        lambda: not Job.objects.using(alias).filter(owner="", enqueued_at__lt=timezone.now() - timedelta(seconds=1)),
        5,
        "every job to have a server",
    )


def test_server_without_schedules_fires_none(new_sharing_server, alias):
    silent, firing = new_sharing_server("--schedules", "off"), new_sharing_server()
    for server in (silent, firing):
        server.start()
    make_schedule(alias)

    runs = await_runs(alias, 4)

    assert {run.decided_by.rpartition(":")[2] for run in runs} == {str(firing.pid)}
    assert "fire no schedules: --schedules off" in silent.said()


def test_database_outage_pauses_schedules_and_they_catch_up(both, alias, shared_database):
    make_schedule(alias)
    await_runs(alias, 3)

    shared_database.server.stop()
    eventually(lambda: "cannot fire schedules" in both[0].said() + both[1].said(), FIRING_S, "the outage to be noticed")
    shared_database.server.make_ready()
    connections[alias].close()

    eventually(lambda: "fire schedules again" in both[0].said() + both[1].said(), FIRING_S, "the end of the outage")
    before = len(runs_of(alias))
    await_runs(alias, before + 3)
    Schedule.objects.using(alias).update(is_enabled=False)
    assert_each_once(alias, runs_of(alias))


@pytest.fixture
def site(tmp_path):
    with RunningSite(tmp_path) as site:
        yield site


#: What a job server does with a schedule, in a process of which nothing else imports tasks.
FIRING_IN_A_SHELL = """
import sys
import gearjobs.management.commands.runjobserver
from gearjobs.models import Schedule
from gearjobs.tasks.schedules.firing import ScheduleFirer
next_year = Schedule.objects.get(key="yearly").next_due_at
print("fired", ScheduleFirer("shell").fire_due(next_year.timestamp()).jobs)
print("imported", "tests.support.worker_site.tasks" in sys.modules)
"""


def test_schedules_of_the_code_are_put_down_by_the_workers_and_run(site):
    workers = site.start_workers()
    assert "make schedule=yearly" in workers.output

    ran = site.manage(["jobs_schedules", "yearly", "--run-now"])

    assert ran.returncode == 0, ran.stderr
    row = site.await_row(ran.stdout.split()[-1], status="SUCCESSFUL")
    assert (row["result"], json.loads(row["metadata"])["schedule"]) == (b"3", "yearly")


def test_firing_imports_no_task(site):
    site.start_workers()

    said = site.manage(["shell"], code=FIRING_IN_A_SHELL)

    assert said.returncode == 0, said.stderr
    assert [line for line in said.stdout.splitlines() if line.startswith(("fired", "imported"))] == [
        "fired 1",
        "imported False",
    ]
