"""The overview: what it shows of servers that are up and down, of figures and failures, and what it costs."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.urls import path
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from gearjobs.admin.queue_admin import QueueAdmin
from gearjobs.models import FailureGroup, QueueControl
from gearjobs.protocol.server_snapshot import RunFigures
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

OVERVIEW = "/admin/gearjobs/"
#: Queries of the page, whatever the tables hold: those of session and user among them.
QUERY_LIMIT = 40


@pytest.fixture
def client(make_user, login):
    return login(make_user("viewer", "view_job", "view_failuregroup", is_staff=True))


@pytest.fixture
def get_overview(client):
    def get() -> str:
        response = client.get(OVERVIEW)
        assert response.status_code == 200
        return str(response.content.decode())

    return get


def cards_of(page: str) -> dict[str, str]:
    """Return the figures by their labels."""
    cards = re.findall(r"<dt>(.*?)</dt>\s*<dd>(.*?)</dd>", page, re.DOTALL)
    return {label: " ".join(re.sub(r"<[^>]*>", " ", value).split()) for label, value in cards}


def health_of(page: str) -> str:
    found = re.search(r'<p class="gearjobs-health ([\w-]+)" data-announce><bdi>(.*?)</bdi></p>', page)
    assert found is not None
    return f"{found[1]}: {found[2]}"


def test_all_is_well(fake, get_overview):
    fake.add_function("resize", workers=1)
    fake.add_worker("box-1", "resize")

    assert health_of(get_overview()) == "gearjobs-good: 1 of 1 job server up · 1 worker · no problems"


def test_present_moment_is_what_the_servers_say(fake, get_overview):
    fake.add_function("resize", (1, 1200, 0), running=2, scheduled=3, workers=2, oldest_queued_at=time.time() - 300)
    fake.add_worker("box-1", "resize", runs=(RunFigures(handle="H:1", function="resize"),))
    fake.add_worker("box-2", "resize")

    cards = cards_of(get_overview())

    assert cards["Waiting"] == "1,201"
    assert cards["Oldest waits"] == "5 min resize"
    assert (cards["Running"], cards["Scheduled"], cards["Retrying"]) == ("2", "3", "0")
    assert cards["Workers"] == "2 1 busy, 1 idle"


def test_past_is_what_the_figures_say(fake, get_overview, add_figures):
    add_figures(enqueued=40, succeeded=30, failed=5, run_counts=[0, 0, 35])

    page = get_overview()

    cards = cards_of(page)
    assert cards["Failed in the last hour"] == "5 of 35 that ended"
    assert cards["Ended a minute"] == "7 in the last 5 minutes"
    assert "Last 60 minutes: 40 jobs enqueued, 30 done, 5 failed." in page
    assert "95 of 100 runs took at most 4.9 ms." in page


def test_jobs_between_two_attempts_are_not_counted_twice(fake, get_overview):
    fake.add_function("resize", scheduled=3)
    make_job("retrying")

    cards = cards_of(get_overview())

    assert (cards["Scheduled"], cards["Retrying"]) == ("2", "1")


def test_counts_lead_to_the_lists_that_they_count(fake, get_overview, add_figures):
    add_figures(succeeded=1, failed=1)

    page = get_overview()

    assert 'href="/admin/gearjobs/job/?status=waiting"' in page
    assert 'href="/admin/gearjobs/job/?status=running"' in page
    assert re.search(r'href="/admin/gearjobs/job/\?status=dead%2Cexpired%2Cfailed%2C[^"]*finished_after=', page)


def test_without_a_server_the_table_is_counted(get_overview, dead_address, settings):
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    make_job("waiting", enqueued_at=timezone.now() - timedelta(minutes=3))
    make_job("running")

    page = get_overview()

    cards = cards_of(page)
    assert (cards["Waiting"], cards["Running"], cards["Workers"]) == ("1", "1", "?")
    assert cards["Oldest waits"].startswith("3 min")
    assert health_of(page).startswith("gearjobs-bad: 0 of 1 job server up")
    assert f"The job server {dead_address} does not answer" in page


def test_server_that_is_down_hides_nothing_of_the_others(fake, get_overview, dead_address, settings):
    settings.GEARJOBS = {"SERVERS": [dead_address, fake.address]}
    fake.add_function("resize", (0, 1, 0), workers=1)

    page = get_overview()

    assert cards_of(page)["Waiting"] == "1"
    assert f"{fake.address}</bdi>" in page


def test_silent_servers_cost_their_time_out_once(fake, get_overview, settings):
    fake.answer = lambda line: None
    port = fake.address.rpartition(":")[2]
    addresses = [f"{host}:{port}" for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3", "localhost")]
    settings.GEARJOBS = {"SERVERS": addresses, "ADMIN": {"SERVER_TIMEOUT_S": 0.3}}
    before = time.monotonic()

    page = get_overview()

    assert time.monotonic() - before < 1.2
    assert "0 of 4 job servers up" in page


def test_problem_leads_to_what_it_is_about(fake, get_overview):
    fake.add_function("resize/big", (0, 1, 0))

    page = get_overview()

    link = 'href="/admin/gearjobs/queuecontrol/queue/?name=resize%2Fbig"'
    assert re.search(rf"{re.escape(link)}><bdi>1 jobs? waits? for resize/big", page)


def test_groups_that_failed_most_of_late_come_first(fake, get_overview):
    for number in range(7):
        FailureGroup.objects.create(fingerprint=f"f{number}", function="resize", error_class=f"E{number}", count=number)
    old = timezone.now() - timedelta(days=2)
    FailureGroup.objects.create(fingerprint="old", function="f", error_class="Old", count=99, last_seen_at=old)

    assert re.findall(r"<bdi>(E\d|Old)</bdi>", get_overview()) == ["E6", "E5", "E4", "E3", "E2"]


def test_groups_are_shown_to_those_who_may_see_failures(fake, make_user, login):
    FailureGroup.objects.create(fingerprint="f", function="resize", error_class="Broken")
    client = login(make_user("other", "view_job", is_staff=True))

    assert b"Broken" not in client.get(OVERVIEW).content


def test_staff_who_may_not_see_jobs_find_their_tables_alone(fake, make_user, login):
    fake.add_function("resize", (0, 1, 0))
    client = login(make_user("planner", "view_schedule", is_staff=True))

    page = client.get(OVERVIEW).content.decode()

    assert "resize" not in page
    assert "gearjobs-live" not in page
    assert 'href="/admin/gearjobs/schedule/"' in page


def test_page_costs_the_same_however_much_there_is(
    fake, client, add_figures, django_assert_max_num_queries: DjangoAssertNumQueries
):
    for number in range(30):
        fake.add_function(f"f{number}", (0, 1, 0))
        add_figures(f"f{number}", enqueued=1)
        FailureGroup.objects.create(fingerprint=f"f{number}", function="resize")
        make_job("failed")

    with django_assert_max_num_queries(QUERY_LIMIT) as queries:
        client.get(OVERVIEW)

    assert not [q for q in queries if re.search(r'COUNT\(\*\)[^(]*FROM "gearjobs_job"(?! ?\w* WHERE)', q["sql"])]


def test_hostile_texts_are_text(fake, get_overview):
    hostile = '"><script>alert(1)</script>'
    fake.add_function(hostile, (0, 1, 0))
    fake.said["version"] = hostile
    FailureGroup.objects.create(fingerprint="f", function=hostile, error_class=hostile, sample_message=hostile)

    assert "<script>alert" not in get_overview()


def test_nothing_of_it_breaks_a_strict_content_security_policy(fake, get_overview, add_figures):
    add_figures(succeeded=1, failed=1)

    page = get_overview()

    region = page[page.index('id="gearjobs-live"') :]
    assert not re.search(r"<style|style=|\son\w+=|<script", region)


def test_empty_site_says_that_nothing_failed(fake, get_overview):
    assert "Nothing failed in the last 24 hours." in get_overview()


def test_site_of_ones_own_has_the_screens_that_are_registered_with_it(fake, make_user, login, settings):
    ops = AdminSite(name="ops")
    ops.register(QueueControl, QueueAdmin)

    class OpsUrls:
        urlpatterns = (path("ops/", ops.urls),)

    settings.ROOT_URLCONF = OpsUrls
    fake.add_function("resize", (0, 1, 0))
    client = login(make_user("viewer", "view_job", is_staff=True))

    overview = client.get("/ops/gearjobs/").content.decode()
    queues = client.get("/ops/gearjobs/queuecontrol/").content.decode()

    assert 'href="/ops/gearjobs/queuecontrol/queue/?name=resize"' in overview
    assert cards_of(overview)["Waiting"] == "1"
    assert "status=waiting" not in overview
    assert 'href="/ops/gearjobs/queuecontrol/queue/?name=resize"' in queues


def test_code_of_the_documentation_makes_a_site():
    text = (Path(__file__).parents[3] / "docs" / "dashboard.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}

    exec(code, names)

    assert names["site"].is_registered(QueueControl)
