"""Which live job a submit joins."""

from __future__ import annotations

import pytest

from gearjobs.core.changes import JobDetails
from gearjobs.core.coalescing import Reaction, UniqueIndex, react
from gearjobs.core.jobs import FunctionName
from gearjobs.core.terms import JobTerms, OnConflict
from tests.support.core_builders import MAIL, RESIZE, background, make_job, make_running

SCAN = FunctionName(b"scan")


def index_of(*jobs):
    index = UniqueIndex()
    for job in jobs:
        index.add(job)
    return index


def test_same_function_and_unique_join():
    job = make_job(unique=b"u1")

    assert index_of(job).find(RESIZE, b"u1", b"another photo") is job


def test_other_unique_does_not_join():
    assert index_of(make_job(unique=b"u1")).find(RESIZE, b"u2", b"photo") is None


def test_same_unique_of_another_function_does_not_join():
    assert index_of(make_job(unique=b"u1")).find(MAIL, b"u1", b"photo") is None


def test_each_function_has_its_own_job_of_a_unique():
    resize, mail = make_job(b"H:1", RESIZE, unique=b"u1"), make_job(b"H:2", MAIL, unique=b"u1")

    assert index_of(resize, mail).find(MAIL, b"u1", b"") is mail


def test_job_that_ends_leaves_those_of_other_functions_their_unique():
    jobs = [make_job(b"H:%d" % number, function, unique=b"u1") for number, function in enumerate((RESIZE, MAIL, SCAN))]
    index = index_of(*jobs)

    index.remove(jobs[1])
    rest = [index.find(function, b"u1", b"") for function in (RESIZE, MAIL, SCAN)]
    index.remove(jobs[0])

    assert rest == [jobs[0], None, jobs[2]]
    assert index.find_unique(b"u1") is index.find(SCAN, b"u1", b"") is jobs[2]


def test_first_of_three_functions_leaves_the_other_two_their_unique():
    jobs = [make_job(b"H:%d" % number, function, unique=b"u1") for number, function in enumerate((RESIZE, MAIL, SCAN))]
    index = index_of(*jobs)

    index.remove(jobs[0])

    assert [index.find(function, b"u1", b"") for function in (RESIZE, MAIL, SCAN)] == [None, jobs[1], jobs[2]]


def test_uniques_are_compared_by_their_bytes():
    assert index_of(make_job(unique=b"abc")).find(RESIZE, b"ABC", b"photo") is None


def test_empty_unique_never_joins():
    assert index_of(make_job(unique=b"")).find(RESIZE, b"", b"photo") is None


def test_dash_joins_by_payload():
    job = make_job(unique=b"-", payload=b"photo")

    assert index_of(job).find(RESIZE, b"-", b"photo") is job


def test_dash_does_not_join_another_payload():
    assert index_of(make_job(unique=b"-", payload=b"photo")).find(RESIZE, b"-", b"film") is None


def test_dash_does_not_join_another_function():
    assert index_of(make_job(unique=b"-", payload=b"photo")).find(MAIL, b"-", b"photo") is None


def test_dash_with_an_empty_payload_never_joins():
    assert index_of(make_job(unique=b"-", payload=b"")).find(RESIZE, b"-", b"") is None


def test_dash_does_not_join_a_job_with_a_unique_of_its_own():
    assert index_of(make_job(unique=b"u1", payload=b"photo")).find(RESIZE, b"-", b"photo") is None


def test_unique_that_equals_a_payload_does_not_join_the_dash_job():
    assert index_of(make_job(unique=b"-", payload=b"photo")).find(RESIZE, b"photo", b"photo") is None


@pytest.mark.parametrize("unique", [b"u1", b"-"])
def test_nobody_joins_a_job_that_was_removed(unique):
    job = make_job(unique=unique)
    index = index_of(job)

    index.remove(job)

    assert index.find(RESIZE, unique, job.payload) is None


@pytest.mark.parametrize("unique", [b"u1", b"-"])
def test_first_job_holds_the_place(unique):
    first, second = make_job(b"H:1", unique=unique), make_job(b"H:2", unique=unique)

    assert index_of(first, second).find(RESIZE, unique, b"photo") is first


@pytest.mark.parametrize("unique", [b"u1", b"-"])
def test_job_that_holds_no_place_is_removed_without_harm(unique):
    first, second = make_job(b"H:1", unique=unique), make_job(b"H:2", unique=unique)
    index = index_of(first, second)

    index.remove(second)

    assert index.find(RESIZE, unique, b"photo") is first


@pytest.mark.parametrize("unique", [b"", b"u1", b"-"])
def test_job_that_was_never_added_is_removed_without_harm(unique):
    index = index_of()

    index.remove(make_job(unique=unique))

    assert index.find_unique(unique) is None


def test_removing_one_functions_job_keeps_the_others():
    resize, mail = make_job(b"H:1", RESIZE, unique=b"u1"), make_job(b"H:2", MAIL, unique=b"u1")
    index = index_of(resize, mail)

    index.remove(resize)

    assert index.find(MAIL, b"u1", b"") is mail


def test_unique_is_found_whatever_its_function():
    job = make_job(b"H:1", MAIL, unique=b"u1")

    assert index_of(job).find_unique(b"u1") is job


@pytest.mark.parametrize("unique", [b"u2", b""])
def test_unknown_unique_is_not_found(unique):
    assert index_of(make_job(unique=b"u1"), make_job(unique=b"")).find_unique(unique) is None


@pytest.mark.parametrize("unique", [b"u1", b"-"])
def test_white_box_removed_job_leaves_nothing_behind(unique):
    job = make_job(unique=unique)
    index = index_of(job)

    index.remove(job)

    assert (index._by_unique, index._by_payload) == ({}, {})


def said(on_conflict, *, submitter=""):
    submission = background(unique=b"u1", details=JobDetails(), terms=JobTerms(on_conflict=on_conflict))
    submission.submitter = submitter
    return submission


@pytest.mark.parametrize(
    ("on_conflict", "reaction"),
    [
        (OnConflict.COALESCE, Reaction.HASTEN),
        (OnConflict.SKIP, Reaction.JOIN),
        (OnConflict.REPLACE, Reaction.REPLACE),
        (OnConflict.RAISE, Reaction.REFUSE),
    ],
)
def test_waiting_job_is_treated_as_the_submission_says(on_conflict, reaction):
    assert react(make_job(unique=b"u1"), said(on_conflict)) is reaction


@pytest.mark.parametrize(
    ("on_conflict", "reaction"),
    [
        (OnConflict.COALESCE, Reaction.JOIN),
        (OnConflict.SKIP, Reaction.JOIN),
        (OnConflict.REPLACE, Reaction.JOIN),
        (OnConflict.RAISE, Reaction.REFUSE),
    ],
)
def test_running_job_is_joined_or_objected_to(on_conflict, reaction):
    assert react(make_running(), said(on_conflict)) is reaction


def test_plain_submission_joins_a_job_as_it_is():
    assert react(make_job(unique=b"u1"), background(unique=b"u1")) is Reaction.JOIN


def test_somebody_elses_job_is_not_replaced():
    job = make_job(unique=b"u1")
    job.submitters = ("web",)

    assert react(job, said(OnConflict.REPLACE, submitter="cron")) is Reaction.JOIN


def test_own_job_is_replaced_where_submitters_are_told_apart():
    job = make_job(unique=b"u1")
    job.submitters = ("web",)

    assert react(job, said(OnConflict.REPLACE, submitter="web")) is Reaction.REPLACE
