"""Wholes in the admin: listed with how far they are, opened to their jobs step by step, and cancelled."""

from __future__ import annotations

import pytest
from django.contrib.admin.utils import quote
from django.urls import reverse

from gearjobs import chain, chord, group
from gearjobs.admin import group_page
from gearjobs.admin.screen_links import group_link
from gearjobs.models import Job, JobGroup, JobStatus, OperatorAction
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.few_tasks import add

LIST = reverse("admin:gearjobs_jobgroup_changelist")
ACT = reverse("admin:gearjobs_jobgroup_act")


@pytest.fixture(autouse=True)
def job_server(settings, dead_address):
    settings.GEARJOBS = {"SERVERS": [dead_address]}
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def whole(db):
    group(add.s(7, 7)).enqueue()
    return chord([add.s(1, 1), add.s(2, 2)], add.s()).enqueue()


@pytest.fixture
def operator(make_user, login):
    return login(make_user("operator", "view_jobgroup", "view_job", "cancel_job", "retry_job", is_staff=True))


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def test_wholes_are_listed_and_not_their_stages(whole, operator):
    page = text_of(operator.get(LIST))

    assert "0 of 3" in page
    assert page.count("gearjobs-progress") == 2


def test_list_is_narrowed_down_to_what_fails(whole, operator):
    JobGroup.objects.filter(pk=whole.id).update(failed=1)

    failed, still_open = (
        text_of(operator.get(LIST, {"state": "failed"})),
        text_of(operator.get(LIST, {"state": "open"})),
    )

    assert (failed.count("gearjobs-progress"), still_open.count("gearjobs-progress")) == (1, 2)
    assert text_of(operator.get(LIST, {"state": "odd"})).count("gearjobs-progress") == 2
    # Those that never started because of it have ended without success, too.
    assert f"group={whole.id.replace(':', '%3A')}&amp;status=FAILED" in failed


def test_list_goes_on_where_a_page_ends(whole, operator, monkeypatch):
    monkeypatch.setattr(group_page, "GROUPS_SHOWN", 1)

    first = operator.get(LIST)
    second = operator.get(first.context["next_url"])

    shown = [one.context["rows"][0].whole.pk for one in (first, second)]
    assert len({*shown}) == 2
    assert second.context["next_url"] == ""


def test_list_looks_at_a_bounded_part_of_the_table(whole, operator, monkeypatch):
    monkeypatch.setattr(group_page, "LOOK_LIMIT", 1)

    newest = JobGroup.objects.order_by("-created_at").values_list("created_at", flat=True)[1]

    assert all(row.whole.created_at >= newest for row in operator.get(LIST).context["rows"])


def test_page_of_a_whole_leads_to_its_jobs_step_by_step(whole, operator):
    response = operator.get(group_link(whole.id))

    page, steps = text_of(response), response.context["steps"]
    for job in Job.objects.filter(membership__stage__root=whole.id):
        assert reverse("admin:gearjobs_job_change", args=[quote(job.pk)]) in page
    assert [(step.total, len(step.rows)) for step in steps] == [(2, 2), (1, 1)]
    assert "Step 2 of 2" in page
    assert "blocked" in page


def test_parts_of_a_nested_whole_are_on_the_steps_that_their_order_gives(db, operator):
    whole = chain(add.s(1, 1), group(chain(add.s(2), add.s(3)), add.s(4)), add.s()).enqueue()

    steps = operator.get(group_link(whole.id)).context["steps"]

    assert [len(step.rows) for step in steps] == [1, 2, 1, 1]


def test_rows_in_a_circle_are_all_shown():
    ring = [JobGroup(id="a", next_stage="b"), JobGroup(id="b", next_stage="a"), JobGroup(id="c")]

    assert group_page.depths(ring) == {"c": 0, "a": 1, "b": 1}


def test_jobs_that_are_left_out_are_counted(whole, operator, monkeypatch):
    monkeypatch.setattr(group_page, "JOBS_SHOWN", 2)

    assert "and 1 more job" in text_of(operator.get(group_link(whole.id)))


def test_value_of_a_whole_is_for_who_may_see_results(whole, operator, make_user, login):
    jobs = Job.objects.filter(membership__stage__root=whole.id)
    jobs.update(result=b'{"sizes": [1, {"deep": 2}]}', status=JobStatus.SUCCESSFUL, status_detail="succeeded")
    JobGroup.objects.filter(pk=whole.id).update(succeeded=3, finished_at="2026-11-21T12:00:00Z")
    reader = login(make_user("reader", "view_jobgroup", "view_job", "view_payload", is_staff=True))

    assert "tree-value" in text_of(reader.get(group_link(whole.id)))
    assert "tree-value" not in text_of(operator.get(group_link(whole.id)))


def test_whole_whose_results_are_gone_has_no_value(whole, make_user, login):
    Job.objects.filter(membership__stage__root=whole.id).delete()
    JobGroup.objects.filter(pk=whole.id).update(succeeded=3, finished_at="2026-11-21T12:00:00Z")
    reader = login(make_user("reader", "view_jobgroup", "view_job", "view_payload", is_staff=True))

    assert "tree-value" not in text_of(reader.get(group_link(whole.id)))


def test_whole_is_cancelled_after_a_question_that_names_the_number(whole, operator):
    question = text_of(operator.post(ACT, {"group": whole.id}))
    assert not OperatorAction.objects.exists()

    response = operator.post(ACT, {"group": whole.id, "confirmed": "1"})

    assert "Cancel the 3 jobs of this group that have not ended?" in question
    assert response.headers["Location"] == group_link(whole.id)
    assert not Job.objects.filter(membership__stage__root=whole.id).exclude(status_detail="cancelled").exists()
    assert OperatorAction.objects.get().target == whole.id


def test_retry_of_what_failed_is_asked_by_the_job_list(whole, operator):
    (job, *_) = Job.objects.filter(membership__stage__root=whole.id)
    Job.objects.filter(pk=job.pk).update(status=JobStatus.FAILED, status_detail="failed", finished_at=job.enqueued_at)
    JobGroup.objects.filter(pk=whole.id).update(failed=1)

    page = text_of(operator.get(group_link(whole.id)))
    said = {"verb": "retry", "scope": "all", "said.group": whole.id}
    question = text_of(operator.post(reverse("admin:gearjobs_job_act_many"), said))

    assert f'name="said.group" value="{whole.id}"' in page
    assert "Retry failed jobs: 1?" in question


def test_nobody_looks_at_a_whole_that_is_none(operator, db):
    assert operator.get(group_link("H:none:1")).status_code == 404
    assert operator.get(group_link("H:none:1") + "x").status_code == 404
    assert operator.post(ACT, {"group": "a\0b"}).status_code == 404


def test_wholes_are_for_their_own_permission(whole, make_user, login):
    assert login(make_user("clerk", "view_job", is_staff=True)).get(LIST).status_code == 403


def test_pages_ask_few_questions(whole, operator, django_assert_max_num_queries):
    with django_assert_max_num_queries(8):
        operator.get(group_link(whole.id))
    with django_assert_max_num_queries(6):
        operator.get(LIST)


def test_jobs_of_a_whole_are_for_who_may_see_jobs(whole, make_user, login):
    client = login(make_user("clerk", "view_jobgroup", is_staff=True))

    page = text_of(client.get(group_link(whole.id)))

    assert "0 of 3" in page
    assert "Step 1 of 2" in page
    assert all(job.pk not in page for job in Job.objects.all())
