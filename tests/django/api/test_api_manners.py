"""What all endpoints have in common: limits, errors as the project wants them, views of one's own."""

from __future__ import annotations

import pytest
from django.test import RequestFactory
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.test import force_authenticate
from rest_framework.versioning import AcceptHeaderVersioning, NamespaceVersioning, URLPathVersioning
from rest_framework.views import APIView

from gearjobs.api import problems
from gearjobs.api.accepted import AsyncActionMixin
from gearjobs.errors import GearjobsError
from gearjobs.tasks.groups.group_result import GroupResult
from tests.support.api_tasks import ship
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db


@pytest.fixture
def as_anna(make_user, login):
    return login(make_user("anna", "add_job"))


def own_words(error: Exception, context: dict[str, object]) -> Response:
    return Response({"oops": str(error)}, status=418)


def test_project_that_has_its_own_handler_keeps_it(as_anna, monkeypatch):
    monkeypatch.setattr(api_settings, "EXCEPTION_HANDLER", own_words)

    response = as_anna.get("/api/jobs/H:nobody:1/")

    assert (response.status_code, response.headers["Content-Type"]) == (418, "application/json")
    assert "oops" in response.json()


@pytest.mark.parametrize("scheme", [NamespaceVersioning, URLPathVersioning, AcceptHeaderVersioning])
def test_versions_of_the_project_are_not_ours(as_anna, make_user, monkeypatch, scheme):
    monkeypatch.setattr(APIView, "versioning_class", scheme)
    monkeypatch.setattr(scheme, "allowed_versions", ["v1"])
    monkeypatch.setattr(scheme, "default_version", "v0")

    assert as_anna.get("/api/jobs/").status_code == 200


def test_reading_and_writing_are_bounded_apart(as_anna, settings):
    settings.GEARJOBS = {"API": {"STATUS_RATE": "2/h", "WRITE_RATE": "1/h"}}

    read = [as_anna.get("/api/jobs/").status_code for _ in range(3)]
    written = [as_anna.post("/api/jobs/", "{}", content_type="application/json").status_code for _ in range(2)]

    assert (read, written) == ([200, 200, 429], [400, 429])


def test_rate_of_the_project_goes_before(as_anna, monkeypatch):
    monkeypatch.setattr(api_settings, "DEFAULT_THROTTLE_RATES", {"gearjobs-status": "1/h"})

    assert [as_anna.get("/api/jobs/").status_code for _ in range(2)] == [200, 429]


def test_bug_is_no_problem_but_rises(as_anna, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("gearjobs.api.job_views.visible_to", fail)

    with pytest.raises(RuntimeError, match="a bug"):
        as_anna.get("/api/jobs/")


def test_unknown_error_of_gearjobs_rises():
    assert problems.answer_problem(GearjobsError("odd"), {}) is None


class Ship(AsyncActionMixin, APIView):
    """A project's own view."""

    def post(self, request, order=0):
        result = ship.enqueue(order) if order else GroupResult(id="H:g:1", total=2)
        return self.accepted(result, order=order)


@pytest.mark.parametrize("order", [7, 0])
def test_view_of_ones_own_says_where_the_job_is(make_user, order):
    request = RequestFactory().post("/")
    force_authenticate(request, make_user("anna"))

    with client_in_place(FakeClient()):
        response = Ship.as_view()(request, order=order)

    part = "jobs" if order else "groups"
    assert (response.status_code, response.headers["Retry-After"], response.data["order"]) == (202, "1", order)
    assert response.headers["Location"] == f"http://testserver/api/{part}/{response.data['id']}/"
    assert ("status_url" in response.data) is bool(order)


def test_answer_can_be_asked_for_as_a_page(as_anna, make_user):
    page = as_anna.get("/api/jobs/", headers={"Accept": "text/html"})

    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")


def test_links_of_a_job_lead_somewhere(make_user, login):
    client = login(make_user("root", is_superuser=True))
    job = make_job("succeeded", result=b"1")

    links = client.get(f"/api/jobs/{job.pk}/").json()["links"]

    answers = {name: client.get(url).status_code for name, url in links.items()}
    assert answers.pop("cancel") == answers.pop("retry") == 405
    assert set(answers.values()) == {200}
