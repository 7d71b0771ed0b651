"""Answers that wait for news, and streams of what a job tells."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth import get_user_model
from django.core.asgi import get_asgi_application
from django.db import connections
from django.db.models import F
from django.test import Client
from django.utils import timezone

from gearjobs.api.long_poll import places
from gearjobs.models import Job
from tests.support.api_tasks import ship
from tests.support.eventually import eventually
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def anna(make_user):
    return make_user("anna", "add_job")


@pytest.fixture
def as_anna(anna, login):
    return login(anna)


@pytest.fixture
def job(anna):
    return make_job("running", enqueued_by=str(anna.pk))


class HeaderUserMiddleware:
    """Knows a user by a header, as middlewares of tokens do, whom the session does not know."""

    def __init__(self, get_response):
        self._get_response = get_response

    def __call__(self, request):
        if not request.user.is_authenticated and (key := request.headers.get("X-User")):
            request.user = get_user_model().objects.get(pk=key)
        return self._get_response(request)


@contextmanager
def later(change):
    """Do something in another thread while a request of the block waits."""

    def run() -> None:
        try:
            eventually(lambda: places.taken, 20, "a request that waits")
            change()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(5)


def end(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(
        status="SUCCESSFUL", status_detail="succeeded", result=b'"done"', finished_at=timezone.now(),
        version=F("version") + 1,
    )  # fmt: skip


def progress(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(
        progress_numerator=1, progress_denominator=2, progress_message="half", version=F("version") + 1
    )


@pytest.mark.parametrize("path", ["", "status/"])
@pytest.mark.parametrize(("query", "headers"), [("?wait=5", {}), ("", {"Prefer": "respond-async, wait=5"})])
def test_answer_waits_for_the_next_version(as_anna, job, path, query, headers):
    began_at = time.monotonic()

    with later(lambda: progress(job)):
        response = as_anna.get(f"/api/jobs/{job.pk}/{path}{query}", headers=headers)

    assert (response.status_code, response.json()["version"]) == (200, 2)
    assert response.headers["Preference-Applied"] == "wait=5"
    assert time.monotonic() - began_at < 4


def test_answer_that_waits_for_nothing_is_what_there_is(as_anna, job):
    response = as_anna.get(f"/api/jobs/{job.pk}/?wait=0.1")

    assert (response.status_code, response.json()["version"]) == (200, 1)
    assert response.headers["Preference-Applied"] == "wait=0.1"


def test_client_that_knows_the_newest_hears_of_the_next(as_anna, job):
    tag = as_anna.get(f"/api/jobs/{job.pk}/").headers["ETag"]

    with later(lambda: end(job)):
        response = as_anna.get(f"/api/jobs/{job.pk}/?wait=5", headers={"If-None-Match": tag})

    assert (response.status_code, response.json()["result"]) == (200, "done")


def test_client_that_knows_the_newest_hears_of_nothing(as_anna, job):
    tag = as_anna.get(f"/api/jobs/{job.pk}/").headers["ETag"]

    response = as_anna.get(f"/api/jobs/{job.pk}/?wait=0.1", headers={"If-None-Match": tag})

    assert response.status_code == 304


def test_what_is_news_already_is_told_at_once(as_anna, job):
    response = as_anna.get(f"/api/jobs/{job.pk}/?wait=5", headers={"If-None-Match": '"older"'})

    assert response.status_code == 200
    assert "Preference-Applied" not in response.headers


@pytest.mark.parametrize("headers", [{}, {"If-None-Match": "*"}])
def test_nobody_waits_for_a_job_that_has_ended(as_anna, job, headers):
    end(job)

    assert "Preference-Applied" not in as_anna.get(f"/api/jobs/{job.pk}/?wait=5", headers=headers).headers


def test_job_that_is_deleted_meanwhile_is_not_found(as_anna, job):
    with later(lambda: Job.objects.all().delete()):
        assert as_anna.get(f"/api/jobs/{job.pk}/?wait=5").status_code == 404


def test_user_who_is_locked_out_meanwhile_is_told_nothing(as_anna, anna, job):
    def lock_out() -> None:
        type(anna).objects.update(is_active=False)
        progress(job)

    with later(lock_out):
        assert as_anna.get(f"/api/jobs/{job.pk}/?wait=5").status_code in {401, 403}


def test_user_whom_another_middleware_knows_is_still_known_after_the_wait(anna, job, settings):
    # The session has nobody, and was asked again.
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.HeaderUserMiddleware"]

    with later(lambda: progress(job)):
        response = Client().get(f"/api/jobs/{job.pk}/?wait=5", headers={"X-User": str(anna.pk)})

    assert (response.status_code, response.json()["id"]) == (200, job.pk)


@pytest.mark.parametrize("wait", ["soon", "-1", "1e3", "nan", ""])
def test_wait_that_is_no_number_is_refused(as_anna, job, wait):
    assert list(as_anna.get(f"/api/jobs/{job.pk}/?wait={wait}").json()["errors"]) == ["wait"]


def test_where_too_many_wait_the_answer_comes_at_once(as_anna, job, settings):
    settings.GEARJOBS = {"API": {"WSGI_WAITS": 1}}

    with places.one(1):
        response = as_anna.get(f"/api/jobs/{job.pk}/?wait=5")

    assert response.status_code == 200
    assert "Preference-Applied" not in response.headers


def test_time_to_wait_is_bounded_by_the_site(as_anna, job, settings):
    settings.GEARJOBS = {"API": {"WAIT_S": 0.1}}

    assert as_anna.get(f"/api/jobs/{job.pk}/?wait=600").headers["Preference-Applied"] == "wait=0.1"


def test_waiting_request_counts_once(as_anna, job, settings):
    settings.GEARJOBS = {"API": {"STATUS_RATE": "1/h"}}

    with later(lambda: progress(job)):
        assert as_anna.get(f"/api/jobs/{job.pk}/?wait=5").status_code == 200

    refused = as_anna.get(f"/api/jobs/{job.pk}/")
    assert (refused.status_code, refused.json()["title"]) == (429, "Too Many Requests")
    assert int(refused.headers["Retry-After"]) > 3000


def test_whoever_enqueues_may_wait_for_the_end(as_anna, settings):
    body = json.dumps({"task": ship.module_path, "args": [7]})
    settings.DATABASES  # noqa: B018 - the job's row is inserted, as no server answers

    with client_in_place(FakeClient(is_down=True)), later(lambda: end(Job.objects.get())):
        response = as_anna.post("/api/jobs/?wait=5", body, content_type="application/json")

    assert (response.status_code, response.json()["result"]) == (200, "done")
    assert "Retry-After" not in response.headers


def test_whoever_wants_no_wait_is_answered_at_once(as_anna):
    body = json.dumps({"task": ship.module_path, "args": [7]})

    with client_in_place(FakeClient(is_down=True)):
        response = as_anna.post(
            "/api/jobs/?wait=5", body, content_type="application/json", headers={"Prefer": "respond-async"}
        )

    assert response.status_code == 202


def test_list_of_events_waits_for_the_next(as_anna, job):
    path = f"/api/jobs/{job.pk}/events/?wait=5"

    with later(lambda: job.outputs.create(sequence=1, body=b'{"row": 1}', streamed_at=timezone.now())):
        told = as_anna.get(path).json()

    assert [(one["kind"], one["value"], one["encoding"]) for one in told["results"]] == [("data", {"row": 1}, "json")]
    assert (told["since"], told["is_over"], told["hidden"]) == (1, False, False)


def test_list_of_events_goes_on_from_where_one_is(as_anna, job):
    for number in (1, 2, 3):
        job.outputs.create(sequence=number, is_warning=number == 3, body=b"x", streamed_at=timezone.now())
    end(job)

    told = as_anna.get(f"/api/jobs/{job.pk}/events/?since=1").json()
    last = as_anna.get(f"/api/jobs/{job.pk}/events/?since=3").json()

    assert [one["kind"] for one in told["results"]] == ["data", "warning"]
    assert (last["results"], last["is_over"]) == ([], True)


def test_there_are_no_streams_under_wsgi(as_anna, job):
    response = as_anna.get(f"/api/jobs/{job.pk}/events/", headers={"Accept": "text/event-stream"})

    assert (response.status_code, response.json()["type"]) == (406, "urn:gearjobs:problem:no-streams")


def test_reader_who_takes_a_list_too_gets_one_under_wsgi(as_anna, job):
    accept = "text/event-stream, application/json;q=0.5"

    response = as_anna.get(f"/api/jobs/{job.pk}/events/", headers={"Accept": accept})

    assert (response.status_code, response.json()["results"]) == (200, [])


def stream(client, job, *, changes=(), path="", is_impatient=False, method="GET", **headers):
    """Return the events that an ASGI server would send, and do the changes one by one as they come.

    Args:
        client: who is logged in.
        job: whose events.
        changes: what is done while it streams.
        path: another path than the job's.
        is_impatient: whether the reader leaves after the first event.
        method: of the request.
        headers: further ones.
    """
    cookie = "; ".join(f"{name}={morsel.value}" for name, morsel in client.cookies.items())
    sent = {"accept": "text/event-stream", "cookie": cookie, "host": "testserver", **headers}
    scope = {
        "type": "http", "method": method, "path": path or f"/api/jobs/{job.pk}/events/", "query_string": b"",
        "http_version": "1.1", "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
    }  # fmt: skip
    left = list(changes)

    async def read() -> tuple[int, str]:
        application = ApplicationCommunicator(get_asgi_application(), scope)
        await application.send_input({"type": "http.request", "body": b"", "more_body": False})
        start = await application.receive_output(10)
        body = ""
        while True:
            part = await application.receive_output(10)
            body += part.get("body", b"").decode()
            if "event:" in body and left:
                await asyncio.to_thread(_in_thread, left.pop(0))
            if "event:" in body and is_impatient:
                await application.send_input({"type": "http.disconnect"})
                await application.wait(10)
                return start["status"], body
            if not part.get("more_body"):
                # Until it has tidied up.
                await application.wait(10)
                return start["status"], body

    return asyncio.run(read())


def _in_thread(change) -> None:
    try:
        change()
    finally:
        connections.close_all()


def events_in(body: str) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in body.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "event" in lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def test_stream_tells_what_a_job_tells_until_its_end(as_anna, job):
    changes = [
        lambda: progress(job),
        lambda: job.outputs.create(sequence=1, body=b'"a\\nb"', streamed_at=timezone.now()),
        lambda: end(job),
    ]

    status, body = stream(as_anna, job, changes=changes)

    told = events_in(body)
    assert status == 200
    assert [kind for kind, _ in told] == ["status", "progress", "data", "end"]
    assert told[1][1]["progress"]["message"] == "half"
    assert told[2][1]["value"] == "a\nb"
    assert (told[3][1]["status"], told[3][1]["error"]) == ("SUCCESSFUL", None)


def test_reader_who_takes_a_list_too_gets_the_stream_where_there_is_one(as_anna, job):
    end(job)

    status, body = stream(as_anna, job, accept="text/event-stream, application/json;q=0.5")

    assert (status, [kind for kind, _ in events_in(body)]) == (200, ["end"])


def test_stream_goes_on_where_it_broke_off(as_anna, job):
    for number in (1, 2):
        job.outputs.create(sequence=number, body=b"%d" % number, streamed_at=timezone.now())
    end(job)

    _, body = stream(as_anna, job, **{"last-event-id": "1.1"})

    assert [(kind, told.get("value")) for kind, told in events_in(body)] == [("data", 2), ("end", None)]


def test_stream_of_a_failure_says_why(as_anna, job):
    Job.objects.update(
        status="FAILED", status_detail="failed", error_class="a.B", error_message="no\n\nevent: end",
        finished_at=timezone.now(),
    )  # fmt: skip

    _, body = stream(as_anna, job)

    assert [kind for kind, _ in events_in(body)] == ["end"]
    assert events_in(body)[0][1]["error"] == {"class": "a.B", "message": "no\n\nevent: end"}


def test_question_for_the_head_of_a_stream_has_no_stream(as_anna, job):
    # It took a place for minutes, and nobody would have read it.
    status, body = stream(as_anna, job, method="HEAD")

    assert (status, events_in(body), places.taken) == (200, [], 0)


def test_stream_lives_no_longer_than_the_site_says(as_anna, job, settings):
    settings.GEARJOBS = {"API": {"STREAM_S": 1}}

    _, body = stream(as_anna, job)

    assert [kind for kind, _ in events_in(body)] == ["status"]


def test_stream_of_others_has_no_output(login, make_user, job):
    job.outputs.create(sequence=1, body=b"secret", streamed_at=timezone.now())
    end(job)

    _, body = stream(login(make_user("viewer", "view_job")), job)

    assert [kind for kind, _ in events_in(body)] == ["end"]
    assert "secret" not in body


def test_stream_of_a_job_that_goes_ends(as_anna, job):
    _, body = stream(as_anna, job, changes=[lambda: Job.objects.all().delete()])

    assert events_in(body)[-1] == ("end", {"id": job.pk, "status": None})


def test_reader_who_leaves_gives_the_place_back(as_anna, job):
    stream(as_anna, job, is_impatient=True)

    assert places.taken == 0


def test_stream_of_nothing_is_a_problem(as_anna, job):
    status, body = stream(as_anna, job, path="/api/jobs/H:nobody:1/events/")

    assert (status, json.loads(body)["title"]) == (404, "Not Found")


def test_where_too_many_streams_are_open_the_reader_is_to_come_back(as_anna, job, settings):
    settings.GEARJOBS = {"API": {"ASGI_WAITS": 0}}

    assert stream(as_anna, job) == (200, "retry: 10000\n\n")
