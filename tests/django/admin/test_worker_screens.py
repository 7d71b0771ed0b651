"""The workers' screen of the admin: who works, at which job, and what they are told."""

from __future__ import annotations

import re
import time

import pytest
from django.test import Client

from gearjobs.admin import worker_page, worker_screen
from gearjobs.errors import ServerUnavailable
from gearjobs.protocol.server_snapshot import RunFigures
from gearjobs.protocol.worker_report import WorkerReport
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

PATH = "/admin/gearjobs/jobserver/workers/"
ACT = f"{PATH}act/"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&"


@pytest.fixture
def as_viewer(make_user, login):
    return login(make_user("viewer", "view_job", is_staff=True))


@pytest.fixture
def as_operator(make_user, login):
    return login(make_user("operator", "view_job", "control_worker", is_staff=True))


@pytest.fixture
def told(monkeypatch):
    """Return what workers were told; nobody listens."""
    found = []

    def tell(worker, verb, *, user):
        found.append((worker, verb, str(user)))
        return 1

    monkeypatch.setattr(worker_screen, "control_workers", tell)
    return found


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def report(**fields) -> WorkerReport:
    values = {"pid": 77, "host": "box", "version": "0.1.0", "group": "mail", "rss_bytes": 64 * 2**20, "jobs_done": 12}
    return WorkerReport(**{**values, **fields})


@pytest.mark.parametrize(("permissions", "is_staff"), [((), True), (("control_worker",), True), (("view_job",), False)])
@pytest.mark.parametrize("method", ["get", "post"])
def test_without_staff_or_permission_no_worker_is_shown(make_user, login, permissions, is_staff, method):
    client = login(make_user("someone", *permissions, is_staff=is_staff))

    response = getattr(client, method)(PATH if method == "get" else ACT, {"verb": "quiet", "worker": "w"})

    assert response.status_code in {302, 403}
    assert response.status_code == 403 or "/login/" in response.headers["Location"]


def test_worker_of_ours_is_shown_with_its_process_and_its_job(as_viewer, fake):
    job = make_job("running")
    run = RunFigures(handle=job.handle, function="resize", started_at=time.time() - 65, attempt=2)
    fake.add_worker("box-1", "resize", runs=(run,), report=report(jobs_failed=3))

    page = text_of(as_viewer.get(PATH))

    assert all(
        word in page for word in ("box-1", "process 77", "group mail", "64.0\xa0MB", "gearjobs 0.1.0", "3 failed")
    )
    assert f'href="/admin/gearjobs/job/{job.handle.replace(":", "_3A")}/change/"' in page
    assert re.search('gearjobs-age">(65 s|66 s|1 min|65|1.1 min)', page)
    assert ">busy</span>" in page
    assert "×2" in page


def test_worker_of_another_program_is_shown_with_what_is_known(as_operator, fake):
    fake.add_worker("-", "resize", benched=("resize",))

    page = text_of(as_operator.get(PATH))

    assert "another program" in page
    assert "without a name" in page
    assert ">benched</span>" in page
    assert 'name="worker"' not in page


def test_clients_are_no_workers(as_viewer, fake):
    fake.add_worker("asker", awaited=2)

    assert "asker" not in text_of(as_viewer.get(PATH))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"state": "quiet"}, ["w-quiet"]),
        ({"state": "busy"}, ["w-busy"]),
        ({"state": "foreign"}, ["w-foreign"]),
        ({"state": "benched"}, ["w-foreign"]),
        ({"q": "BOX2"}, ["w-quiet"]),
        ({"q": "rotate"}, ["w-foreign"]),
        ({"q": "nobody"}, []),
    ],
)
def test_workers_can_be_looked_for(as_viewer, fake, asked, found):
    fake.add_worker("w-busy", "resize", report=report(), runs=(RunFigures(handle="H:1", function="resize"),))
    fake.add_worker("w-quiet", report=report(state="quiet", host="box2"))
    fake.add_worker("w-foreign", "rotate", benched=("rotate",))

    assert [row.client_id for row in as_viewer.get(PATH, asked).context["rows"]] == found


def test_server_that_is_down_is_a_line_and_hides_nothing(as_viewer, fake, dead_address, settings):
    settings.GEARJOBS = {"SERVERS": [dead_address, fake.address]}
    fake.add_worker("box-1", "resize", report=report())

    page = text_of(as_viewer.get(PATH))

    assert dead_address in page
    assert "box-1" in page


def test_no_server_and_no_worker_are_pages(as_viewer, fake, settings, dead_address):
    assert "Start some with manage.py runworkers." in text_of(as_viewer.get(PATH))
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    assert "No job server answers." in text_of(as_viewer.get(PATH))


def test_many_workers_are_cut_and_counted(as_viewer, fake, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(worker_page, "WORKERS_SHOWN", 2)
    for number in range(5):
        fake.add_worker(f"box-{number}", *[f"function-{one}" for one in range(20)], report=report())

    with django_assert_max_num_queries(6):
        page = text_of(as_viewer.get(PATH))

    assert "and 3 more" in page
    assert "5 workers" in page
    assert "and 12 more" in page


def test_worker_is_told_to_rest_and_quiet_one_to_go_on(as_operator, fake, told):
    fake.add_worker("box-1", "resize", report=report())
    fake.add_worker("box-2", report=report(state="quiet"))

    page = text_of(as_operator.get(PATH))
    as_operator.post(ACT, {"worker": "box-1", "verb": "quiet"})
    as_operator.post(ACT, {"worker": "box-2", "verb": "resume"})

    assert page.count('value="quiet"') == 2  # A button, and the choice of the search.
    assert page.count('value="resume"') == 1
    assert told == [("box-1", "quiet", "operator"), ("box-2", "resume", "operator")]


def test_stopping_is_asked_about_first(as_operator, fake, told):
    page = text_of(as_operator.post(ACT, {"worker": "box-1", "verb": "stop"}))
    assert not told
    as_operator.post(ACT, {"worker": "box-1", "verb": "stop", "confirmed": "1"})

    assert "Let the worker box-1 end?" in page
    assert told == [("box-1", "stop", "operator")]


@pytest.mark.parametrize(
    "said", [{"worker": "*", "verb": "quiet"}, {"worker": "", "verb": "quiet"}, {"worker": "w", "verb": "x"}]
)
def test_only_one_worker_and_only_known_words_are_meant(as_operator, fake, told, said):
    assert "That cannot be done to a worker." in text_of(as_operator.post(ACT, said, follow=True))
    assert not told


def test_who_may_only_look_tells_nothing(as_viewer, fake, told):
    fake.add_worker("box-1", "resize", report=report())

    assert as_viewer.post(ACT, {"worker": "box-1", "verb": "quiet"}).status_code == 403
    assert 'name="worker"' not in text_of(as_viewer.get(PATH))
    assert not told


def test_servers_that_refuse_or_are_gone_are_said(as_operator, fake, monkeypatch):
    def fail(worker, verb, *, user):
        raise ServerUnavailable("nobody answers")

    monkeypatch.setattr(worker_screen, "control_workers", fail)

    assert "obody answers" in text_of(as_operator.post(ACT, {"worker": "w", "verb": "quiet"}, follow=True))


def test_acting_needs_a_post_and_the_token(make_user):
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("root", is_staff=True, is_superuser=True))

    assert client.post(ACT, {"worker": "w", "verb": "quiet"}).status_code == 403
    assert client.get(ACT).status_code == 405


def test_hostile_names_are_text(as_operator, fake):
    fake.add_worker(HOSTILE, HOSTILE, report=report(host=HOSTILE, group=HOSTILE, state=HOSTILE, version=HOSTILE))

    for page in (text_of(as_operator.get(PATH)), text_of(as_operator.post(ACT, {"worker": HOSTILE, "verb": "stop"}))):
        assert "<script>alert" not in page
        assert "<img src=x" not in page
