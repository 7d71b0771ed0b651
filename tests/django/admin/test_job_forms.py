"""Pages that enqueue a job, copy one, or let jobs wait otherwise."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.utils import timezone

from gearjobs.admin import job_change
from gearjobs.admin.screen_links import job_link, screen_url
from gearjobs.models import Job, OperatorAction
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.few_tasks import add
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db

LIST = "/admin/gearjobs/job/"
CALL = b'{"args":[1],"kwargs":{"b":2}}'


@pytest.fixture(autouse=True)
def job_server(settings, dead_address):
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def operator(make_user, login):
    return login(make_user("operator", "view_job", "view_payload", "add_job", "retry_job", "change_job", is_staff=True))


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def duplicate_url(job):
    return screen_url("gearjobs_job_duplicate", quote(job.handle))


def edit_url(job):
    return screen_url("gearjobs_job_edit", quote(job.handle))


def make_call(state="failed", **fields):
    return make_job(state, task=add.module_path, function=add.function_name, payload=CALL, owner="", **fields)


def test_task_is_chosen_from_those_of_the_project(operator):
    page = text_of(operator.get(screen_url("gearjobs_job_new")))

    assert screen_url("gearjobs_job_new", function=add.function_name).replace("&", "&amp;") in page


def test_job_of_a_task_is_enqueued_with_typed_arguments(operator):
    url = screen_url("gearjobs_job_new", function=add.function_name)

    form = text_of(operator.get(url))
    response = operator.post(url, {"call-a": "1", "call-b": "2", "priority": "7", "at": "2036-12-24T18:00"})

    job = Job.objects.get()
    assert 'type="number" name="call-a"' in form
    assert response.headers["Location"] == job_link(job.pk)
    assert bytes(job.payload) == b'{"args":[],"kwargs":{"a":1,"b":2}}'
    assert (job.priority, f"{job.run_at:%Y}") == (7, "2036")


def test_what_is_wrong_is_said_beside_its_field_and_nothing_is_enqueued(operator):
    page = text_of(operator.post(screen_url("gearjobs_job_new", function=add.function_name), {"call-a": "one"}))

    assert "Enter a whole number." in page
    assert not Job.objects.exists()


def test_job_of_another_program_is_enqueued_as_a_text(operator):
    url = screen_url("gearjobs_job_new", function="php-<b>")

    assert "php-&lt;b&gt;" in text_of(operator.get(url))
    operator.post(url, {"payload": "raw ü"})

    job = Job.objects.get()
    assert (job.function, bytes(job.payload)) == ("php-<b>", "raw ü".encode())


def test_job_that_cannot_be_is_told_of_on_the_form(operator):
    url = screen_url("gearjobs_job_new", function="f" * 1000)

    assert "errorlist" in text_of(operator.post(url, {"payload": ""}))
    assert not Job.objects.exists()


def test_copy_has_what_was_changed_and_leads_to_the_job(operator):
    job = make_call(priority=3)

    form = text_of(operator.get(duplicate_url(job)))
    response = operator.post(duplicate_url(job), {"call-a": "1", "call-b": "20", "priority": "9"})

    copy = Job.objects.exclude(pk=job.pk).get()
    assert 'value="1"' in form
    assert (bytes(copy.payload), copy.priority) == (b'{"args":[1],"kwargs":{"b":20}}', 9)
    assert response.headers["Location"] == job_link(copy.pk)
    assert duplicate_url(job) in text_of(operator.get(job_link(job.handle)))


def test_copy_of_a_job_that_ran_again_is_a_copy(operator):
    job = make_call(metadata={"gearjobs.retry_of": "H:first:1", "trip": 7})

    operator.post(duplicate_url(job), {"call-a": "1", "call-b": "2"})

    assert Job.objects.exclude(pk=job.pk).get().metadata == {"gearjobs.copy_of": job.handle, "trip": 7}


def test_copy_of_a_text_keeps_its_bytes_where_nothing_is_changed(operator):
    job = make_job("failed", payload=b"a\r\nb\n", owner="")

    operator.post(duplicate_url(job), {"payload": "a\r\nb\r\n"})
    operator.post(duplicate_url(job), {"payload": "c"})

    copies = {bytes(copy.payload) for copy in Job.objects.exclude(pk=job.pk)}
    assert copies == {b"a\r\nb\n", b"c"}


def test_copy_of_what_is_no_text_is_the_same_bytes(operator):
    job = make_job("failed", payload=b"\xff\x00", owner="")

    form = text_of(operator.get(duplicate_url(job)))
    operator.post(duplicate_url(job), {})

    assert 'name="payload"' not in form
    assert bytes(Job.objects.exclude(pk=job.pk).get().payload) == b"\xff\x00"


def test_payload_that_is_no_call_of_its_task_is_a_text(operator):
    job = make_job("failed", task=add.module_path, function=add.function_name, payload=b"[1, 2]", owner="")

    assert "[1, 2]</textarea>" in text_of(operator.get(duplicate_url(job)))


@pytest.mark.parametrize("text", ['{"args":["\\ud800",1]}', '{"kwargs":{"\\udfff":1}}'])
def test_call_with_half_a_character_is_a_text(operator, text):
    job = make_job("failed", task=add.module_path, function=add.function_name, payload=text.encode(), owner="")

    form = operator.get(duplicate_url(job))
    operator.post(duplicate_url(job), {"payload": text})

    assert form.context["form"]["payload"].value() == text
    assert bytes(Job.objects.exclude(pk=job.pk).get().payload) == text.encode()


def test_waiting_job_is_changed_and_stays_the_same_job(operator):
    job = make_call("scheduled", run_at=timezone.now() + timedelta(hours=1))

    form = text_of(operator.get(edit_url(job)))
    at = timezone.localtime(job.run_at).strftime("%Y-%m-%dT%H:%M")
    operator.post(edit_url(job), {"priority": "50", "queue": job.queue, "at": at})

    before = job.run_at
    job.refresh_from_db()
    assert f'value="{at}"' in form
    assert (job.priority, job.run_at) == (50, before)


def test_waiting_job_is_let_go_at_once(operator):
    job = make_call("scheduled", run_at=timezone.now() + timedelta(hours=1))

    operator.post(edit_url(job), {"priority": str(job.priority), "queue": job.queue, "at_once": "on"})

    job.refresh_from_db()
    assert (job.status_detail, job.run_at) == ("waiting", None)


@pytest.mark.parametrize("state", ["failed", "waiting"])
def test_change_that_cannot_be_is_told_of_on_the_form(operator, state):
    job = make_call(state)
    said = {"priority": str(job.priority), "queue": job.queue} if state == "waiting" else {"priority": "99"}

    page = text_of(operator.post(edit_url(job), said))

    assert ("Nothing is changed" if state == "waiting" else "it has ended") in page
    assert not OperatorAction.objects.exists()


@pytest.mark.parametrize(("at", "zone"), [("9999-12-31T23:59", "America/New_York"), ("0001-01-01T00:00", "Asia/Tokyo")])
def test_time_that_not_every_zone_has_is_refused(operator, settings, at, zone):
    settings.TIME_ZONE = zone
    job = make_call("waiting")

    page = text_of(operator.post(edit_url(job), {"priority": "3", "queue": job.queue, "at": at}))

    assert "A time must be in the years 1970 to 9998" in page
    assert not OperatorAction.objects.exists()


def test_ticked_jobs_are_moved_to_another_queue(operator):
    jobs = [make_call("waiting") for _ in range(2)]
    ended = make_call("failed")
    said = {"verb": "change", "scope": "ticked", "handle": [job.handle for job in [*jobs, ended]]}

    form = text_of(operator.post(f"{LIST}act/", said))
    operator.post(f"{LIST}act/", {**said, "confirmed": "1", "queue": "slow"})

    assert "Change 2 jobs that wait" in form
    assert ended.handle not in form
    moved = Job.objects.filter(function=f"{add.function_name}@slow", queue="slow")
    assert {job.pk for job in moved} == {job.pk for job in jobs}


def test_all_that_match_are_changed_as_far_as_a_request_goes(operator, monkeypatch):
    monkeypatch.setattr(job_change, "CHANGED_LIMIT", 2)
    for _ in range(3):
        make_call("waiting")

    said = {"verb": "change", "scope": "all", "said.function": add.function_name}
    form = text_of(operator.post(f"{LIST}act/", said))

    assert "Change 2 jobs that wait" in form
    assert "These are the newest" in form


def test_change_of_many_needs_jobs_that_wait(operator):
    make_call("failed")

    none_ticked = operator.post(f"{LIST}act/", {"verb": "change"}, follow=True)
    all_ended = operator.post(f"{LIST}act/", {"verb": "change", "scope": "all", "said.status": "failed"}, follow=True)
    everything = operator.post(f"{LIST}act/", {"verb": "change", "scope": "all"}, follow=True)

    assert "tick some first" in text_of(none_ticked)
    assert "none of these jobs waits" in text_of(all_ended)
    assert "Say at least one thing" in text_of(everything)


def test_why_jobs_were_not_changed_is_said(operator):
    job = make_call("waiting", unique="one")
    said = {"verb": "change", "scope": "ticked", "handle": job.handle, "confirmed": "1", "queue": "slow"}

    page = text_of(operator.post(f"{LIST}act/", said, follow=True))

    assert "0 jobs were changed." in page
    assert "it has a unique" in page


def test_ticked_jobs_run_again_at_a_time(operator):
    job = make_call("failed")
    said = {"verb": "retry", "scope": "ticked", "handle": job.handle}

    question = text_of(operator.post(f"{LIST}act/", said))
    operator.post(f"{LIST}act/", {**said, "confirmed": "1", "at": "2036-12-24T18:00"})

    assert 'name="at"' in question
    assert f"{Job.objects.exclude(pk=job.pk).get().run_at:%Y}" == "2036"
