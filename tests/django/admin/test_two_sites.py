"""Two AdminSites beside each other: pages of each lead to pages of the same one, and a site may have only some."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.http import HttpResponse
from django.template.response import TemplateResponse
from django.test import override_settings
from django.urls import include, path

from gearjobs.admin import JobAdmin, register_screens
from gearjobs.admin.screen_admin import _on_site
from gearjobs.admin.screen_links import jobs_link
from gearjobs.models import FailureGroup, Job, JobGroup, Schedule, ScheduleSource
from gearjobs.tasks.schedules.saved_schedules import create_schedule, spec_columns
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.few_tasks import add
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

ops = admin.AdminSite(name="ops")
register_screens(ops)
clerks = admin.AdminSite(name="clerks")
clerks.register(Job, JobAdmin)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("ops/", ops.urls),
    path("clerks/", clerks.urls),
    path("api/", include("gearjobs.urls")),
]


@pytest.fixture(autouse=True)
def sites(settings, dead_address):
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.fixture
def root(make_user, login):
    return login(make_user("root", is_staff=True, is_superuser=True))


@pytest.fixture
def places():
    """Addresses below a site's root; one of each screen."""
    job = make_job("failed", fingerprint="f" * 64, worker_ids=["w"], retried_as="H:other:1")
    group = JobGroup.objects.create(id="H:group:1", root="H:group:1", kind="group", total=1, failed=1)
    FailureGroup.objects.create(fingerprint="f" * 64, function="resize")
    schedule = create_schedule(
        "sums", spec_columns(add, ScheduleSpec("0 3 * * *", key="sums", args=[1, 2])), source=ScheduleSource.ADMIN
    )
    Schedule.objects.update(last_handle=job.handle, last_fired_at=job.enqueued_at)
    handle = quote(job.handle)
    return [
        "",
        "queuecontrol/",
        "queuecontrol/queue/?name=resize",
        "queuecontrol/queue/limits/?name=resize",
        "job/?status=failed",
        f"job/{handle}/change/",
        f"job/{handle}/duplicate/",
        f"job/{handle}/edit/",
        "job/new/",
        "failuregroup/",
        f"failuregroup/{'f' * 64}/",
        "jobserver/",
        "jobserver/workers/",
        "jobgroup/",
        f"jobgroup/{quote(group.pk)}/change/",
        "schedule/",
        f"schedule/{schedule.pk}/change/",
        "operatoraction/",
        "bulkoperation/",
    ]


def links_of(response):
    assert response.status_code == 200, response.request["PATH_INFO"]
    return re.findall(r'(?:href|action)="(/[^"]+)"', response.content.decode())


@pytest.mark.parametrize("site", ["admin", "ops"])
def test_pages_of_a_site_lead_to_pages_of_that_site(places, root, site):
    for place in places:
        links = links_of(root.get(f"/{site}/gearjobs/{place}"))

        strange = [link for link in links if not link.startswith((f"/{site}/", "/static/", "/api/"))]
        assert not strange, place
        assert any(link.startswith(f"/{site}/gearjobs/") for link in links)


def test_site_with_one_screen_shows_the_others_as_text(root):
    job = make_job("failed", fingerprint="f" * 64)

    links = links_of(root.get(f"/clerks/gearjobs/job/{quote(job.handle)}/change/"))
    overview = links_of(root.get("/clerks/gearjobs/"))

    assert not [link for link in [*links, *overview] if link.startswith(("/admin/", "/ops/"))]


def test_answers_of_forms_stay_on_their_site(root):
    job = make_job("failed", owner="")

    answer = root.post(f"/ops/gearjobs/job/{quote(job.handle)}/act/", {"verb": "retry"})

    assert answer.headers["Location"].startswith("/ops/gearjobs/job/")


def test_addresses_are_the_first_sites_again_after_a_page(root, rf):
    root.get("/ops/gearjobs/job/")
    assert jobs_link() == "/admin/gearjobs/job/"

    def fail(request):
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        _on_site(fail, "ops")(rf.get("/"))
    plain: Any = _on_site(lambda request: HttpResponse(jobs_link()), "ops")(rf.get("/"))
    rendered: Any = _on_site(lambda request: TemplateResponse(request, "gearjobs/order_head.html"), "ops")(rf.get("/"))

    assert (plain.content, jobs_link()) == (b"/ops/gearjobs/job/", "/ops/gearjobs/job/")
    rendered.render()
    assert jobs_link() == "/admin/gearjobs/job/"
