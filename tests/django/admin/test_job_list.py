"""The job list of the admin: its filters, search and pages, what is done to many jobs, and exports."""

from __future__ import annotations

import csv
import io
import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from gearjobs.admin import job_export, job_list_page
from gearjobs.admin.screen_links import jobs_link, target_link
from gearjobs.models import BulkOperation, Job, OperatorAction
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

LIST = "/admin/gearjobs/job/"
ACT = f"{LIST}act/"
CALL = b'{"args": [17], "kwargs": {"password": "canary-1", "path": "a.jpg"}}'


@pytest.fixture
def as_viewer(make_user, login):
    return login(make_user("viewer", "view_job", is_staff=True))


@pytest.fixture
def as_operator(make_user, login):
    codenames = ("view_job", "view_payload", "retry_job", "cancel_job", "delete_job")
    return login(make_user("operator", *codenames, is_staff=True))


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def handles_of(response):
    assert response.status_code == 200
    return [row.handle for row in response.context["rows"]]


def test_empty_list_is_a_page(as_viewer):
    assert "There are no jobs yet." in text_of(as_viewer.get(LIST))
    assert "No job is like that." in text_of(as_viewer.get(LIST, {"status": "failed"}))


def test_list_reads_no_bodies(as_viewer, django_assert_max_num_queries):
    for _ in range(30):
        make_job("failed")

    with django_assert_max_num_queries(12) as queries:
        as_viewer.get(LIST, {"status": "failed"})

    read = [query["sql"] for query in queries if "gearjobs_job" in query["sql"] and "SELECT" in query["sql"]]
    assert read
    assert not any(column in sql for sql in read for column in ("payload", "error_traceback", '"result"', "`result`"))
    assert not any("COUNT(*)" in sql and "LIMIT" not in sql for sql in read)


def test_arguments_are_summed_up_without_secrets_for_who_may_see_payloads(as_operator, as_viewer):
    make_job(payload=CALL)

    page = text_of(as_operator.get(LIST))

    assert "17, password=" in page
    assert "canary-1" not in page
    assert "a.jpg" not in text_of(as_viewer.get(LIST))


def test_long_payloads_are_not_read_for_the_list(as_operator, monkeypatch):
    monkeypatch.setattr("gearjobs.admin.call_summaries.PAYLOAD_LIMIT", 10)
    make_job(payload=CALL)

    assert ">…<" in text_of(as_operator.get(LIST))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"function": "rotate"}, ["H:b"]),
        ({"queue": "photos"}, ["H:a"]),
        ({"status": "FAILED"}, ["H:b"]),
        ({"status__exact": "READY", "function": "resize"}, ["H:a"]),
        ({"status": "failed,waiting"}, ["H:b", "H:a"]),
        ({"fingerprint": "f-failed"}, ["H:b"]),
        ({"worker": "worker-1"}, ["H:b"]),
        ({"period": "1h"}, ["H:b", "H:a"]),
        ({"enqueued_before": "2020-01-01T00:00:00Z"}, []),
        ({"enqueued_after": "2020-01-01 00:00"}, ["H:b", "H:a"]),
        ({"search": " rotat "}, ["H:b"]),
        ({"q": "unique-1"}, ["H:a"]),
        ({"search": "args.path:a.jpg"}, ["H:a"]),
        ({"function": "nothing"}, []),
    ],
)
def test_list_takes_the_words_of_the_rest_api(as_operator, asked, found):
    make_job(handle="H:a", function="resize", queue="photos", unique="unique-1", payload=CALL)
    make_job("failed", handle="H:b", function="rotate", enqueued_at=timezone.now())

    assert handles_of(as_operator.get(LIST, asked)) == found


@pytest.mark.parametrize(
    "asked", [{"status": "dancing"}, {"what": "ever"}, {"enqueued_after": "soon"}, {"function": "\0"}, {"period": "9y"}]
)
def test_words_that_mean_nothing_are_left_out_and_told_of(as_viewer, asked):
    make_job(handle="H:a")

    response = as_viewer.get(LIST, asked)

    assert handles_of(response) == ["H:a"]
    assert len(response.context["complaints"]) == 1


def test_arguments_are_searched_only_by_who_may_see_them(as_viewer):
    make_job(handle="H:a", payload=CALL)
    make_job(handle="H:b")

    response = as_viewer.get(LIST, {"search": "args.path:a.jpg"})

    assert set(handles_of(response)) == {"H:a", "H:b"}
    assert "view_payload" in response.context["complaints"][0]


def test_links_of_other_screens_find_their_jobs(as_viewer):
    make_job("timed_out", handle="H:a", function="x&y", finished_at=timezone.now())

    hour_ago = (timezone.now() - timedelta(hours=1)).isoformat()
    link = jobs_link(status="failed,timed_out", function="x&y", finished_after=hour_ago)

    assert handles_of(as_viewer.get(link)) == ["H:a"]


def test_pages_follow_one_another_without_repeating(as_viewer, monkeypatch):
    monkeypatch.setattr(job_list_page, "JOBS_SHOWN", 2)
    now = timezone.now()
    for number in range(5):
        make_job(handle=f"H:{number}", enqueued_at=now - timedelta(minutes=number))

    first = as_viewer.get(LIST)
    second = as_viewer.get(first.context["next_url"])
    third = as_viewer.get(second.context["next_url"])

    assert [handles_of(page) for page in (first, second, third)] == [["H:0", "H:1"], ["H:2", "H:3"], ["H:4"]]
    assert (first.context["first_url"], third.context["next_url"]) == ("", "")
    assert second.context["first_url"] == LIST


def test_page_that_ended_at_its_limit_says_how_far_it_looked(as_viewer, monkeypatch):
    monkeypatch.setattr("gearjobs.records.job_looks.LOOK_LIMIT", 2)
    for number in range(5):
        make_job(enqueued_at=timezone.now() - timedelta(minutes=number))

    assert "Looked back to" in text_of(as_viewer.get(LIST, {"function": "nothing"}))


@pytest.mark.parametrize("cursor", ["x", "1.", "99999999999999999.x", "1.\0", "1" * 30])
def test_list_takes_any_cursor(as_viewer, cursor):
    make_job(handle="H:a")

    assert as_viewer.get(LIST, {"cursor": cursor}).status_code == 200


def test_count_of_what_matches_is_named_and_bounded(as_viewer, monkeypatch):
    for _ in range(3):
        make_job()

    assert "3 found" in text_of(as_viewer.get(LIST, {"function": "resize"}))


def test_all_that_match_are_asked_about_and_then_done_in_the_background(as_operator):
    for _ in range(3):
        make_job("failed", function="rotate")
    make_job("failed")
    said = {"verb": "retry", "scope": "all", "said.function": "rotate"}

    page = text_of(as_operator.post(ACT, said))
    response = as_operator.post(ACT, {**said, "confirmed": "1"})

    operation = BulkOperation.objects.get()
    assert "Retry failed jobs: 3?" in page
    assert 'name="said.function" value="rotate"' in page
    assert (operation.verb, operation.filter) == ("retry", {"functions": ["rotate"]})
    assert response.headers["Location"] == target_link("operation", operation.pk)


@pytest.mark.parametrize("said", [{}, {"said.status": "dancing", "said.function": "rotate"}])
def test_everything_or_a_misread_filter_is_never_meant(as_operator, said):
    make_job("failed", function="rotate")

    response = as_operator.post(ACT, {"verb": "delete", "scope": "all", "confirmed": "1", **said})

    assert response.status_code == 302
    assert not BulkOperation.objects.exists()


def test_ticked_jobs_are_deleted_after_a_question(as_operator):
    jobs = [make_job("succeeded"), make_job("succeeded"), make_job("running")]
    said = {"verb": "delete", "scope": "ticked", "handle": [job.handle for job in jobs]}

    page = text_of(as_operator.post(ACT, said))
    as_operator.post(ACT, {**said, "confirmed": "1"})

    assert "Delete ended jobs: 2?" in page
    assert list(Job.objects.values_list("handle", flat=True)) == [jobs[2].handle]


def test_ticked_jobs_that_did_not_fail_are_not_retried(as_operator):
    failed, succeeded = make_job("failed", owner=""), make_job("succeeded", owner="")
    said = {"verb": "retry", "scope": "ticked", "handle": [failed.handle, succeeded.handle], "confirmed": "1"}

    as_operator.post(ACT, said)

    new = Job.objects.exclude(pk__in=[failed.pk, succeeded.pk]).get()
    assert new.metadata["gearjobs.retry_of"] == failed.handle


def test_ticked_jobs_are_cancelled(as_operator):
    job = make_job("waiting", owner="")

    said = {"verb": "cancel", "scope": "ticked", "handle": job.handle, "confirmed": "1"}
    page = text_of(as_operator.post(ACT, said, follow=True))

    job.refresh_from_db()
    assert job.status_detail == "cancelled"
    assert "1 job was cancelled" in page


def test_nothing_ticked_nothing_to_do_and_unknown_verbs_are_said(as_operator):
    job = make_job("running")

    assert "tick some first" in text_of(as_operator.post(ACT, {"verb": "retry"}, follow=True))
    said = {"verb": "retry", "handle": job.handle}
    assert "There is nothing to do" in text_of(as_operator.post(ACT, said, follow=True))
    assert "cannot be done to jobs" in text_of(as_operator.post(ACT, {"verb": "dance"}, follow=True))


@pytest.mark.parametrize("verb", ["retry", "cancel", "delete"])
@pytest.mark.parametrize("scope", ["ticked", "all"])
def test_each_verb_takes_its_permission(make_user, login, verb, scope):
    others = {"retry_job", "cancel_job", "delete_job"} - {f"{verb}_job"}
    client = login(make_user("someone", "view_job", *others, is_staff=True))
    job = make_job("failed" if verb != "cancel" else "waiting", owner="")

    said = {"verb": verb, "scope": scope, "handle": job.handle, "said.function": "resize", "confirmed": "1"}
    response = client.post(ACT, said)

    assert response.status_code == 403
    assert not OperatorAction.objects.exists()
    assert f'value="{verb}"' not in text_of(client.get(LIST))


def test_acting_needs_a_post_and_the_token(make_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("root", is_staff=True, is_superuser=True))

    assert client.post(ACT, {"verb": "retry"}).status_code == 403
    assert client.get(ACT).status_code == 405


def test_export_has_what_matches_and_no_formula(as_operator):
    make_job("failed", function="=cmd|' /C calc'!A0", task="@SUM(1)", queue="+1", error_message=" -2+3", payload=CALL)
    make_job(function="rotate")

    answer = as_operator.get(LIST, {"format": "csv", "status": "failed"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))

    assert answer.headers["Content-Disposition"] == 'attachment; filename="jobs.csv"'
    assert len(rows) == 1
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in rows[0].values())
    assert rows[0]["function"] == "'=cmd|' /C calc'!A0"
    assert "canary-1" not in str(rows)


@pytest.mark.parametrize("hidden", ["", " ", "\u00a0", "\u200b", "\ufeff", "\x00 ", "\u2003\t", "\x1f"])
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_begins_as_a_formula_does(hidden, sign):
    assert job_export.plain_cell(f"{hidden}{sign}1+1") == f"'{hidden}{sign}1+1"


@pytest.mark.parametrize(
    ("value", "cell"), [(-3, "-3"), (None, ""), ("", ""), ("a=b", "a=b"), ("\ta", "'\ta"), ("'=", "'=")]
)
def test_cell_that_is_no_formula_stays_as_it_is(value, cell):
    assert job_export.plain_cell(value) == cell


def test_export_goes_on_over_pages_up_to_its_limit(as_viewer, monkeypatch):
    monkeypatch.setattr(job_export, "SIZE_LIMIT", 2)
    monkeypatch.setattr(job_export, "EXPORT_LIMIT", 5)
    for _ in range(7):
        make_job()

    rows = json.loads(as_viewer.get(LIST, {"format": "json"}).getvalue())

    assert len(rows) == 5
    assert "arguments" not in rows[0]
    assert json.loads(as_viewer.get(LIST, {"format": "json", "function": "no"}).getvalue()) == []


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_export_takes_the_permission_of_the_list(make_user, login, kind):
    client = login(make_user("someone", is_staff=True))

    assert client.get(LIST, {"format": kind}).status_code == 403


@pytest.mark.parametrize("kind", ["", "csv", "json"])
def test_half_a_character_in_a_call_hides_no_job(make_user, login, kind):
    # As in a file's name that is not UTF-8.
    jobs = [make_job(payload=b'{"args":["a\\udc80"]}'), make_job()]
    client = login(make_user("viewer", "view_job", "view_payload", is_staff=True))

    answer = client.get(LIST, {"format": kind})

    shown = b"".join(answer).decode()
    assert answer.status_code == 200
    # Its number, for addresses write the rest of a handle otherwise.
    assert all(job.handle[-10:] in shown for job in jobs)
