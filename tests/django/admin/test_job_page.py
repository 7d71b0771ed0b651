"""The page of one job: what is done to it there, its trees and tracebacks, and how programs fetch it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.test import Client
from django.utils import timezone

from gearjobs.admin import json_tree
from gearjobs.admin.screen_links import failure_link, job_link
from gearjobs.models import FailureGroup, Job, JobGroup, JobMember, OperatorAction
from tests.support.few_tasks import add
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db

LIST = "/admin/gearjobs/job/"
TRACEBACK = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.13/site-packages/celery/app.py", line 9, in run
    return call()
  File "/srv/shop/orders.py", line 41, in send
    deliver(order)
  File "/srv/shop/post.py", line 7, in deliver
    raise ConnectionError("no route")
ConnectionError: no route
"""
VERBS = ("retry_job", "cancel_job", "delete_job")


@pytest.fixture
def as_operator(make_user, login):
    return login(make_user("operator", "view_job", "view_payload", *VERBS, is_staff=True))


def act(client, job, **said):
    return client.post(f"{LIST}{quote(job.handle)}/act/", said)


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


def page_of(client, job):
    return text_of(client.get(job_link(job.handle)))


def test_failure_from_before_there_were_groups_leads_to_none(as_operator):
    job = make_job("failed", fingerprint="earlier")

    assert failure_link("earlier") not in page_of(as_operator, job)


def test_job_that_failed_runs_again_as_a_new_one(as_operator):
    job = make_job("failed", owner="")

    response = act(as_operator, job, verb="retry")

    new = Job.objects.exclude(pk=job.pk).get()
    assert response.headers["Location"] == job_link(new.handle)
    assert new.metadata["gearjobs.retry_of"] == job.handle
    assert job.handle in page_of(as_operator, new)
    assert OperatorAction.objects.get().verb == "retry"


@pytest.mark.parametrize("verb", ["cancel", "force", "delete"])
def test_what_cannot_be_taken_back_is_asked_first(as_operator, verb):
    job = make_job("succeeded" if verb == "delete" else "running")

    page = text_of(act(as_operator, job, verb=verb))

    assert 'name="confirmed"' in page
    assert "resize" in page
    assert ('name="reason"' in page) == (verb != "delete")
    assert not OperatorAction.objects.exists()


def test_waiting_job_is_cancelled_with_a_reason(as_operator):
    job = make_job("waiting", owner="")

    said = {"verb": "cancel", "confirmed": "1", "reason": "a <mistake>"}
    page = text_of(as_operator.post(f"{LIST}{quote(job.handle)}/act/", said, follow=True))

    job.refresh_from_db()
    assert (job.status_detail, job.cancel_reason) == ("cancelled", "a <mistake>")
    assert "The job was cancelled." in page
    assert "a &lt;mistake&gt;" in page


def test_ended_job_is_deleted_and_the_list_follows(as_operator):
    job = make_job("succeeded")

    response = act(as_operator, job, verb="delete", confirmed="1")

    assert response.headers["Location"] == LIST
    assert not Job.objects.exists()


def test_scheduled_job_is_run_now(as_operator):
    job = make_job("scheduled", owner="", run_at=timezone.now() + timedelta(hours=1))

    act(as_operator, job, verb="run_now")

    job.refresh_from_db()
    assert (job.status_detail, job.run_at) == ("waiting", None)


def test_job_runs_again_at_a_time_that_is_asked_for(as_operator):
    job = make_job("failed", owner="")

    question = text_of(act(as_operator, job, verb="retry_at"))
    act(as_operator, job, verb="retry_at", confirmed="1", at="2036-12-24T18:00")

    new = Job.objects.exclude(pk=job.pk).get()
    assert 'type="datetime-local"' in question
    assert timezone.localtime(new.run_at).isoformat()[:16] == "2036-12-24T18:00"


def test_time_that_is_none_is_refused(as_operator):
    job = make_job("failed", owner="")

    said = {"verb": "retry_at", "confirmed": "1", "at": "tomorrow"}
    page = text_of(as_operator.post(f"{LIST}{quote(job.handle)}/act/", said, follow=True))

    assert "Say when, such as" in page
    assert Job.objects.count() == 1


def test_second_retry_leads_to_the_job_of_the_first(as_operator):
    job = make_job("failed", owner="")
    first = act(as_operator, job, verb="retry")

    second = act(as_operator, job, verb="retry")

    assert second.headers["Location"] == first.headers["Location"]
    assert Job.objects.count() == 2
    job.refresh_from_db()
    assert job.retried_as in page_of(as_operator, job)
    assert 'value="retry"' not in page_of(as_operator, job)


def test_what_cannot_be_done_is_said(as_operator):
    job = make_job("waiting", owner="")

    said = {"verb": "delete", "confirmed": "1"}
    assert "It has not ended" in text_of(as_operator.post(f"{LIST}{quote(job.handle)}/act/", said, follow=True))
    response = as_operator.post(f"{LIST}{quote(job.handle)}/act/", {"verb": "explode"}, follow=True)
    assert "That cannot be done to a job." in text_of(response)


@pytest.mark.parametrize(
    ("verb", "permission"),
    [("retry", "retry_job"), ("run_now", "retry_job"), ("cancel", "cancel_job"), ("delete", "delete_job")],
)
def test_each_verb_takes_its_permission(make_user, login, verb, permission):
    others = {*VERBS} - {permission}
    client = login(make_user("someone", "view_job", *others, is_staff=True))
    job = make_job("scheduled" if verb == "run_now" else "failed", owner="")

    assert act(client, job, verb=verb, confirmed="1").status_code == 403
    assert Job.objects.count() == 1
    assert f'value="{verb}"' not in page_of(client, job)


def test_buttons_are_those_that_fit_the_job(as_operator):
    finished, running = page_of(as_operator, make_job("failed")), page_of(as_operator, make_job("running"))

    assert [verb for verb in ("retry", "run_now", "cancel", "force", "delete") if f'value="{verb}"' in finished] == [
        "retry", "delete",
    ]  # fmt: skip
    assert "/duplicate/" not in finished
    assert [verb for verb in ("retry", "run_now", "cancel", "force", "delete") if f'value="{verb}"' in running] == [
        "cancel", "force",
    ]  # fmt: skip


def test_acting_needs_view_permission_a_post_and_the_token(make_user, login):
    job = make_job("failed")
    path = f"{LIST}{quote(job.handle)}/act/"
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_user("root", is_staff=True, is_superuser=True))

    assert login(make_user("blind", *VERBS, is_staff=True)).post(path, {"verb": "retry"}).status_code == 403
    assert strict.post(path, {"verb": "retry"}).status_code == 403
    assert strict.get(path).status_code == 405


def test_acting_on_a_job_that_is_gone_is_not_found(as_operator):
    assert as_operator.post(f"{LIST}H_3Agone/act/", {"verb": "retry"}).status_code == 404


def test_traceback_begins_with_the_projects_innermost_line(as_operator):
    page = page_of(as_operator, make_job("failed", error_traceback=TRACEBACK))

    assert page.index("<bdi>/srv/shop/post.py</bdi>:7") < page.index("<bdi>/srv/shop/orders.py</bdi>:41")
    assert "<bdi>/srv/venv" not in page
    assert "raise ConnectionError(&quot;no route&quot;)" in page


def test_attempts_have_their_own_tracebacks(as_operator):
    job = make_job("failed", attempt=2)
    make_attempt(job, error_traceback=TRACEBACK)

    assert 'id="traceback-attempt-1"' in page_of(as_operator, job)


def test_json_is_a_tree_and_a_text(as_operator):
    result = b'{"sizes": [1, {"deep": ["<b>", null]}], "name": "a"}'
    page = page_of(as_operator, make_job("succeeded", result=result))

    assert '<details id="tree-result" open>' in page
    assert '<details id="raw-result">' in page
    assert "&quot;&lt;b&gt;&quot;" in page


def test_large_json_is_a_text_alone(as_operator, monkeypatch):
    monkeypatch.setattr(json_tree, "NODE_LIMIT", 5)

    page = page_of(as_operator, make_job("succeeded", result=b'[[1], [2], [3], {"a": [4]}]'))

    assert "tree-result" not in page
    assert "[\n" in page


def test_snippets_name_the_task_and_the_handle(as_operator):
    job = make_job("succeeded", task="shop.tasks.resize", function="shop.tasks.resize")

    page = page_of(as_operator, job)

    assert "from shop.tasks import resize" in page
    assert f"resize.get_result(&#x27;{job.handle}&#x27;)" in page
    assert "curl --user NAME http://testserver/api/jobs/" in page


def test_job_is_shown_as_a_test_without_its_secrets(make_user, login):
    call = b'{"args":[2],"kwargs":{"b":3,"api_token":"canary","odd name":1}}'
    job = make_job("failed", task=add.module_path, function=add.function_name, payload=call, error_message="bad\nsum")

    page = page_of(login(make_user("reader", "view_job", "view_payload", is_staff=True)), job)
    without = page_of(login(make_user("clerk", "view_job", is_staff=True)), job)

    assert "def test_add(gearjobs, db):" in page
    assert "failed: bad sum" in page
    assert "add.enqueue(2, b=3, api_token=&#x27;••••••&#x27;, **{&#x27;odd name&#x27;: 1})" in page
    assert "def test_add" not in without


def test_snippets_have_no_names_that_are_none(as_operator):
    page = page_of(as_operator, make_job("succeeded", task="os; import evil"))

    assert "import os; import evil" not in page
    assert "Job.objects.get(pk=" in page


def test_page_leads_to_failure_group_and_workers(make_user, login):
    stage = JobGroup.objects.create(id="H:group:1", root="H:group:1", kind="group", total=1)
    job = make_job("failed", fingerprint="f1", worker_ids=["w 1"])
    FailureGroup.objects.create(fingerprint="f1", function="resize")
    JobMember.objects.create(job=job, stage=stage)

    page = page_of(login(make_user("v", "view_job", is_staff=True)), job)

    assert 'href="/admin/gearjobs/failuregroup/f1/"' in page
    assert 'href="/admin/gearjobs/job/?worker=w+1"' in page
    assert 'href="/admin/gearjobs/jobgroup/H_3Agroup_3A1/change/"' in page


def test_page_costs_a_bounded_number_of_queries(as_operator, django_assert_max_num_queries):
    job = make_job("failed", attempt=4, enqueued_by="7")
    for number in range(1, 4):
        make_attempt(job, number)

    with django_assert_max_num_queries(14):
        page_of(as_operator, job)
