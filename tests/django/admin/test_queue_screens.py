"""The screens of functions: what they show, who may do what there, and that nothing is done by a GET."""

from __future__ import annotations

import re
import time
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from gearjobs.actions.change_queue_limits import QueueLimits, change_queue_limits, limits_of
from gearjobs.actions.pause_queues import pause_queues
from gearjobs.models import Job, OperatorAction, QueueControl
from gearjobs.protocol.server_snapshot import RunFigures
from gearjobs.protocol.worker_report import WorkerReport
from gearjobs.records.queue_controls import control_of
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

LIST = "/admin/gearjobs/queuecontrol/"
QUEUE = f"{LIST}queue/"
ACT = f"{QUEUE}act/"
LIMITS = f"{QUEUE}limits/"
ALL_VERBS = ("view_job", "control_queue", "cancel_job", "change_queue")
#: Queries of a screen, whatever the tables hold: those of session and user among them.
LIST_QUERY_LIMIT = 12
QUEUE_QUERY_LIMIT = 25


@pytest.fixture
def viewer(make_user, login):
    return login(make_user("viewer", "view_job", is_staff=True))


@pytest.fixture
def operator(make_user, login):
    return login(make_user("operator", *ALL_VERBS, is_staff=True))


def text_of(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def row_of(page: str, name: str) -> list[str]:
    """Return the texts of the cells of the row that begins with a name."""
    for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL):
        cells = [
            " ".join(re.sub(r"<[^>]*>", " ", cell).split())
            for cell in re.findall(r"<t[hd][ >].*?</t[hd]>", row, re.DOTALL)
            if "gearjobs-tick-column" not in cell
        ]
        if cells and cells[0].split()[:1] == [name]:
            return cells
    raise AssertionError(f"no row begins with {name!r}")


def test_functions_are_shown_with_what_they_have_to_do(fake, viewer):
    fake.add_function(
        "resize", (2, 5, 1), running=3, scheduled=4, workers=2, oldest_queued_at=time.time() - 600,
        entered_per_s=0.5, taken_per_s=0.1,
    )  # fmt: skip
    run = RunFigures(handle="H:1", function="resize")
    fake.add_worker("box-1", "resize", runs=(run,))

    cells = row_of(text_of(viewer, LIST), "resize")

    assert cells[:7] == ["resize", "8 2 high, 1 low", "3", "4", "10 min", "30 / 6 done in 80 s", "1 / 2"]


def test_function_that_rests_says_so_with_its_reason(fake, viewer):
    fake.add_function("resize", (0, 1, 0))
    pause_queues(["resize"], note="disk full")

    page = text_of(viewer, LIST)

    assert row_of(page, "resize")[0] == "resize paused"
    assert 'title="disk full"' in page


def test_function_whose_jobs_nobody_can_do_stands_out(fake, viewer):
    fake.add_function("resize", (0, 1, 0))

    assert row_of(text_of(viewer, LIST), "resize")[0] == "resize no worker"


def test_function_shows_limits_benches_and_failures(fake, viewer, add_figures):
    fake.add_function("resize", (0, 9, 0), workers=2, benched=1, throttled=3)
    change_queue_limits("resize", QueueLimits(max_high=7, concurrency=4, rate=10, per_s=60.0))
    add_figures("resize", succeeded=3, failed=2)

    page = text_of(viewer, LIST)

    cells = row_of(page, "resize")
    assert cells[0] == "resize 1 benched 3 held up by a limit high at most 7 · 4 at once · 10 in 60 s"
    assert cells[7] == "2"
    assert "5 ended in the last hour" in page


def test_functions_of_servers_words_and_figures_are_all_there(fake, viewer, add_figures):
    fake.add_function("live")
    pause_queues(["paused"])
    add_figures("past", succeeded=1)

    page = text_of(viewer, LIST)

    assert all(row_of(page, name) for name in ("live", "paused", "past"))


@pytest.mark.parametrize(
    ("order", "first"), [("", "a"), ("waiting", "b"), ("running", "c"), ("oldest", "d"), ("failed", "e"), ("what", "a")]
)
def test_list_is_in_the_order_that_is_asked_for(fake, viewer, add_figures, order, first):
    fake.add_function("a")
    fake.add_function("b", (0, 9, 0), oldest_queued_at=100.0)
    fake.add_function("c", running=5)
    fake.add_function("d", (0, 1, 0), oldest_queued_at=50.0)
    fake.add_function("e")
    add_figures("e", failed=3)

    page = text_of(viewer, LIST, o=order)

    assert re.findall(r"\?name=(\w)\"><bdi>", page)[0] == first


def test_search_finds_parts_of_names(fake, viewer):
    fake.add_function("resize")
    fake.add_function("mail")

    page = text_of(viewer, LIST, q="SIZ")

    assert "name=resize" in page
    assert "name=mail" not in page


def test_long_list_is_cut_and_says_so(fake, viewer):
    for number in range(305):
        fake.add_function(f"f{number:03}")

    page = text_of(viewer, LIST)

    assert ">f299<" in page
    assert ">f300<" not in page
    assert "and 5 more" in page


def test_list_costs_the_same_however_long_it_is(fake, viewer, add_figures, django_assert_max_num_queries):
    for number in range(50):
        fake.add_function(f"f{number}", (0, 1, 0))
        add_figures(f"f{number}", succeeded=1)
        pause_queues([f"f{number}"])

    with django_assert_max_num_queries(LIST_QUERY_LIMIT):
        viewer.get(LIST)


def test_server_that_is_down_is_a_line(viewer, dead_address, settings):
    settings.GEARJOBS = {"SERVERS": [dead_address]}

    page = text_of(viewer, LIST)

    assert f"<bdi>{dead_address}: " in page
    assert "No job server answers." in page


def test_page_of_a_function_without_a_server_claims_nothing_of_the_present(viewer, dead_address, settings):
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    make_job("waiting")

    page = text_of(viewer, QUEUE, name="resize")

    assert re.search(r"<dt>Waiting</dt>\s*<dd><a [^>]*><bdi>\?</bdi>", page)
    assert "waiting <b>1</b>" in page
    assert "No job server answers." in page


def test_empty_list_says_what_is_missing(fake, viewer):
    assert "manage.py runworkers" in text_of(viewer, LIST)


def test_hostile_names_are_text(fake, operator):
    hostile = "\"><script>alert(1)</script>'&"
    fake.add_function(hostile, (0, 1, 0))
    fake.add_worker(hostile, hostile)
    pause_queues([hostile], note=hostile)

    assert "<script>alert" not in text_of(operator, LIST)
    assert "<script>alert" not in text_of(operator, QUEUE, name=hostile)
    assert "<script>alert" not in text_of(operator, LIMITS, name=hostile)


@pytest.mark.parametrize("path", [LIST, f"{QUEUE}?name=resize"])
def test_nothing_breaks_a_strict_content_security_policy(fake, operator, path):
    fake.add_function("resize", (0, 1, 0))

    page = text_of(operator, path)

    region = page[page.index('id="gearjobs-live"') :]
    assert not re.search(r"<style|style=|\son\w+=|<script", region)


def test_region_is_refreshed_as_often_as_the_settings_say(fake, viewer, settings):
    settings.GEARJOBS = {"SERVERS": [fake.address], "ADMIN": {"REFRESH_S": 1.5}}

    assert 'data-refresh-ms="1500"' in text_of(viewer, LIST)
    assert 'data-refresh-ms="1500"' in text_of(viewer, QUEUE, name="resize")


def test_page_of_a_function_shows_lanes_limits_and_jobs_by_state(fake, viewer):
    fake.add_function("resize", (2, 5, 1), running=1, workers=1)
    change_queue_limits("resize", QueueLimits(concurrency=4))
    make_job("failed")
    make_job("waiting")
    make_job("waiting", function="mail")

    page = text_of(viewer, QUEUE, name="resize")

    assert "2 high, 5 normal, 1 low" in page
    assert "4 at once" in page
    assert re.search(r"<dd><a href=\"[^\"]*\?function=resize&amp;status=waiting\"><bdi>8</bdi>", page)
    assert re.search(r"status=dead%2C[^\"]*\">failed <b>1</b>", page)


def test_page_of_a_function_shows_its_workers_and_what_they_run(fake, viewer):
    report = WorkerReport(pid=77, host="box", state="busy")
    mine = RunFigures(handle="H:1", function="resize", started_at=time.time() - 90)
    other = RunFigures(handle="H:2", function="mail")
    fake.add_function("resize", workers=2)
    fake.add_worker("box-1", "resize", runs=(mine,), report=report)
    fake.add_worker("box-2", "resize", "mail", runs=(other,), benched=("resize",))
    fake.add_worker("box-3", "mail")

    page = text_of(viewer, QUEUE, name="resize")

    assert row_of(page, "box-1") == ["box-1", "box pid 77", "busy", "H:1 for 90 s"]
    assert row_of(page, "box-2")[2:] == ["busy benched", "a job of another function"]
    assert "box-3" not in page


def test_page_of_a_function_shows_how_long_runs_and_waits_took(fake, viewer, add_figures):
    add_figures("resize", succeeded=10, run_counts=[0] * 9 + [10], wait_counts=[10])

    page = text_of(viewer, QUEUE, name="resize")

    assert "p50 750 ms · p95 975 ms · p99 995 ms" in page
    assert "p50 0.5 ms" in page


def test_page_of_a_function_says_since_when_and_why_it_rests(fake, viewer):
    fake.add_function("resize", (0, 1, 0))
    pause_queues(["resize"], note="disk full")

    page = text_of(viewer, QUEUE, name="resize")

    assert "Paused: nothing of it starts." in page
    assert "<bdi>disk full</bdi>" in page


def test_page_of_a_function_that_nobody_knows_says_so(fake, viewer):
    assert "Nobody knows this function yet." in text_of(viewer, QUEUE, name="nothing")


def test_page_without_a_name_is_the_list(fake, viewer):
    assert viewer.get(QUEUE).headers["Location"] == LIST


def test_page_of_a_function_costs_the_same_however_much_there_is(fake, viewer, django_assert_max_num_queries):
    for number in range(20):
        make_job("failed")
        fake.add_worker(f"box-{number}", "resize")

    with django_assert_max_num_queries(QUEUE_QUERY_LIMIT):
        viewer.get(QUEUE, {"name": "resize"})


def test_queues_are_paused_and_resumed_together(fake, operator):
    answer = operator.post(ACT, {"verb": "pause", "function": ["resize", "mail"], "note": "disk full"}, follow=True)

    assert "2 queues were paused." in answer.content.decode()
    assert {row.function for row in QueueControl.objects.filter(is_paused=True)} == {"resize", "mail"}
    operator.post(ACT, {"verb": "resume", "function": ["resize", "mail"]})
    assert not QueueControl.objects.filter(is_paused=True).exists()


def test_what_was_done_is_in_the_audit_with_its_reason(fake, operator):
    operator.post(ACT, {"verb": "pause", "function": "resize", "note": "disk full"})

    (row,) = OperatorAction.objects.all()
    assert (row.verb, row.target, row.details["note"]) == ("pause_queue", "resize", "disk full")


def test_whoever_came_from_a_page_goes_back_to_it(fake, operator):
    answer = operator.post(ACT, {"verb": "pause", "function": "re/size", "from": "queue"})

    assert answer.headers["Location"] == f"{QUEUE}?name=re%2Fsize"


def test_clearing_asks_first_and_names_the_number(fake, operator):
    fake.add_function("resize", (1, 30, 6))
    job = make_job("waiting", owner="")

    page = operator.post(ACT, {"verb": "clear", "function": "resize"}).content.decode()

    assert "Cancel the 37 jobs of resize that wait?" in page
    assert 'value="Cancel 37 jobs"' in page
    assert 'name="confirmed" value="1"' in page
    assert Job.objects.get(pk=job.pk).status_detail == "waiting"


def test_clearing_cancels_what_waits(operator, settings, dead_address):
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    job = make_job("waiting", owner="")

    answer = operator.post(ACT, {"verb": "clear", "confirmed": "1", "function": "resize"}, follow=True)

    assert "1 job was cancelled." in answer.content.decode()
    assert Job.objects.get(pk=job.pk).status_detail == "cancelled"


@pytest.mark.parametrize(
    ("sent", "words"),
    [({"verb": "pause"}, "No queue is chosen"), ({"verb": "explode", "function": "resize"}, "cannot be done")],
)
def test_what_cannot_be_done_is_said(fake, operator, sent, words):
    assert words in operator.post(ACT, sent, follow=True).content.decode()


@pytest.mark.parametrize("verb", ["pause", "resume", "clear"])
def test_nothing_is_done_by_a_get(fake, operator, verb):
    assert operator.get(ACT, {"verb": verb, "function": "resize", "confirmed": "1"}).status_code == 405
    assert control_of("resize") is None


def test_nothing_is_done_without_the_token(fake, make_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("operator", *ALL_VERBS, is_staff=True))

    assert client.post(ACT, {"verb": "pause", "function": "resize"}).status_code == 403
    assert client.post(f"{LIMITS}?name=resize", {"concurrency": "1"}).status_code == 403


@pytest.mark.parametrize(
    ("verb", "missing"),
    [("pause", "control_queue"), ("resume", "control_queue"), ("clear", "control_queue"), ("clear", "cancel_job")],
)
@pytest.mark.parametrize("confirmed", ["", "1"])
def test_each_verb_takes_its_permission(fake, make_user, login, verb, missing, confirmed):
    client = login(make_user("half", *set(ALL_VERBS) - {missing}, is_staff=True))

    answer = client.post(ACT, {"verb": verb, "function": "resize", "confirmed": confirmed})

    assert answer.status_code == 403
    assert control_of("resize") is None


def test_limits_take_their_permission(fake, make_user, login):
    client = login(make_user("half", "view_job", "control_queue", is_staff=True))

    assert client.get(LIMITS, {"name": "resize"}).status_code == 403
    assert client.post(f"{LIMITS}?name=resize", {"concurrency": "1"}).status_code == 403


@pytest.mark.parametrize("path", [LIST, f"{QUEUE}?name=resize", f"{LIMITS}?name=resize"])
@pytest.mark.parametrize("is_staff", [True, False])
def test_screens_are_for_those_who_may_view_jobs(fake, make_user, login, path, is_staff):
    client = login(make_user("nobody", *set(ALL_VERBS) - {"view_job"}, is_staff=is_staff))

    assert client.get(path).status_code == (403 if is_staff else 302)


def test_viewers_see_no_buttons(fake, viewer):
    fake.add_function("resize", (0, 1, 0))

    for page in (text_of(viewer, LIST), text_of(viewer, QUEUE, name="resize")):
        assert 'name="verb"' not in page
        assert "limits/" not in page


def test_limits_are_shown_and_set(fake, operator):
    change_queue_limits("resize", QueueLimits(max_normal=50, concurrency=4))

    page = text_of(operator, LIMITS, name="resize")
    assert re.search(r'name="max_normal" value="50"', page)
    answer = operator.post(
        f"{LIMITS}?name=resize", {"max_normal": "0", "concurrency": "", "rate": "100", "per_s": "60"}
    )

    assert answer.headers["Location"] == f"{QUEUE}?name=resize"
    assert limits_of("resize") == QueueLimits(max_normal=0, rate=100, per_s=60.0)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({"concurrency": "-1"}, "greater than or equal to 0"),
        ({"rate": "5"}, "A rate needs its time"),
        ({"per_s": "nan"}, "Enter a number"),
        ({"max_high": "99999999999999"}, "less than or equal to"),
    ],
)
def test_impossible_limits_are_refused_in_words(fake, operator, sent, words):
    page = operator.post(f"{LIMITS}?name=resize", sent).content.decode()

    assert words in page
    assert control_of("resize") is None


def test_tabs_lead_to_the_screens_a_user_may_see(fake, viewer, operator):
    tabs = re.findall(r'<li><a href="([^"]*)"( aria-current="\w+")?>', text_of(viewer, QUEUE, name="resize"))

    assert ("/admin/gearjobs/", "") in tabs
    assert (LIST, ' aria-current="true"') in tabs
    assert "/admin/gearjobs/schedule/" not in dict(tabs)


def test_failures_count_leads_to_failures_of_the_last_hour(fake, viewer, add_figures):
    add_figures("resize", failed=2)

    page = text_of(viewer, LIST)

    (since,) = re.findall(r"status=dead[^\"]*finished_after=(\d{4}-\d\d-\d\dT\d\d)", page)
    assert since == f"{timezone.now() - timedelta(hours=1):%Y-%m-%dT%H}"


def test_function_that_nobody_uses_can_be_forgotten(fake, make_user, login):
    fake.add_function("resize")
    client = login(make_user("operator", "view_job", "control_queue", is_staff=True))

    assert 'value="drop"' in client.get(f"{QUEUE}?name=resize").content.decode()
    done = client.post(f"{QUEUE}act/", {"verb": "drop", "function": "resize", "from": "queue"}, follow=True)
    fake.drop_answer = b"ERR there are still connected workers or executing clients\r\n"
    refused = client.post(f"{QUEUE}act/", {"verb": "drop", "function": "resize", "from": "queue"}, follow=True)

    assert "1 queue was forgotten." in done.content.decode()
    assert "Not forgotten: resize, for 127.0.0.1" in refused.content.decode()
    assert refused.redirect_chain[-1][0] == f"{QUEUE}?name=resize"


def test_function_that_is_used_offers_no_forgetting(fake, make_user, login):
    fake.add_function("resize", (0, 1, 0))
    client = login(make_user("operator", "view_job", "control_queue", "add_job", is_staff=True))

    page = client.get(f"{QUEUE}?name=resize").content.decode()

    assert 'value="drop"' not in page
    assert "/admin/gearjobs/job/new/?function=resize" in page
