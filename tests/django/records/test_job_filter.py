"""Filters as values: what they mean, and that they come back from JSON as they were."""

from __future__ import annotations

import datetime
from datetime import UTC

import pytest

from gearjobs.errors import UsageError
from gearjobs.models import Job
from gearjobs.records.job_filter import JobFilter, value_at
from gearjobs.records.job_pages import job_page

NOON = datetime.datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_filter_comes_back_from_json():
    job_filter = JobFilter(statuses=("failed",), tasks=("shop.*",), search="args.a:1", enqueued_after=NOON)

    assert JobFilter.from_json(job_filter.to_json()) == job_filter
    assert job_filter.to_json()["enqueued_after"] == "2026-11-21T12:00:00+00:00"


def test_filter_that_says_nothing_is_empty():
    assert (JobFilter().is_empty, JobFilter(queues=("a",)).is_empty, JobFilter().to_json()) == (True, False, {})


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"colour": "red"}, "got 'colour'"),
        ({"tasks": "shop.resize"}, "tasks must be a list of strings"),
        ({"tasks": [1]}, "tasks must be a list of strings"),
        ({"search": 1}, "search must be a string"),
        ({"enqueued_after": "noon"}, "enqueued_after must be a time"),
        ({"enqueued_after": "2026-13-41T00:00:00Z"}, "enqueued_after must be a time"),
    ],
)
def test_what_is_no_filter_is_refused(said, words):
    with pytest.raises(UsageError, match=words):
        JobFilter.from_json(said)


def test_status_that_is_none_is_refused():
    with pytest.raises(UsageError, match="a status must be one of"):
        _ = JobFilter(statuses=("broken",)).details


@pytest.mark.parametrize(
    ("search", "place"),
    [
        ("args.a.b:1", (("a", "b"), "1")),
        ("args.a:b:c", (("a",), "b:c")),
        ("args.:1", None),
        ("args.a", None),
        ("meta.a:1", None),
        ("args.a.b.c.d.e.f.g.h.i:1", None),
    ],
)
def test_search_in_arguments_is_read(search, place):
    assert JobFilter(search=search).argument == place


@pytest.mark.parametrize(
    ("path", "found"), [(("a", "0"), 1), (("a", "7"), None), (("b",), None), (("a", "0", "x"), None)]
)
def test_value_is_found_by_its_path(path, found):
    assert value_at({"a": [1]}, path) == found


def test_filters_of_two_times_hold_both():
    earlier, later = NOON - datetime.timedelta(hours=1), NOON + datetime.timedelta(hours=1)
    one = JobFilter(queues=("a",), enqueued_after=earlier, enqueued_before=later)

    assert one.within(JobFilter(enqueued_after=NOON)) == JobFilter(
        queues=("a",), enqueued_after=NOON, enqueued_before=later
    )
    assert one.within(JobFilter(enqueued_before=NOON)).enqueued_before == NOON
    assert JobFilter().within(JobFilter()) == JobFilter()


@pytest.mark.django_db(transaction=True)
def test_jobs_of_a_run_are_found_on_every_database(alias):
    jobs = Job.objects.using(alias)
    for number, parent in enumerate(("H:p:1", "H:p:1", "H:p:2")):
        jobs.create(handle=f"H:c:{number}", metadata={"gearjobs.parent": parent})
    jobs.create(handle="H:c:9", metadata={"gearjobs": {"parent": "H:p:1"}})

    found = job_page(jobs.all(), JobFilter(parent="H:p:1")).jobs

    assert sorted(job.handle for job in found) == ["H:c:0", "H:c:1"]
