"""The job list and the page of one job in the Django admin."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.utils import timezone

from gearjobs.models import Job, JobOutput
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

LIST = "/admin/gearjobs/job/"
QUEUES = "/admin/gearjobs/queuecontrol/"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}'&\u202e"


@pytest.fixture
def as_viewer(make_user, login):
    return login(make_user("viewer", "view_job", is_staff=True))


@pytest.fixture
def as_auditor(make_user, login):
    return login(make_user("auditor", "view_job", "view_payload", is_staff=True))


def page_of(job: Job) -> str:
    return f"{LIST}{quote(job.handle)}/change/"


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(("permissions", "is_staff"), [((), True), (("view_payload",), True), (("view_job",), False)])
@pytest.mark.parametrize("path", [LIST, f"{LIST}H_3Atest_3A1/change/", QUEUES])
def test_without_staff_or_permission_no_screen_is_shown(make_user, login, permissions, is_staff, path):
    make_job(handle="H:test:1")

    response = login(make_user("someone", *permissions, is_staff=is_staff)).get(path)

    assert response.status_code in {302, 403}
    assert response.status_code == 403 or "/login/" in response.headers["Location"]


@pytest.mark.parametrize("path", [f"{LIST}add/", f"{LIST}H_3Atest_3A1/delete/"])
def test_nobody_adds_or_deletes_a_job(make_user, login, path):
    make_job(handle="H:test:1")

    assert login(make_user("root", is_staff=True, is_superuser=True)).get(path).status_code == 403


def test_job_cannot_be_changed_by_a_post(as_auditor):
    job = make_job()

    response = as_auditor.post(page_of(job), {"priority": "99"})

    assert response.status_code == 403
    assert Job.objects.get().priority == 0


def test_list_shows_state_progress_and_duration(as_viewer):
    now = timezone.now()
    make_job("running", task="album.tasks.resize", progress_numerator=1, progress_denominator=4, progress_message="one")
    make_job("succeeded", last_attempted_at=now - timedelta(seconds=7), finished_at=now - timedelta(seconds=4.5))
    make_job("timed_out")

    page = text_of(as_viewer.get(LIST))

    assert "album.tasks.resize" in page
    assert '<progress max="100" value="25.0"' in page
    assert "2.5 s" in page
    assert all(f">{label}</span>" in page for label in ("running", "succeeded", "timed out"))


def test_page_of_a_job_tells_its_story(as_auditor, make_user):
    user = make_user("berta")
    job = make_job(
        "failed", enqueued_by=str(user.pk), error_class="album.errors.Broken", error_message="not a picture",
        error_traceback="Traceback (most recent call last):\n  …", payload=b'{"args":["a.jpg"],"kwargs":{}}',
        result=None, attempt=2, worker_ids=["w1", "w2"], metadata={"trace": "abc"},
        last_attempted_at=timezone.now() - timedelta(seconds=9),
    )  # fmt: skip
    JobOutput.objects.create(job=job, sequence=1, is_warning=True, body=b"beware", streamed_at=timezone.now())

    page = text_of(as_auditor.get(page_of(job)))

    assert all(
        word in page for word in ("enqueued by berta", "started, after waiting 10.0 s", "started again, attempt 2")
    )
    assert all(word in page for word in ("album.errors.Broken", "not a picture", "Traceback (most recent", "beware"))
    assert "  &quot;args&quot;: [\n" in page
    assert "w1" in page
    assert "w2" in page
    assert "&quot;trace&quot;: &quot;abc&quot;" in page


def test_bodies_are_not_on_the_page_without_the_permission(as_viewer):
    job = make_job(
        "failed",
        payload=b'"secret-payload"',
        result=b"secret-result",
        error_class="a.B",
        error_traceback="secret-trace",
    )
    JobOutput.objects.create(job=job, sequence=1, body=b"secret-piece", streamed_at=timezone.now())

    page = text_of(as_viewer.get(page_of(job)))

    assert "secret-" not in page
    assert "view_payload" in page
    assert "a.B" in page


@pytest.mark.parametrize("detail", ["waiting", "scheduled", "retrying", "running", "succeeded", "failed", "cancelled"])
def test_every_state_has_a_page(as_auditor, detail):
    run_at = timezone.now() + timedelta(hours=1) if detail == "scheduled" else None

    page = text_of(as_auditor.get(page_of(make_job(detail, run_at=run_at))))

    assert f">{detail}</span>" in page


def test_page_of_an_unfinished_job_refreshes_itself_and_of_a_finished_one_does_not(as_viewer):
    assert 'data-refresh-ms="3000"' in text_of(as_viewer.get(page_of(make_job("running"))))
    assert "data-refresh-ms" not in text_of(as_viewer.get(page_of(make_job("succeeded"))))


@pytest.mark.parametrize("handle", ["H_3Anobody", "_00", "x" * 300])
def test_unknown_job_leads_back_to_the_index(as_viewer, handle):
    response = as_viewer.get(f"{LIST}{handle}/change/")

    assert response.status_code == 302
    assert response.headers["Location"] == "/admin/"


def test_hostile_names_are_text(as_auditor):
    job = make_job(
        "failed", function=HOSTILE, task=HOSTILE, unique=HOSTILE, queue=HOSTILE, error_class=HOSTILE,
        error_message=HOSTILE, error_traceback=HOSTILE, payload=HOSTILE.encode(), result=HOSTILE.encode(),
        progress_message=HOSTILE, worker_ids=[HOSTILE], metadata={HOSTILE: HOSTILE}, enqueued_by=HOSTILE,
        owner=HOSTILE, reducer=HOSTILE,
    )  # fmt: skip
    JobOutput.objects.create(job=job, sequence=1, body=HOSTILE.encode(), streamed_at=timezone.now())

    for path, query in ((LIST, {}), (page_of(job), {}), (LIST, {"function": HOSTILE, "search": HOSTILE})):
        page = text_of(as_auditor.get(path, query))
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;alert" in page


def test_bytes_that_are_no_text_are_shown_as_a_hex_dump(as_auditor):
    page = text_of(as_auditor.get(page_of(make_job("succeeded", result=b"\xff\xd8\xff"))))

    assert "00000000  ff d8 ff" in page


@pytest.mark.parametrize("name", ["job_list", "job_page", "queues"])
def test_screens_hold_under_a_strict_content_security_policy(as_auditor, name):
    job = make_job("running", progress_numerator=1, progress_denominator=2)
    path = {"job_list": LIST, "job_page": page_of(job), "queues": QUEUES}[name]

    page = text_of(as_auditor.get(path))

    # Of the parts that are ours: Django's own change list has a style element before 6.0.
    region = page[page.index('id="gearjobs-live"') :]
    assert not re.search(r"<style|style=|\son\w+=|<script>", region)
    assert '<script src="/static/gearjobs/refresh.js" defer></script>' in page


def test_app_index_leads_to_the_queues(as_viewer):
    assert f'href="{QUEUES}"' in text_of(as_viewer.get("/admin/gearjobs/"))


def test_anonymous_visitor_is_sent_to_the_login():
    assert "/login/" in Client().get(LIST).headers["Location"]
