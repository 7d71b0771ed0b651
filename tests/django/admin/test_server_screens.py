"""The screen of job servers in the admin: what answers, what the database knows; read, never changed."""

from __future__ import annotations

import pytest
from django.urls import reverse

from gearjobs.admin import server_page
from gearjobs.models import JobServer

LIST = reverse("admin:gearjobs_jobserver_changelist")
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&"


@pytest.fixture
def servers(db):
    JobServer.objects.create(incarnation="web-1:7", host="web-1", pid=7, lease_until_us=2, renewed_at_us=1)
    JobServer.objects.create(incarnation="web-2:8", host="web-2", pid=8, lease_until_us=2, fenced_at_us=3)
    JobServer.objects.create(incarnation="web-3:9", host="web-3", pid=9)


@pytest.fixture
def as_viewer(make_user, login):
    return login(make_user("operator", "view_jobserver", is_staff=True))


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.usefixtures("servers", "fake")
def test_servers_are_listed_with_what_becomes_of_their_jobs(as_viewer):
    page = text_of(as_viewer.get(LIST))

    for shown in ("web-1:7", "by lease", "web-2:8", "its jobs are being taken over", "web-3:9", "the only server"):
        assert shown in page


@pytest.mark.usefixtures("servers", "fake")
def test_one_server_can_be_looked_at_and_not_changed(as_viewer):
    page = reverse("admin:gearjobs_jobserver_change", args=["web-1:7"])

    assert "last sign of life" in text_of(as_viewer.get(page)).lower()
    assert as_viewer.post(page, {"pid": 1}).status_code == 403
    assert as_viewer.get(reverse("admin:gearjobs_jobserver_add")).status_code == 403


@pytest.mark.parametrize(("permissions", "is_staff"), [(("view_job",), True), ((), True), (("view_jobserver",), False)])
@pytest.mark.usefixtures("servers")
def test_who_may_not_view_servers_sees_none(make_user, login, permissions, is_staff):
    response = login(make_user("clerk", *permissions, is_staff=is_staff)).get(LIST)

    assert response.status_code in {302, 403}
    assert response.status_code == 403 or "/login/" in response.headers["Location"]


@pytest.mark.usefixtures("servers")
def test_answer_and_row_of_one_server_are_put_together(as_viewer, fake):
    fake.said |= {"host": "web-1", "pid": 7, "busy_workers": 1, "workers": 3}

    response = as_viewer.get(LIST)

    assert {row.server.host: row.address for row in response.context["lives"]} == {
        "web-1": fake.address, "web-2": "", "web-3": "",
    }  # fmt: skip
    assert "1 of 1 job server answers." in text_of(response)
    assert "1 / 3" in text_of(response)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"is_store_down": True}, "its store is down"),
        ({"is_lease_held": False}, "without its lease"),
        ({"is_draining": True}, "draining"),
        ({"pending_changes": 1200, "store_busy_s": 3.0}, "1,200 changes wait, busy for 3 s"),
        ({}, "in time"),
    ],
)
@pytest.mark.django_db
def test_what_is_wrong_with_a_server_is_shown(as_viewer, fake, said, shown):
    fake.said |= said

    assert shown in text_of(as_viewer.get(LIST))


@pytest.mark.django_db
def test_server_that_is_down_is_a_line(as_viewer, fake, dead_address, settings):
    settings.GEARJOBS = {"SERVERS": [dead_address, fake.address]}

    page = text_of(as_viewer.get(LIST))

    assert "1 of 2 job servers answer." in page
    assert ">down</span>" in page
    assert "Start one with manage.py runjobserver." in page


@pytest.mark.usefixtures("servers", "fake")
def test_screen_costs_few_queries_and_shows_a_bounded_number(as_viewer, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(server_page, "ROWS_SHOWN", 2)

    with django_assert_max_num_queries(6):
        response = as_viewer.get(LIST)

    assert len(response.context["lives"]) == 2
    assert "… and more" in text_of(response)


@pytest.mark.django_db
def test_hostile_names_are_text(as_viewer, fake):
    JobServer.objects.create(incarnation=HOSTILE, host=HOSTILE, version=HOSTILE[:32])
    fake.said |= {"host": HOSTILE, "version": HOSTILE}

    page = text_of(as_viewer.get(LIST))

    assert "<script>alert" not in page
    assert "<img src=x" not in page
