"""What an operator should look at."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.models import BulkOperation, FunctionRollup, JobServer, QueueControl, Schedule
from gearjobs.protocol.server_snapshot import FunctionFigures, ServerSnapshot
from gearjobs.records.problem_finders import ServerAnswer, find_problems
from gearjobs.records.rows.function_keys import function_key
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


def answer(*functions: FunctionFigures, **values) -> ServerAnswer:
    snapshot = ServerSnapshot(**{"at": time.time(), "functions": functions, **values})
    return ServerAnswer("127.0.0.1:4730", snapshot=snapshot)


def kinds(*servers: ServerAnswer) -> list[str]:
    return [problem.kind for problem in find_problems(servers)]


def make_rollup(**values) -> None:
    starts_s = int(time.time() // 60) * 60
    FunctionRollup.objects.create(
        starts_s=starts_s, function="resize", function_key=function_key(b"resize"), server="s", **values
    )


def test_nothing_is_wrong_with_an_idle_site():
    make_job("waiting", enqueued_at=timezone.now())

    assert kinds(answer(FunctionFigures(name="resize", normal=1, workers=1))) == []


def test_server_that_says_nothing():
    (problem,) = find_problems([ServerAnswer("10.0.0.1:4730", "connection refused")])

    assert (problem.kind, problem.target_kind, problem.target) == ("server_down", "server", "10.0.0.1:4730")
    assert "connection refused" in problem.text


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"is_store_down": True}, "store_down"),
        ({"store_busy_s": 30.0}, "store_lag"),
        ({"pending_changes": 50_000}, "store_lag"),
        ({"is_lease_held": False}, "lease_lost"),
        # 1970: an hour would do, but the values stand in the tests' names, which must be the same in every process.
        ({"at": 0.0}, "clock_skew"),
    ],
    ids=str,
)
def test_server_in_trouble(values, kind):
    assert kinds(answer(**values)) == [kind]


@pytest.mark.parametrize(
    ("figures", "found"),
    [
        ({"normal": 3}, ["no_worker"]),
        ({"normal": 3, "is_paused": True}, []),
        ({"scheduled": 3}, []),
        ({"normal": 3, "workers": 2, "benched": 2}, ["benched"]),
        ({"normal": 3, "workers": 2, "benched": 1}, []),
    ],
    ids=str,
)
def test_function_whose_jobs_nobody_can_do(figures, found):
    assert kinds(answer(FunctionFigures(name="resize", **figures))) == found


def test_worker_at_any_server_will_do():
    idle = answer(FunctionFigures(name="resize", workers=1))

    assert kinds(answer(FunctionFigures(name="resize", normal=3)), idle) == []


def test_jobs_that_no_server_takes_over():
    make_job("waiting", owner="", enqueued_at=timezone.now() - timedelta(minutes=1))

    assert kinds() == ["no_server"]


def test_server_that_died_and_was_not_buried():
    now_us = int(time.time() * 1_000_000)
    JobServer.objects.create(incarnation="a", renewed_at_us=now_us - 90_000_000, lease_until_us=now_us - 80_000_000)
    JobServer.objects.create(incarnation="b", renewed_at_us=now_us, lease_until_us=now_us + 10_000_000)
    JobServer.objects.create(incarnation="c", renewed_at_us=0, lease_until_us=0, fenced_at_us=1)
    JobServer.objects.create(incarnation="d", renewed_at_us=0)

    assert [problem.target for problem in find_problems()] == ["a"]


def test_schedule_that_did_not_run():
    long_ago = timezone.now() - timedelta(hours=1)
    Schedule.objects.create(key="nightly", task="shop.report", interval_s=60, next_fire_at=long_ago)
    Schedule.objects.create(key="off", task="shop.report", interval_s=60, next_fire_at=long_ago, is_enabled=False)

    (problem,) = find_problems()
    assert (problem.kind, problem.target) == ("late_schedule", "nightly")


def test_paused_queue_that_gets_jobs():
    QueueControl.objects.create(key="k", function="resize", is_paused=True)
    make_rollup(enqueued=5)

    assert kinds() == ["paused_backlog"]


def test_paused_queue_that_gets_none_is_as_it_should_be():
    QueueControl.objects.create(key="k", function="crop", is_paused=True)
    make_rollup(enqueued=5)

    assert kinds() == []


@pytest.mark.parametrize(("succeeded", "failed", "found"), [(5, 5, ["failing"]), (50, 5, []), (0, 5, [])])
def test_function_that_fails_more_often_than_not(succeeded, failed, found):
    make_rollup(succeeded=succeeded, failed=failed)

    assert kinds() == found


def test_operation_that_nobody_begins():
    BulkOperation.objects.create(id="B1", verb="retry", asked_at=timezone.now() - timedelta(minutes=5))

    assert kinds() == ["waiting_operation"]


def test_worst_comes_first():
    QueueControl.objects.create(key="k", function="resize", is_paused=True)
    make_rollup(enqueued=5)

    assert kinds(ServerAnswer("a", "refused")) == ["server_down", "paused_backlog"]


def test_looking_takes_few_queries(django_assert_max_num_queries):
    QueueControl.objects.create(key="k", function="resize", is_paused=True)
    make_rollup(enqueued=5)

    with django_assert_max_num_queries(9):
        find_problems([answer()])
