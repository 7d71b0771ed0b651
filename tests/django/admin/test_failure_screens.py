"""The screens of failures in the Django admin: the groups, one of them, and what is done about them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from gearjobs.admin import failure_page
from gearjobs.admin.screen_links import target_link
from gearjobs.models import BulkOperation, FailureGroup, OperatorAction
from tests.support.job_rows import make_attempt, make_job

pytestmark = pytest.mark.django_db

LIST = "/admin/gearjobs/failuregroup/"
ACT = f"{LIST}act/"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}'&\u202e"
TRACEBACK = """Traceback (most recent call last):
  File "/srv/venv/lib/python3.13/site-packages/gearjobs/tasks/execution.py", line 9, in run
    return call()
  File "/srv/shop/orders.py", line 41, in send
    deliver(order)
  File "/srv/shop/post.py", line 7, in deliver
    raise ConnectionError("no route")
ConnectionError: no route
"""


def make_group(fingerprint: str = "f1", **fields) -> FailureGroup:
    values = {
        "fingerprint": fingerprint,
        "function": "shop.send",
        "task": "shop.send",
        "error_class": "shop.errors.PostClosed",
        "culprit": "shop/post.py in deliver",
        "sample_message": "the post office is closed",
        "count": 7,
        "ended": 3,
        "first_seen_at": timezone.now() - timedelta(hours=3),
        **fields,
    }
    return FailureGroup.objects.create(**values)


@pytest.fixture
def as_viewer(make_user, login):
    return login(make_user("viewer", "view_failuregroup", is_staff=True))


@pytest.fixture
def as_operator(make_user, login):
    codenames = (
        "view_failuregroup", "view_job", "view_payload", "retry_job", "delete_job", "manage_failures",
    )  # fmt: skip
    return login(make_user("operator", *codenames, is_staff=True))


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("permissions", "is_staff"), [((), True), (("view_job",), True), (("view_failuregroup",), False)]
)
@pytest.mark.parametrize("path", [LIST, f"{LIST}f1/", ACT])
def test_without_staff_or_permission_no_screen_is_shown(make_user, login, permissions, is_staff, path):
    make_group()

    response = login(make_user("someone", *permissions, is_staff=is_staff)).get(path)

    assert response.status_code in {302, 403}
    assert response.status_code == 403 or "/login/" in response.headers["Location"]


def test_list_says_what_fails_since_when_and_leads_to_the_jobs(as_viewer):
    make_group()

    page = text_of(as_viewer.get(LIST))

    assert all(
        word in page for word in ("PostClosed", "the post office is closed", "shop/post.py in deliver", "3 h ago")
    )
    assert 'href="/admin/gearjobs/job/?fingerprint=f1"' in page
    assert f'href="{LIST}f1/"' in page


def test_list_without_failures_says_so(as_viewer):
    assert "Nothing has failed." in text_of(as_viewer.get(LIST))


def test_list_leaves_muted_groups_out_until_they_are_asked_for(as_viewer):
    make_group("loud", error_class="Loud")
    make_group("quiet", error_class="Hushed", muted_until=timezone.now() + timedelta(hours=1))

    assert "Hushed" not in text_of(as_viewer.get(LIST))
    assert "Loud" not in text_of(as_viewer.get(LIST, {"muted": "muted"}))
    assert "Hushed" in text_of(as_viewer.get(LIST, {"muted": "all"}))


def test_list_can_be_searched_and_bounded_in_time(as_viewer):
    make_group("new", error_class="Fresh")
    make_group("old", error_class="Stale", last_seen_at=timezone.now() - timedelta(days=2))

    assert "Stale" not in text_of(as_viewer.get(LIST, {"since": "24h"}))
    assert "Fresh" not in text_of(as_viewer.get(LIST, {"q": "stale"}))
    assert "No failure is like that." in text_of(as_viewer.get(LIST, {"q": "\0nothing"}))


def test_list_is_turned_by_a_link_to_older_groups(as_viewer, monkeypatch):
    monkeypatch.setattr(failure_page, "GROUPS_SHOWN", 2)
    now = timezone.now()
    for hours in range(3):
        make_group(f"f{hours}", error_class=f"Error{hours}", last_seen_at=now - timedelta(hours=hours))

    first = as_viewer.get(LIST)
    second = text_of(as_viewer.get(first.context["next_url"]))

    assert "Error2" not in text_of(first)
    assert "Error2" in second
    assert "Error1" not in second


@pytest.mark.parametrize("cursor", ["x", "1.", "99999999999999999.x", "1.\0", "1" * 30])
def test_list_takes_any_cursor(as_viewer, cursor):
    make_group()

    assert as_viewer.get(LIST, {"cursor": cursor}).status_code == 200


def test_list_costs_one_query_a_group_and_a_few(as_viewer, django_assert_max_num_queries):
    for number in range(40):
        make_group(f"f{number}")

    with django_assert_max_num_queries(failure_page.GROUPS_SHOWN + 6):
        as_viewer.get(LIST)


def test_page_shows_the_projects_own_lines_first(as_operator):
    job = make_job("failed", fingerprint="f1", error_traceback=TRACEBACK, error_message="no route")
    make_group(last_job=job.handle)

    page = text_of(as_operator.get(f"{LIST}f1/"))

    assert page.index("<bdi>/srv/shop/post.py</bdi>:7") < page.index("<bdi>/srv/shop/orders.py</bdi>:41")
    assert "<bdi>/srv/venv" not in page
    assert "Whole traceback" in page
    assert job.handle.replace(":", "_3A") in page


def test_page_takes_the_traceback_of_an_attempt_where_the_job_runs_again(as_operator):
    job = make_job("retrying", fingerprint="f1")
    make_attempt(job, error_traceback="Traceback of the attempt")
    make_group(last_job=job.handle)

    assert "Traceback of the attempt" in text_of(as_operator.get(f"{LIST}f1/"))


def test_page_without_payload_permission_shows_neither_traceback_nor_arguments(make_user, login):
    job = make_job("failed", fingerprint="f1", error_traceback="secret-trace", payload=b'{"args": ["secret-call"]}')
    make_group(last_job=job.handle)

    page = text_of(login(make_user("v", "view_failuregroup", "view_job", is_staff=True)).get(f"{LIST}f1/"))

    assert "secret-" not in page
    assert "view_payload" in page


def test_page_whose_jobs_are_gone_is_a_page(as_operator):
    make_group(last_job="H:gone:1", sample_message="", error_class="")

    assert "no message" in text_of(as_operator.get(f"{LIST}f1/"))


@pytest.mark.parametrize("fingerprint", ["nobody", "%00", "x" * 200])
def test_unknown_group_is_not_found(as_viewer, fingerprint):
    assert as_viewer.get(f"{LIST}{fingerprint}/").status_code == 404


def test_page_costs_a_bounded_number_of_queries(as_operator, django_assert_max_num_queries):
    make_group()
    for _ in range(30):
        make_job("failed", fingerprint="f1")

    with django_assert_max_num_queries(16):
        as_operator.get(f"{LIST}f1/")


def test_retry_asks_first_and_names_how_many(as_operator):
    make_group()
    for _ in range(3):
        make_job("failed", fingerprint="f1")

    page = text_of(as_operator.post(ACT, {"fingerprint": "f1", "verb": "retry", "from": "page"}))

    assert "Retry failed jobs of PostClosed (shop.send): 3?" in page
    assert not BulkOperation.objects.exists()


@pytest.mark.parametrize("verb", ["retry", "delete"])
def test_confirmed_verb_starts_an_operation_and_leads_to_it(as_operator, verb):
    make_group()
    make_job("failed", fingerprint="f1")

    response = as_operator.post(ACT, {"fingerprint": "f1", "verb": verb, "confirmed": "1"})

    operation = BulkOperation.objects.get()
    assert (operation.verb, operation.filter, operation.expected) == (verb, {"fingerprint": "f1"}, 1)
    assert response.headers["Location"] == target_link("operation", operation.pk)


def test_several_groups_are_retried_by_an_operation_each(as_operator):
    for fingerprint in ("f1", "f2"):
        make_group(fingerprint)
        make_job("failed", fingerprint=fingerprint)

    page = text_of(as_operator.post(ACT, {"fingerprint": ["f1", "f2"], "verb": "retry"}))
    as_operator.post(ACT, {"fingerprint": ["f1", "f2"], "verb": "retry", "confirmed": "1"})

    assert "2 groups of failures: 2?" in page
    assert BulkOperation.objects.count() == 2


def test_nothing_to_do_is_said(as_operator):
    make_group()

    response = as_operator.post(ACT, {"fingerprint": "f1", "verb": "retry"}, follow=True)

    assert "There is nothing to do" in text_of(response)


def test_group_is_muted_and_shown_again(as_operator):
    make_group()

    as_operator.post(ACT, {"fingerprint": "f1", "verb": "mute", "hours": "1"})
    until = FailureGroup.objects.get().muted_until
    as_operator.post(ACT, {"fingerprint": "f1", "verb": "unmute"})

    assert until is not None
    assert timedelta(minutes=58) < until - timezone.now() < timedelta(minutes=61)
    assert FailureGroup.objects.get().muted_until is None
    assert [action.verb for action in OperatorAction.objects.order_by("pk")] == ["mute", "unmute"]


def test_note_is_kept_and_shown_to_others(as_operator, as_viewer):
    make_group()

    as_operator.post(ACT, {"fingerprint": "f1", "verb": "note", "note": "ask <Berta>", "from": "page"})

    assert "ask &lt;Berta&gt;" in text_of(as_viewer.get(f"{LIST}f1/"))


@pytest.mark.parametrize("verb", ["retry", "delete", "mute", "unmute", "note"])
def test_who_may_only_look_does_nothing(as_viewer, verb):
    make_group()
    make_job("failed", fingerprint="f1")

    response = as_viewer.post(ACT, {"fingerprint": "f1", "verb": verb, "confirmed": "1"})

    assert response.status_code == 403
    assert not BulkOperation.objects.exists()
    assert not OperatorAction.objects.exists()


def test_buttons_are_for_those_who_may(as_viewer, as_operator):
    make_group()

    assert 'value="retry"' not in text_of(as_viewer.get(f"{LIST}f1/"))
    assert 'value="retry"' in text_of(as_operator.get(f"{LIST}f1/"))


@pytest.mark.parametrize("verb", ["", "explode"])
def test_unknown_verb_or_no_group_is_said(as_operator, verb):
    make_group()

    assert "cannot be done" in text_of(as_operator.post(ACT, {"fingerprint": "f1", "verb": verb}, follow=True))
    assert "tick some first" in text_of(as_operator.post(ACT, {"verb": "mute", "fingerprint": "\0"}, follow=True))


def test_actions_need_the_token_and_a_post(make_user):
    make_group()
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("root", is_staff=True, is_superuser=True))

    assert client.post(ACT, {"fingerprint": "f1", "verb": "mute"}).status_code == 403
    assert client.get(ACT).status_code == 405


def test_hostile_texts_are_text(as_operator):
    job = make_job(
        "failed", fingerprint="f1", error_traceback=f'  File "{HOSTILE[2:]}", line 1, in {HOSTILE}\n    {HOSTILE}\n'
    )
    make_group(
        function=HOSTILE, task=HOSTILE, error_class=HOSTILE, culprit=HOSTILE, sample_message=HOSTILE, note=HOSTILE,
        last_job=job.handle,
    )  # fmt: skip

    for response in (as_operator.get(LIST), as_operator.get(f"{LIST}f1/"),
                     as_operator.post(ACT, {"fingerprint": "f1", "verb": "retry"})):  # fmt: skip
        page = text_of(response)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
