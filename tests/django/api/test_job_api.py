"""The REST endpoints: who reads what, and what it costs to ask again."""

from __future__ import annotations

import base64
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from gearjobs.models import Job
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def anna(make_user):
    return make_user("anna")


@pytest.fixture
def as_anna(anna, login):
    return login(anna)


@pytest.fixture
def as_viewer(make_user, login):
    return login(make_user("viewer", "view_job"))


@pytest.fixture
def as_auditor(make_user, login):
    return login(make_user("auditor", "view_job", "view_payload"))


def url_of(job: Job) -> str:
    return f"/api/jobs/{quote(job.handle, safe=':')}/"


def handles_in(response) -> set[str]:
    assert response.status_code == 200, response.content
    return {job["id"] for job in response.json()["results"]}


def test_own_job_is_told_in_full(as_anna, anna):
    now = timezone.now()
    job = make_job(
        "running", enqueued_by=str(anna.pk), task="album.tasks.resize", queue="photos", priority=7,
        progress_numerator=1, progress_denominator=4, progress_message="one of four",
        enqueued_at=now - timedelta(seconds=60), last_attempted_at=now - timedelta(seconds=40),
    )  # fmt: skip

    told = as_anna.get(url_of(job)).json()

    assert told["id"] == job.handle
    assert (told["function"], told["task"], told["queue"], told["priority"]) == (
        "resize",
        "album.tasks.resize",
        "photos",
        7,
    )
    assert (told["status"], told["status_detail"], told["attempt"], told["version"]) == ("RUNNING", "running", 1, 1)
    assert told["progress"] == {"numerator": 1.0, "denominator": 4.0, "message": "one of four", "percent": 25.0}
    assert (told["result"], told["result_encoding"], told["error"], told["finished_at"]) == (None, None, None, None)
    assert told["started_at"].startswith("20")
    assert 1_900 <= told["poll_after_ms"] <= 2_500
    assert told["url"] == f"http://testserver{url_of(job)}"


@pytest.mark.parametrize(
    ("result", "value", "encoding"),
    [
        (b'{"thumb": "a.jpg"}', {"thumb": "a.jpg"}, "json"),
        (b"plain text", "plain text", "utf-8"),
        (b"\xff\xd8jpeg", base64.b64encode(b"\xff\xd8jpeg").decode(), "base64"),
        (b"", "", "utf-8"),
        (None, None, None),
    ],
)
def test_result_is_told_with_its_encoding(as_anna, anna, result, value, encoding):
    job = make_job("succeeded", enqueued_by=str(anna.pk), result=result)

    told = as_anna.get(url_of(job)).json()

    assert (told["result"], told["result_encoding"], told["result_hidden"]) == (value, encoding, False)


def test_finished_job_needs_no_further_poll(as_anna, anna):
    response = as_anna.get(url_of(make_job("succeeded", enqueued_by=str(anna.pk))))

    assert response.json()["poll_after_ms"] is None
    assert "Retry-After" not in response.headers


def test_unfinished_job_says_when_to_ask_again(as_anna, anna):
    response = as_anna.get(url_of(make_job("waiting", enqueued_by=str(anna.pk))))

    assert response.headers["Retry-After"] == "2"
    assert response.headers["Cache-Control"] == "private, no-cache"


def test_scheduled_job_that_is_due_is_waiting(as_anna, anna):
    job = make_job("scheduled", enqueued_by=str(anna.pk), run_at=timezone.now() - timedelta(seconds=1))

    assert as_anna.get(url_of(job)).json()["status_detail"] == "waiting"


def test_error_is_told_to_the_submitter_without_the_traceback(as_anna, anna):
    job = make_job(
        "failed", enqueued_by=str(anna.pk), error_class="a.Broken", error_message="no", error_traceback="secret path"
    )

    response = as_anna.get(url_of(job))

    assert response.json()["error"] == {"class": "a.Broken", "message": "no"}
    assert b"secret path" not in response.content


def test_traceback_is_told_with_the_permission(as_auditor):
    job = make_job("failed", error_class="a.Broken", error_message="no", error_traceback="Traceback …")

    told = as_auditor.get(url_of(job)).json()

    assert told["error"] == {"class": "a.Broken", "message": "no", "traceback": "Traceback …"}


def test_result_of_others_is_hidden_without_the_permission(as_viewer):
    told = as_viewer.get(url_of(make_job("succeeded", result=b'"secret"'))).json()

    assert (told["result"], told["result_encoding"], told["result_hidden"]) == (None, None, True)


def test_result_of_others_is_told_with_the_permission(as_auditor):
    told = as_auditor.get(url_of(make_job("succeeded", result=b'"secret"'))).json()

    assert (told["result"], told["result_hidden"]) == ("secret", False)


def test_payload_is_told_to_nobody(as_auditor):
    job = make_job("succeeded", payload=b'{"args": ["secret"]}')

    assert b"secret" not in as_auditor.get(url_of(job)).content
    assert b"secret" not in as_auditor.get("/api/jobs/").content


@pytest.mark.parametrize(
    ("permissions", "is_own", "status"),
    [
        ((), True, 200),
        ((), False, 404),
        (("view_job",), False, 200),
        (("view_payload",), False, 404),
        (("cancel_job", "retry_job"), False, 404),
    ],
)
def test_who_may_read_a_job(make_user, login, permissions, is_own, status):
    user = make_user("someone", *permissions)
    job = make_job(enqueued_by=str(user.pk) if is_own else "4711")

    client = login(user)

    assert client.get(url_of(job)).status_code == status
    assert (job.handle in handles_in(client.get("/api/jobs/"))) is (status == 200)
    assert (job.handle in handles_in(client.get(f"/api/jobs/?handle__in={job.handle}"))) is (status == 200)


@pytest.mark.parametrize("path", ["/api/jobs/", "/api/jobs/H:test:1/"])
def test_nobody_reads_nothing(path):
    make_job(handle="H:test:1")

    assert Client().get(path).status_code in {401, 403}


def test_staff_alone_reads_nothing(make_user, login):
    client = login(make_user("staff", is_staff=True))
    job = make_job()

    assert client.get(url_of(job)).status_code == 404
    assert handles_in(client.get("/api/jobs/")) == set()


def test_superuser_reads_everything(make_user, login):
    job = make_job("succeeded", result=b"1")

    assert login(make_user("root", is_superuser=True)).get(url_of(job)).json()["result"] == 1


def test_job_of_nobody_is_not_everybodys(as_anna):
    assert as_anna.get(url_of(make_job(enqueued_by=""))).status_code == 404


def test_basic_authentication_is_enough(anna):
    job = make_job(enqueued_by=str(anna.pk))
    credentials = base64.b64encode(b"anna:secret").decode()

    response = Client().get(url_of(job), headers={"Authorization": f"Basic {credentials}"})

    assert response.status_code == 200


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", ["/api/jobs/", "/api/jobs/H:test:1/"])
def test_who_only_reads_changes_nothing(as_auditor, method, path):
    make_job(handle="H:test:1")

    assert getattr(as_auditor, method)(path).status_code in {403, 405}


@pytest.mark.parametrize("handle", ["H:nobody:1", "%00", "H%0a", "..", "x" * 300])
def test_unknown_handle_is_not_found(as_auditor, handle):
    assert as_auditor.get(f"/api/jobs/{handle}/").status_code in {400, 404}


@pytest.mark.parametrize("handle", ["H:nobody:1", "H%0d%0aX: 1"])
def test_unknown_handle_with_a_tag_is_not_found(as_auditor, handle):
    assert as_auditor.get(f"/api/jobs/{handle}/", headers={"If-None-Match": "*"}).status_code == 404


def test_unchanged_job_is_answered_with_304_from_one_narrow_query(as_anna, anna, django_assert_num_queries):
    job = make_job("running", enqueued_by=str(anna.pk))
    etag = as_anna.get(url_of(job)).headers["ETag"]

    with django_assert_num_queries(5) as queries:  # session, user, two of permissions, version
        response = as_anna.get(url_of(job), headers={"If-None-Match": etag})

    assert (response.status_code, response.content, response.headers["ETag"]) == (304, b"", etag)
    assert "progress_message" not in queries[-1]["sql"]


def test_changed_job_has_another_tag(as_anna, anna):
    job = make_job("running", enqueued_by=str(anna.pk))
    etag = as_anna.get(url_of(job)).headers["ETag"]

    Job.objects.update(version=2)

    response = as_anna.get(url_of(job), headers={"If-None-Match": etag})
    assert response.status_code == 200
    assert response.headers["ETag"] != etag


def test_who_gains_a_permission_is_not_answered_from_the_cache(as_viewer, make_user, login):
    job = make_job("succeeded", result=b"1")
    etag = as_viewer.get(url_of(job)).headers["ETag"]

    response = login(make_user("auditor", "view_job", "view_payload")).get(url_of(job), headers={"If-None-Match": etag})

    assert response.json()["result"] == 1


def test_tag_of_a_job_of_others_tells_nothing(as_anna, as_viewer):
    job = make_job()
    etag = as_viewer.get(url_of(job)).headers["ETag"]

    # Nor does it tell whether there is one.
    unknown = as_anna.get("/api/jobs/H:none:1/", headers={"If-None-Match": '"H:none:1.1"'})
    response = as_anna.get(url_of(job), headers={"If-None-Match": etag})
    assert (response.status_code, unknown.status_code) == (410, 410)
    assert response.json() | {"instance": "", "job": ""} == unknown.json() | {"instance": "", "job": ""}


def test_list_is_newest_first_and_without_results(as_viewer):
    now = timezone.now()
    old = make_job("succeeded", result=b'"secret"', enqueued_at=now - timedelta(hours=1))
    new = make_job("waiting", enqueued_at=now)

    response = as_viewer.get("/api/jobs/")

    assert [job["id"] for job in response.json()["results"]] == [new.handle, old.handle]
    assert "result" not in response.json()["results"][0]
    assert b"secret" not in response.content


def test_list_is_filtered_by_handles_status_and_function(as_viewer):
    waiting, failed, other = make_job(), make_job("failed"), make_job(function="rotate")

    assert handles_in(as_viewer.get(f"/api/jobs/?handle__in={waiting.handle},{failed.handle},H:nobody:1")) == {
        waiting.handle,
        failed.handle,
    }
    assert handles_in(as_viewer.get("/api/jobs/?status=FAILED")) == {failed.handle}
    assert handles_in(as_viewer.get("/api/jobs/?function=rotate")) == {other.handle}
    assert handles_in(as_viewer.get("/api/jobs/?handle__in=")) == set()


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("status=DONE", "status"),
        ("handle__in=" + ",".join(f"H:{number}" for number in range(101)), "handle__in"),
        ("handle__in=%00", "handle__in"),
        ("function=%00", "function"),
        # An empty word more would have been a list of everything.
        ("status=,", "status"),
    ],
)
def test_filter_that_makes_no_sense_is_refused_by_name(as_viewer, query, parameter):
    response = as_viewer.get(f"/api/jobs/?{query}")

    assert response.status_code == 400
    assert response.headers["Content-Type"] == "application/problem+json"
    assert list(response.json()["errors"]) == [parameter]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_time_beyond_the_calendar_is_refused(as_viewer, moment):
    response = as_viewer.get(f"/api/jobs/?enqueued_after={moment}")

    assert (response.status_code, list(response.json()["errors"])) == (400, ["enqueued_after"])


def test_list_of_a_time_works_where_times_have_no_zone(as_viewer, settings):
    settings.USE_TZ = False
    job = make_job()

    found = as_viewer.get(f"/api/jobs/?enqueued_after=2026-01-01T00:00:00Z&handle__in={job.pk}")

    assert [one["id"] for one in found.json()["results"]] == [job.pk]


def test_list_is_paged_by_cursor(as_viewer, django_assert_max_num_queries):
    made = {make_job().handle for _ in range(5)}

    first = as_viewer.get("/api/jobs/?page_size=3").json()
    second = as_viewer.get(first["next"]).json()

    assert {job["id"] for job in first["results"] + second["results"]} == made
    assert second["next"] is None


def test_list_costs_one_query_however_long(as_viewer, django_assert_num_queries):
    for _ in range(20):
        make_job("failed")

    with django_assert_num_queries(5):  # session, user, two of permissions, jobs
        as_viewer.get("/api/jobs/")


def test_api_works_without_rest_framework_installed(as_viewer, settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "rest_framework"]

    response = as_viewer.get("/api/jobs/", headers={"Accept": "text/html"})

    assert response.headers["Content-Type"] == "application/problem+json"


def test_browsable_api_escapes_what_a_job_says(as_auditor):
    job = make_job("failed", function="<script>alert(1)</script>", error_message="<img src=x onerror=alert(1)>")

    page = as_auditor.get(url_of(job), headers={"Accept": "text/html"}).content.decode()

    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
