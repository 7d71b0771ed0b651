"""Wholes in the admin: listed with how far they are, and opened to their jobs."""

from __future__ import annotations

import pytest
from django.urls import reverse

from gearjobs import chord, group
from gearjobs.models import Job
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.few_tasks import add

LIST = reverse("admin:gearjobs_jobgroup_changelist")


@pytest.fixture
def whole(db):
    with client_in_place(FakeClient()):
        group(add.s(7, 7)).enqueue()
        return chord([add.s(1, 1), add.s(2, 2)], add.s()).enqueue()


def test_wholes_are_listed_and_not_their_stages(whole, make_user, login):
    client = login(make_user("operator", "view_jobgroup", "view_job", is_staff=True))

    page = client.get(LIST).content.decode()

    assert "0 of 3" in page
    assert page.count("gearjobs-progress") == 2


def test_page_of_a_whole_leads_to_its_jobs(whole, make_user, login):
    client = login(make_user("operator", "view_jobgroup", "view_job", is_staff=True))

    page = client.get(reverse("admin:gearjobs_jobgroup_change", args=[whole.id])).content.decode()

    for job in Job.objects.filter(membership__stage__root=whole.id):
        assert reverse("admin:gearjobs_job_change", args=[job.pk]) in page
    assert "blocked" in page


def test_nobody_changes_a_whole_here(whole, make_user, login):
    client = login(make_user("operator", "view_jobgroup", is_staff=True))

    assert client.post(reverse("admin:gearjobs_jobgroup_change", args=[whole.id]), {"total": 1}).status_code == 403
    assert client.get(reverse("admin:gearjobs_jobgroup_add")).status_code == 403
    assert login(make_user("clerk", "view_job", is_staff=True)).get(LIST).status_code == 403


def test_pages_ask_few_questions(whole, make_user, login, django_assert_max_num_queries):
    client = login(make_user("operator", "view_jobgroup", "view_job", is_staff=True))

    with django_assert_max_num_queries(8):
        client.get(reverse("admin:gearjobs_jobgroup_change", args=[whole.id]))


def test_list_is_styled_and_counts_no_further_than_a_reader_pages(whole, make_user, login, monkeypatch):
    monkeypatch.setattr("gearjobs.admin.bounded_paginator.PAGED_LIMIT", 1)

    response = login(make_user("operator", "view_jobgroup", is_staff=True)).get(LIST)

    assert response.context["cl"].result_count == 1
    assert "gearjobs/screens.css" in response.content.decode()


def test_jobs_of_a_whole_are_for_who_may_see_jobs(whole, make_user, login):
    client = login(make_user("clerk", "view_jobgroup", is_staff=True))

    page = client.get(reverse("admin:gearjobs_jobgroup_change", args=[whole.id])).content.decode()

    assert "0 of 3" in page
    assert all(job.pk not in page for job in Job.objects.all())
