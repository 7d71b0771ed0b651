"""Enqueuing in Django's own kinds of transactions: a request's (ATOMIC_REQUESTS) and a test's."""

from __future__ import annotations

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, TestCase
from django.urls import path

from gearjobs.models import Job
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.sample_tasks import add


def enqueue(request: HttpRequest) -> HttpResponse:
    """Enqueue, look whether the job has gone out, and fail if told to."""
    result = add.enqueue(1)
    if "fail" in request.GET:
        raise RuntimeError("after enqueue()")
    return HttpResponse(result.id)


urlpatterns = [path("enqueue/", enqueue)]


@pytest.fixture
def job_server():
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def atomic_requests(monkeypatch, settings):
    settings.ROOT_URLCONF = __name__
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("atomic_requests")
def test_job_of_a_request_is_committed_with_it(job_server):
    answer = Client().get("/enqueue/")

    assert Job.objects.get().pk == answer.content.decode()
    assert (job_server.submitted, job_server.nudges) == ([], 1)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("atomic_requests")
def test_job_of_a_request_that_fails_never_was(job_server):
    answer = Client(raise_request_exception=False).get("/enqueue/?fail")

    assert answer.status_code == 500
    assert not Job.objects.exists()
    assert (job_server.submitted, job_server.nudges) == ([], 0)


class EnqueuingTests(TestCase):
    """A project's own tests, which run in a transaction that never commits."""

    def test_nudge_is_among_what_a_test_captures(self):
        with client_in_place(FakeClient()) as job_server:
            with self.captureOnCommitCallbacks(execute=True) as callbacks:
                result = add.enqueue(1)
                assert job_server.nudges == 0

            assert len(callbacks) == 1
            assert job_server.nudges == 1
            assert Job.objects.get().pk == result.id
