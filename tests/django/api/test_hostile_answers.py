"""Whatever a peer, a task or a person writes is text in every answer: JSON that no browser takes for a page."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import override_settings

from gearjobs.models import BulkOperation, FailureGroup, Job, JobGroup, Schedule
from tests.support.api_rows import ROWS, url_of
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.fake_job_server import run_fake_job_server
from tests.support.hostile_rows import fill_job, fill_rest, fill_server
from tests.support.hostile_texts import HOSTILE_TEXTS, MARKER, live_markup

pytestmark = pytest.mark.django_db

READING = [row for row in ROWS if row.method == "GET"]
OF_JOBS = [row for row in READING if row.about == "handle"]
#: Of these no answer has anything that somebody else named.
_WITHOUT_TEXTS = {
    "group-detail", "group-list", "health-live", "health-ready", "job-children", "job-status", "signed-status",
    "stat-series", "stats", "task-list",
}  # fmt: skip


@pytest.fixture
def fake(settings):
    with run_fake_job_server() as server:
        settings.GEARJOBS = {"SERVERS": [server.address]}
        yield server


@pytest.fixture
def as_root(make_user, login):
    with client_in_place(FakeClient()):
        yield login(make_user("root", is_superuser=True))


def fill(fake, text: str) -> list[dict[str, Any]]:
    """Put the text everywhere, and return the arguments of URLs, of each job in turn."""
    fill_server(fake, text)
    fill_job(text)
    fill_rest(text)
    rest = {
        "group_id": JobGroup.objects.get().pk,
        "pk": Schedule.objects.order_by("pk")[0].pk,
        "fingerprint": FailureGroup.objects.get().pk,
        "operation_id": BulkOperation.objects.get().pk,
        "name": text.replace("/", ""),
        "worker_id": text.replace("/", ""),
        "verb": "quiet",
        "token": "none",
    }
    return [{**rest, "handle": job.pk} for job in Job.objects.order_by("handle")]


@pytest.mark.parametrize("number", range(len(HOSTILE_TEXTS)))
def test_answers_are_json_that_nobody_takes_for_a_page(as_root, fake, number):
    said: dict[str, str] = {}
    for place, arguments in enumerate(fill(fake, HOSTILE_TEXTS[number])):
        for row in READING if place == 0 else OF_JOBS:
            response = as_root.get(url_of(row, arguments))

            assert_is_no_page(response, row.label)
            said[row.name] = said.get(row.name, "") + response.content.decode()

    silent = {row.name for row in READING if MARKER not in said[row.name]}
    assert silent <= _WITHOUT_TEXTS


def assert_is_no_page(response: Any, label: str) -> None:
    """Fail where a browser could take the answer for a page, or a text got into its headers."""
    kind = response.headers.get("Content-Type", "")
    assert response.headers["X-Content-Type-Options"] == "nosniff", label
    assert MARKER not in str(response.headers).replace(response.request["PATH_INFO"], ""), label
    if kind in {"application/json", "application/problem+json"}:
        json.loads(response.content)
    elif response.status_code != 204:
        # A result is what its worker returned.
        assert label == "job-result-GET", kind
        assert kind.startswith(("text/plain", "application/octet-stream"))
        assert "sandbox" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_what_was_asked_is_told_as_text(as_root, text):
    for path in (
        f"jobs/?{text}=1",
        f"jobs/?status={text}",
        f"jobs/?cursor={text}",
        f"failures/{text.replace('/', '')}/",
    ):
        response = as_root.get(f"/api/{path}")

        assert response.status_code in {400, 404, 200}, path
        assert_is_no_page(response, path)


@pytest.mark.parametrize("number", range(len(HOSTILE_TEXTS)))
def test_pages_for_people_show_them_as_text(as_root, fake, number):
    # REST framework's browsable pages, where it is installed.
    for place, arguments in enumerate(fill(fake, HOSTILE_TEXTS[number])[:2]):
        for row in READING if place == 0 else OF_JOBS:
            if row.name in {"job-result", "job-events"}:
                continue
            page = as_root.get(url_of(row, arguments), headers={"Accept": "text/html"})

            assert page.headers["Content-Type"].startswith("text/html"), row.label
            assert live_markup(page.content.decode()) == [], row.label


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_no_answer_sets_a_cookie(as_root, fake, row):
    (arguments, *_) = fill(fake, "resize")

    body = json.dumps(dict(row.body))
    response = as_root.generic(row.method, url_of(row, arguments), body, content_type="application/json")

    assert not response.cookies, row.label


@override_settings(SESSION_COOKIE_SAMESITE="Lax")
def test_cookie_of_the_session_is_not_sent_from_other_sites(make_user, client):
    make_user("anna", is_staff=True)

    response = client.post("/admin/login/", {"username": "anna", "password": "secret"})

    assert response.cookies["sessionid"]["samesite"] == "Lax"
    assert response.cookies["sessionid"]["httponly"]
