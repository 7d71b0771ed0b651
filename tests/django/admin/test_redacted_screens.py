"""What is secret is on no screen, in no export and in no fragment of the admin: a canary goes in everywhere."""

from __future__ import annotations

import json

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.template import Context, Template
from django.test import RequestFactory
from django.urls import reverse
from django.utils import timezone

from gearjobs.models import FailureGroup, Job, JobGroup, JobMember, Schedule, ScheduleSource
from gearjobs.tasks.schedules.saved_schedules import create_schedule, spec_columns
from gearjobs.tasks.schedules.schedule_spec import ScheduleSpec
from tests.support.api_tasks import pay
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db

#: In bodies, tracebacks, output and metadata; and in arguments that are masked.
CANARY = "c4n4ry"
SECRET = "s3cr3t"
LIST = "/admin/gearjobs/job/"
SEARCHES = ({"search": f"args.0:{CANARY}"}, {"search": f"meta.note:{CANARY}"})


@pytest.fixture(autouse=True)
def job_server(settings, dead_address):
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def as_reader(make_user, login):
    """Somebody who may do everything but see bodies."""
    known = Permission.objects.filter(content_type__app_label="gearjobs").values_list("codename", flat=True)
    return login(make_user("reader", *(set(known) - {"view_payload"}), is_staff=True))


@pytest.fixture
def as_auditor(make_user, login):
    known = Permission.objects.filter(content_type__app_label="gearjobs").values_list("codename", flat=True)
    return login(make_user("auditor", *known, is_staff=True))


@pytest.fixture
def jobs():
    body = json.dumps({"args": [CANARY], "kwargs": {"password": SECRET}}).encode()
    hidden = {"payload": body, "metadata": {"note": CANARY}, "error_traceback": CANARY, "task": pay.module_path}
    failed = make_job("failed", fingerprint="f1", attempt=2, **hidden)
    make_attempt(failed, error_traceback=CANARY)
    failed.outputs.create(sequence=1, body=CANARY.encode(), streamed_at=timezone.now())
    whole = JobGroup.objects.create(id="H:group:1", root="H:group:1", kind="group", total=3)
    JobMember.objects.create(job=failed, stage=whole)
    FailureGroup.objects.create(fingerprint="f1", function="resize", error_class="a.B", last_job=failed.handle)
    ended = make_job("succeeded", result=json.dumps({"a": [CANARY]}).encode(), **hidden)
    return [failed, ended, make_job("running", **{**hidden, "payload": CANARY.encode()})]


@pytest.fixture
def schedules():
    """One of the admin and one of the code, with a masked argument by place and one by name."""
    spec = ScheduleSpec("0 3 * * *", key="pay", args=[SECRET], kwargs={"password": SECRET})
    rows = [("made", ScheduleSource.ADMIN), ("declared", ScheduleSource.CODE)]
    return [create_schedule(key, spec_columns(pay, spec), source=source) for key, source in rows]


def text_of(response) -> str:
    return b"".join(response).decode()


def addresses_of(jobs: list[Job]) -> list[str]:
    models = ("job", "queuecontrol", "failuregroup", "jobserver", "jobserver/workers", "jobgroup", "operatoraction")
    return [
        "/admin/gearjobs/",
        *(f"/admin/gearjobs/{model}/" for model in (*models, "bulkoperation")),
        "/admin/gearjobs/queuecontrol/queue/?name=resize",
        "/admin/gearjobs/failuregroup/f1/",
        reverse("admin:gearjobs_jobgroup_change", args=[quote("H:group:1")]),
        *(f"{LIST}?format={kind}" for kind in ("csv", "json")),
        "/admin/gearjobs/operatoraction/?format=csv",
        *(
            reverse(f"admin:gearjobs_job_{name}", args=[quote(job.pk)])
            for job in jobs
            for name in ("change", "history")
        ),
    ]


def test_who_may_not_see_payloads_sees_them_nowhere(as_reader, jobs):
    for address in addresses_of(jobs):
        answer = as_reader.get(address)

        assert answer.status_code == 200, address
        shown = text_of(answer)
        assert CANARY not in shown, address
        assert SECRET not in shown, address


def test_canary_is_where_it_may_be_seen(as_auditor, jobs):
    # Else the test above proved nothing.
    pages = [text_of(as_auditor.get(address)) for address in addresses_of(jobs)]

    assert sum(CANARY in page for page in pages) >= len(jobs)
    assert all(pages)


@pytest.mark.parametrize("query", SEARCHES)
@pytest.mark.parametrize("kind", ["", "csv", "json"])
def test_nobody_probes_what_they_may_not_see(as_reader, jobs, query, kind):
    found = text_of(as_reader.get(LIST, {**query, "format": kind}))
    none = text_of(as_reader.get(LIST, {"search": query["search"].replace(CANARY, "elsewise"), "format": kind}))

    assert [job.handle in found for job in jobs] == [job.handle in none for job in jobs]


@pytest.mark.parametrize("verb", ["retry", "delete"])
def test_questions_name_no_secret(as_reader, jobs, verb):
    for path, said in ((f"{LIST}act/", {"scope": "all"}), (f"{LIST}{quote(jobs[0].handle)}/act/", {})):
        shown = text_of(as_reader.post(path, {"verb": verb, **said}, follow=True))

        assert CANARY not in shown
        assert SECRET not in shown


def test_masked_arguments_are_in_no_list_and_no_export(as_auditor, jobs):
    for address in (LIST, f"{LIST}?format=csv", f"{LIST}?format=json", "/admin/gearjobs/failuregroup/f1/"):
        shown = text_of(as_auditor.get(address))

        assert "••••" in shown, address
        assert SECRET not in shown, address


def test_masked_arguments_of_schedules_are_shown_to_nobody(make_user, login, as_auditor, schedules):
    looking = login(make_user("looking", "view_schedule", is_staff=True))
    for schedule in schedules:
        for client in (looking, as_auditor):
            for name in ("change", "history", "delete"):
                shown = text_of(client.get(reverse(f"admin:gearjobs_schedule_{name}", args=[schedule.pk])))
                assert SECRET not in shown, (schedule.key, name)
            shown = text_of(client.get(reverse("admin:gearjobs_schedule_change", args=[schedule.pk])))
            assert "••••" in shown, schedule.key


def form_of(client, schedule: Schedule) -> dict[str, object]:
    """Return what a browser would post of the page as it is."""
    page = client.get(reverse("admin:gearjobs_schedule_change", args=[schedule.pk]))
    shown = page.context["adminform"].form
    values = {name: shown[name].value() for name in shown.fields}
    day, at = timezone.localtime(values.pop("anchor_at")).isoformat().split("T")
    values |= {"anchor_at_0": day, "anchor_at_1": at[:8]}
    return {name: "" if value is None else value for name, value in values.items()}


def test_schedule_that_is_saved_as_it_was_shown_keeps_its_secrets(as_auditor, schedules):
    schedule = schedules[0]

    answer = as_auditor.post(
        reverse("admin:gearjobs_schedule_change", args=[schedule.pk]), {**form_of(as_auditor, schedule), "jitter_s": 9}
    )

    assert answer.status_code == 302
    row = Schedule.objects.get(pk=schedule.pk)
    assert (row.args, row.kwargs, row.jitter_s) == ([SECRET], {"password": SECRET}, 9)


@pytest.mark.parametrize("changes", [{"args": '["••••••", 1]'}, {"kwargs": '{"note": "••••••"}'}, {"task": "other"}])
def test_mask_is_taken_neither_for_a_value_nor_over_to_another_task(as_auditor, schedules, changes):
    schedule = schedules[0]
    # Of the tests, too, and with parameters that are not masked.
    changes = {"task": "tests.support.api_tasks.deliver"} if "task" in changes else changes

    answer = as_auditor.post(
        reverse("admin:gearjobs_schedule_change", args=[schedule.pk]), {**form_of(as_auditor, schedule), **changes}
    )

    assert "stands for a secret" in text_of(answer)
    row = Schedule.objects.get(pk=schedule.pk)
    assert (row.task, row.args, row.kwargs) == (pay.module_path, [SECRET], {"password": SECRET})


def test_bar_on_a_page_of_ones_own_has_none_of_it(jobs):
    page = Template("{% load gear_progress %}{% gear_progress job %}{% gear_progress job signed=True %}")
    request = RequestFactory().get("/")

    for job in jobs:
        shown = page.render(Context({"job": job, "request": request}))
        assert CANARY not in shown
        assert SECRET not in shown
