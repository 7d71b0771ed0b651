"""Pages of jobs: what is on them, where they go on, and what they cost."""

from __future__ import annotations

import datetime
from datetime import UTC, timedelta

import pytest
from django.db import connection

from gearjobs.errors import UsageError
from gearjobs.models import Job, JobGroup, JobMember, Schedule, ScheduleRun
from gearjobs.records import job_looks
from gearjobs.records.job_filter import JobFilter
from gearjobs.records.job_pages import count_unfinished, count_up_to, has_argument, job_page, read_cursor
from gearjobs.records.job_queries import all_jobs

pytestmark = pytest.mark.django_db

NOW = datetime.datetime(2026, 11, 21, 12, tzinfo=UTC)


def make(number: int, **values) -> Job:
    values = {"function": "resize", "enqueued_at": NOW + timedelta(seconds=number), **values}
    return Job.objects.create(handle=f"H:pages:{number:06d}", **values)


def failed(number: int, fingerprint: str | None = "f1", **values) -> Job:
    ended = {"status": "FAILED", "status_detail": "failed", "finished_at": NOW, "fingerprint": fingerprint}
    return make(number, **{**ended, **values})


def numbers(jobs) -> list[int]:
    return [int(job.handle.rpartition(":")[2]) for job in jobs]


def every(job_filter: JobFilter, size: int = 2) -> list[int]:
    """Return all pages of a list, one after the other."""
    found, cursor = [], ""
    for _ in range(100):
        page = job_page(all_jobs(), job_filter, cursor=cursor, size=size)
        found += numbers(page.jobs)
        cursor = page.next_cursor
        if not cursor:
            return found
    raise AssertionError("the list has no end")


def test_pages_go_on_where_the_last_one_ended():
    for number in range(5):
        make(number)

    assert every(JobFilter()) == [4, 3, 2, 1, 0]


def test_place_that_cannot_be_is_no_place():
    # So many digits were an error, here or of PostgreSQL.
    make(1, payload=b'{"args": [[1]]}', metadata={"a": 1})

    for number in ("9" * 5000, "9" * 12):
        assert every(JobFilter(search=f"args.0.{number}:1")) == []
        assert every(JobFilter(search=f"meta.{number}:1")) == []


def test_jobs_of_one_moment_are_each_on_one_page():
    for number in range(5):
        make(number, enqueued_at=NOW)

    assert every(JobFilter()) == [4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"statuses": ("waiting",)}, [1]),
        ({"statuses": ("running",)}, [2]),
        ({"statuses": ("READY",)}, [8, 1]),
        ({"statuses": ("failed",)}, [4, 3]),
        ({"statuses": ("FAILED",)}, [5, 4, 3]),
        ({"statuses": ("succeeded",)}, [6]),
        ({"statuses": ("waiting", "succeeded")}, [6, 1]),
        ({"fingerprint": "f2"}, [4]),
        ({"functions": ("crop",)}, [2]),
        ({"tasks": ("shop.crop",)}, [2]),
        ({"tasks": ("shop.*",)}, [3, 2]),
        ({"queues": ("photos",)}, [1]),
        ({"worker": "press-1"}, [6]),
        ({"unique": "u1"}, [7]),
        ({"enqueued_by": "7"}, [7]),
        ({"handles": ("H:pages:000001", "H:pages:000002")}, [2, 1]),
        ({"search": "H:pages:000005"}, [5]),
        ({"search": "u1"}, [7]),
        ({"search": "shop.cr"}, [2]),
        ({"search": "meta.order.number:12"}, [7]),
        ({"search": "args.photo:cat.png"}, [1]),
        ({"search": "args.0:12"}, [2]),
        ({"search": "args.ok:true"}, [3]),
        ({"enqueued_after": NOW + timedelta(seconds=7)}, [8, 7]),
        ({"enqueued_before": NOW + timedelta(seconds=2)}, [1]),
        ({"finished_after": NOW + timedelta(hours=1)}, [6]),
        ({"statuses": ("failed",), "functions": ("crop",)}, []),
    ],
    ids=str,
)
def test_filter_finds(said, found):
    make(1, queue="photos", payload=b'{"args":[],"kwargs":{"photo":"cat.png"}}')
    make(
        2,
        function="crop",
        task="shop.crop",
        status="RUNNING",
        status_detail="running",
        payload=b'{"args":[12],"kwargs":{}}',
        owner="server-1",
    )
    failed(3, task="shop.resize", payload=b'{"ok": true}')
    failed(4, "f2")
    failed(5, None, status_detail="cancelled")
    ended = {"status": "SUCCESSFUL", "status_detail": "succeeded", "finished_at": NOW + timedelta(hours=2)}
    make(6, worker_ids=["press-1"], **ended)
    make(7, unique="u1", enqueued_by="7", metadata={"order": {"number": 12}}, **{**ended, "finished_at": NOW})
    Job.objects.filter(pk="H:pages:000007").update(status_detail="dead", status="FAILED", fingerprint="f3")
    make(8, owner="(blocked)", status_detail="blocked")
    expected = found if said.get("statuses") != ("FAILED",) else [7, *found]

    assert every(JobFilter(**said)) == expected


def test_jobs_of_a_schedule_and_of_a_group_are_found():
    job = make(1)
    make(2)
    schedule = Schedule.objects.create(key="nightly", task="shop.report", interval_s=60)
    ScheduleRun.objects.create(schedule=schedule, due_at=NOW, decided_at=NOW, outcome="fired", handle=job.handle)
    whole = JobGroup.objects.create(id="G1", root="G1", kind="group")
    JobMember.objects.create(job=job, stage=whole)

    assert (every(JobFilter(schedule="nightly")), every(JobFilter(group="G1"))) == ([1], [1])


def test_only_what_the_reader_may_see_is_found():
    make(1, enqueued_by="7")
    make(2, enqueued_by="8")

    page = job_page(all_jobs().filter(enqueued_by="7"), JobFilter(statuses=("waiting",)))
    assert numbers(page.jobs) == [1]


@pytest.mark.parametrize(
    "said", [{"functions": ("crop",)}, {"statuses": ("waiting",), "functions": ("crop",)}], ids=str
)
def test_page_ends_where_enough_was_looked_at_and_the_next_goes_on(monkeypatch, said):
    monkeypatch.setattr(job_looks, "LOOK_LIMIT", 3)
    for number in range(10):
        make(number, function="crop" if number in {1, 9} else "resize")

    page = job_page(all_jobs(), JobFilter(**said), size=5)
    assert (numbers(page.jobs), page.is_cut, page.looked_back_to) == ([9], True, NOW + timedelta(seconds=6))
    assert every(JobFilter(**said), size=5) == [9, 1]


def test_more_running_jobs_than_are_named_at_once_are_all_listed():
    for number in range(7):
        make(number, status="RUNNING", status_detail="running")

    assert every(JobFilter(statuses=("running",))) == [6, 5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize(
    "said", [{"functions": ("resize",)}, {"statuses": ("waiting",)}, {"statuses": ("waiting", "running")}], ids=str
)
def test_look_that_ends_among_jobs_of_one_moment_shows_each_once(monkeypatch, said):
    # Those of the moment at which the look ended were on both of the pages, and were counted with it.
    monkeypatch.setattr(job_looks, "LOOK_LIMIT", 3)
    for number in range(11):
        make(number, enqueued_at=NOW, owner=f"server-{number % 2}")

    assert every(JobFilter(**said), size=2) == list(range(10, -1, -1))
    assert every(JobFilter(**said), size=50) == list(range(10, -1, -1))


def test_search_in_arguments_of_waiting_jobs_goes_on_where_the_last_look_ended(monkeypatch):
    # Jobs between the last one whose arguments were read and the last one that was looked at were never shown.
    monkeypatch.setattr(job_looks, "ARGUMENTS_LOOK_LIMIT", 3)
    for number in range(10):
        make(number, payload=b'{"kwargs":{"n":%d}}' % (number % 8))

    page = job_page(all_jobs(), JobFilter(statuses=("waiting",), search="args.n:1"), size=5)

    assert (numbers(page.jobs), page.is_cut) == ([9], True)
    assert every(JobFilter(statuses=("waiting",), search="args.n:1")) == [9, 1]


def test_waiting_jobs_of_a_schedule_are_not_those_of_another():
    job = make(1)
    make(2)
    schedule = Schedule.objects.create(key="nightly", task="shop.report", interval_s=60)
    ScheduleRun.objects.create(schedule=schedule, due_at=NOW, decided_at=NOW, outcome="fired", handle=job.handle)

    assert every(JobFilter(schedule="nightly", statuses=("waiting",))) == [1]


def test_large_group_is_shown_whole_page_by_page(monkeypatch):
    monkeypatch.setattr(job_looks, "GROUP_LOOK_LIMIT", 3)
    whole = JobGroup.objects.create(id="G1", root="G1", kind="group")
    for number in range(10):
        job = make(number, function="crop" if number in {1, 8} else "resize", enqueued_at=NOW)
        JobMember.objects.create(job=job, stage=whole)

    assert every(JobFilter(group="G1")) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert every(JobFilter(group="G1"), size=50) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert every(JobFilter(group="G1", functions=("crop",))) == [8, 1]
    assert every(JobFilter(group="G1", statuses=("running",))) == []


def test_running_jobs_are_looked_for_among_the_oldest(monkeypatch):
    monkeypatch.setattr(job_looks, "LOOK_LIMIT", 3)
    make(0, status="RUNNING", status_detail="running")
    for number in range(1, 10):
        make(number)

    assert every(JobFilter(statuses=("running",))) == [0]


def test_lists_do_not_read_bodies():
    make(1)

    page = job_page(all_jobs(), JobFilter())
    assert {"payload", "result", "error_traceback"} <= page.jobs[0].get_deferred_fields()


@pytest.mark.parametrize("cursor", ["x", "1", "1.", f"{10**17}.H", "1." + "x" * 65, "1.a\0b"])
def test_cursor_of_somebody_else_is_refused(cursor):
    with pytest.raises(UsageError, match="a cursor must come from the page before"):
        read_cursor(cursor)


def test_count_ends_at_its_limit():
    for number in range(5):
        make(number)

    assert (str(count_up_to(all_jobs(), JobFilter(), limit=3)), str(count_up_to(all_jobs(), JobFilter()))) == (
        "3+",
        "5",
    )


def test_count_says_that_it_did_not_look_at_all(monkeypatch):
    monkeypatch.setattr(job_looks, "LOOK_LIMIT", 3)
    for number in range(10):
        make(number, function="crop" if number in {1, 9} else "resize")

    assert str(count_up_to(all_jobs(), JobFilter(functions=("crop",)))) == "1+"


def test_states_before_the_end_are_counted_together():
    for number in range(4):
        make(number, owner=f"server-{number % 2}")
    make(4, status_detail="scheduled", function="crop")
    make(5, status_detail="blocked", owner="(blocked)")
    failed(6)

    counts = count_unfinished(all_jobs(), ["waiting", "scheduled", "retrying"], limit=3)
    of_one = count_unfinished(all_jobs(), ["waiting", "scheduled"], function="crop")

    assert {state: str(count) for state, count in counts.items()} == {
        "waiting": "3+",
        "scheduled": "1",
        "retrying": "0",
    }
    assert {state: str(count) for state, count in of_one.items()} == {"waiting": "0", "scheduled": "1"}


def test_states_are_counted_among_the_newest_alone(monkeypatch):
    monkeypatch.setattr(job_looks, "LOOK_LIMIT", 2)
    for number in range(4):
        make(number, status_detail="waiting" if number else "scheduled")

    counts = count_unfinished(all_jobs(), ["scheduled"])

    assert str(counts["scheduled"]) == "0+"


def test_own_waiting_jobs_are_read_along_their_users_index():
    make(1, enqueued_by="7")
    make(2, enqueued_by="8")
    make(3, enqueued_by="7", status="RUNNING", status_detail="running")

    assert every(JobFilter(statuses=("waiting",), enqueued_by="7")) == [1]


def test_count_by_an_argument():
    make(1, payload=b'{"kwargs":{"n":1}}')
    make(2, payload=b'{"kwargs":{"n":2}}')

    assert str(count_up_to(all_jobs(), JobFilter(search="args.n:2"))) == "1"


@pytest.mark.parametrize(
    ("payload", "is_found"),
    [(b'{"n": 1}', True), (b'{"n": 2}', False), (b"\xff", False), (b"[]", False), (b" " * 70_000, False)],
)
def test_argument_is_looked_for_in_any_json(payload, is_found):
    assert has_argument(payload, ("n",), "1") is is_found


@pytest.mark.parametrize(
    ("said", "most"),
    [({}, 1), ({"statuses": ("failed",)}, 2), ({"functions": ("crop",)}, 2), ({"statuses": ("waiting",)}, 10)],
    ids=str,
)
def test_page_takes_few_queries(said, most, django_assert_max_num_queries):
    for number in range(60):
        make(number, owner="server-1")

    with django_assert_max_num_queries(most):
        job_page(all_jobs(), JobFilter(**said))


@pytest.mark.skipif(connection.vendor == "mysql", reason="MySQL explains in another way")
@pytest.mark.parametrize(
    ("said", "index"),
    [
        ({}, "gearjobs_job_enqueued"),
        ({"statuses": ("failed",)}, "gearjobs_job_failed"),
        ({"fingerprint": "f1"}, "gearjobs_job_fingerprint"),
        ({"enqueued_by": "7"}, "gearjobs_job_enqueued_by"),
    ],
    ids=str,
)
def test_page_is_read_along_an_index(said, index):
    job_filter = JobFilter(**said)
    look = job_looks.look_at(all_jobs(), job_filter, None, limit=51)

    Job.objects.bulk_create(
        Job(
            handle=f"H:pages:{number:06d}",
            function="resize",
            enqueued_at=NOW + timedelta(seconds=number),
            enqueued_by=str(number % 200),
            fingerprint=f"f{number % 150}" if number % 3 else None,
            status_detail="failed" if number % 3 else "succeeded",
        )
        for number in range(3_000)
    )
    with connection.cursor() as cursor:
        # Of a table that it knows nothing of, any plan is as good to PostgreSQL as another.
        cursor.execute("ANALYZE")
    plan = look.rows.filter(look.wanted).order_by("-enqueued_at", "-handle")[:51].explain()
    assert index in plan
    assert "Seq Scan" not in plan
    assert "SCAN gearjobs_job\n" not in plan
