"""The book of operators' actions in the Django admin: who sees it, what it tells, and its export."""

from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest
from django.utils import timezone

from gearjobs.admin import audit_admin
from gearjobs.models import OperatorAction

pytestmark = pytest.mark.django_db

PATH = "/admin/gearjobs/operatoraction/"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'&"


@pytest.fixture
def as_auditor(make_user, login):
    return login(make_user("auditor", "view_operatoraction", is_staff=True))


def note(verb: str = "cancel", **fields) -> OperatorAction:
    values = {"actor": "1", "actor_name": "berta", "target_kind": "queue", "target": "resize", **fields}
    return OperatorAction.objects.create(verb=verb, **values)


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize(
    ("permissions", "is_staff"), [((), True), (("view_job",), True), (("view_operatoraction",), False)]
)
@pytest.mark.parametrize("asked", [{}, {"format": "csv"}])
def test_without_staff_or_permission_the_book_is_closed(make_user, login, permissions, is_staff, asked):
    response = login(make_user("someone", *permissions, is_staff=is_staff)).get(PATH, asked)

    assert response.status_code in {302, 403}
    assert response.status_code == 403 or "/login/" in response.headers["Location"]


def test_action_is_told_with_who_what_where_and_how_many(as_auditor):
    details = {"filter": {"functions": ["resize"], "statuses": ["failed"]}, "operation": "H:bulk:1", "force": False}
    note("bulk_retry", target_kind="job", target="", count=41, address="10.0.0.9", details=details)

    page = text_of(as_auditor.get(PATH))

    assert all(word in page for word in ("berta", "bulk retry", ">41<", "10.0.0.9", "functions: <bdi>resize</bdi>"))
    assert 'href="/admin/gearjobs/bulkoperation/H:bulk:1/"' in page
    assert "force" not in page


def test_target_is_a_link_and_a_command_is_named(as_auditor):
    note("pause_queue", actor="", actor_name="root", outcome="partly")

    page = text_of(as_auditor.get(PATH))

    assert 'href="/admin/gearjobs/queuecontrol/queue/?name=resize"' in page
    assert "by a command" in page
    assert "partly done" in page


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"verb": "retry"}, ["retry"]),
        ({"q": "RESI"}, ["cancel"]),
        ({"q": "anton"}, ["retry"]),
        ({"q": "10.0.0.9"}, ["cancel"]),
        ({"since": "24h"}, ["cancel"]),
        ({"since": "never", "verb": ""}, ["cancel", "retry"]),
        ({"q": "no\0body"}, []),
    ],
)
def test_actions_can_be_looked_for(as_auditor, asked, found):
    note("cancel", address="10.0.0.9")
    note("retry", actor_name="anton", target="", at=timezone.now() - timedelta(days=2))

    assert [row["action"].verb for row in as_auditor.get(PATH, asked).context["rows"]] == found


def test_pages_follow_one_another_also_within_one_moment(as_auditor, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(audit_admin, "ACTIONS_SHOWN", 2)
    now = timezone.now()
    for number in range(3):
        note(f"verb{number}", at=now)

    with django_assert_max_num_queries(8):
        first = as_auditor.get(PATH)
    second = as_auditor.get(first.context["next_url"])

    shown = [row["action"].verb for page in (first, second) for row in page.context["rows"]]
    assert shown == ["verb2", "verb1", "verb0"]
    assert second.context["next_url"] == ""


@pytest.mark.parametrize("cursor", ["x", "1.", "1.x", "99999999999999999.1", "1.\0"])
def test_book_takes_any_cursor(as_auditor, cursor):
    note()

    assert as_auditor.get(PATH, {"cursor": cursor}).status_code == 200


def test_empty_book_is_a_page(as_auditor):
    assert "No operator did anything yet." in text_of(as_auditor.get(PATH))
    assert "No action is like that." in text_of(as_auditor.get(PATH, {"verb": "dance"}))


def test_export_has_no_formula(as_auditor):
    note("cancel", actor_name="=1+1", target="@SUM(A1)", details={"reason": "-2"})
    note("retry")

    answer = as_auditor.get(PATH, {"format": "csv", "verb": "cancel"})
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))

    assert [row["actor_name"] for row in rows] == ["'=1+1"]
    assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in rows[0].values())


@pytest.mark.parametrize("details", [[], ["a"], "text", {"filter": "x"}, {"n": {"deep": [1]}}])
def test_details_of_any_shape_are_shown(as_auditor, details):
    note(details=details)

    assert as_auditor.get(PATH).status_code == 200


def test_hostile_texts_are_text(as_auditor):
    note(HOSTILE[:64], actor_name=HOSTILE, target=HOSTILE, address=HOSTILE[:64], details={HOSTILE: HOSTILE})

    page = text_of(as_auditor.get(PATH))

    assert "<script>alert" not in page
    assert "<img src=x" not in page


def test_nothing_is_changed_by_a_form(as_auditor):
    action = note()

    assert as_auditor.get(f"{PATH}{action.pk}/change/").status_code == 404
    assert as_auditor.get(f"{PATH}add/").status_code == 404
