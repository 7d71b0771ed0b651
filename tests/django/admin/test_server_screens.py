"""The list of job servers in the admin: read, never changed."""

from __future__ import annotations

import pytest
from django.urls import reverse

from gearjobs.models import JobServer

LIST = reverse("admin:gearjobs_jobserver_changelist")


@pytest.fixture
def servers(db):
    JobServer.objects.create(incarnation="web-1:7", host="web-1", pid=7, lease_until_us=2, renewed_at_us=1)
    JobServer.objects.create(incarnation="web-2:8", host="web-2", pid=8, lease_until_us=2, fenced_at_us=3)
    JobServer.objects.create(incarnation="web-3:9", host="web-3", pid=9)


@pytest.mark.usefixtures("servers")
def test_servers_are_listed_with_what_becomes_of_their_jobs(make_user, login):
    client = login(make_user("operator", "view_jobserver", is_staff=True))

    page = client.get(LIST).content.decode()

    for shown in ("web-1:7", "by lease", "web-2:8", "its jobs are being taken over", "web-3:9", "the only server"):
        assert shown in page


@pytest.mark.usefixtures("servers")
def test_one_server_can_be_looked_at_and_not_changed(make_user, login):
    client = login(make_user("operator", "view_jobserver", is_staff=True))
    page = reverse("admin:gearjobs_jobserver_change", args=["web-1:7"])

    assert "last sign of life" in client.get(page).content.decode().lower()
    assert client.post(page, {"pid": 1}).status_code == 403
    assert client.get(reverse("admin:gearjobs_jobserver_add")).status_code == 403


@pytest.mark.usefixtures("servers")
def test_who_may_not_view_servers_sees_none(make_user, login):
    client = login(make_user("clerk", "view_job", is_staff=True))

    assert client.get(LIST).status_code == 403
