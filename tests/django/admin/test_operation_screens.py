"""Operations on many jobs in the Django admin: who sees which, how far they are, and stopping them."""

from __future__ import annotations

import pytest
from django.utils import timezone

from gearjobs.models import BulkOperation, OperatorAction

pytestmark = pytest.mark.django_db

LIST = "/admin/gearjobs/bulkoperation/"


def make_operation(pk: str = "H:bulk:1", **fields) -> BulkOperation:
    values = {"verb": "retry", "filter": {"fingerprint": "f1"}, "expected": 40, "asked_by": "", **fields}
    return BulkOperation.objects.create(pk=pk, **values)


@pytest.fixture
def as_operator(make_user, login):
    return login(make_user("operator", "retry_job", "view_bulkoperation", is_staff=True))


def text_of(response):
    assert response.status_code == 200
    return response.content.decode()


@pytest.mark.parametrize("path", [LIST, f"{LIST}H:bulk:1/"])
def test_without_a_permission_no_operation_is_shown(make_user, login, path):
    make_operation()

    assert login(make_user("someone", "view_job", is_staff=True)).get(path).status_code == 403


def test_who_asked_sees_their_own_operations_only(make_user, login):
    user = make_user("berta", "retry_job", is_staff=True)
    make_operation("H:bulk:1", asked_by=str(user.pk))
    make_operation("H:bulk:2", asked_by="999")
    client = login(user)

    assert "H%3Abulk%3A2" not in text_of(client.get(LIST))
    assert "berta" in text_of(client.get(f"{LIST}H:bulk:1/"))
    assert client.get(f"{LIST}H:bulk:2/").status_code == 404


def test_page_of_a_running_operation_shows_how_far_it_is_and_refreshes_itself(as_operator):
    make_operation(state="running", done=10, refused=2)

    page = text_of(as_operator.get(f"{LIST}H:bulk:1/"))

    assert 'value="0.300"' in page
    assert "of 40" in page
    assert "data-refresh-ms" in page
    assert "Stop it" in page
    assert 'href="/admin/gearjobs/job/?fingerprint=f1"' in page


def test_page_of_an_operation_that_has_ended_stands_still(as_operator):
    make_operation(state="failed", error="UsageError: no such thing", finished_at=timezone.now())

    page = text_of(as_operator.get(f"{LIST}H:bulk:1/"))

    assert "data-refresh-ms" not in page
    assert "no such thing" in page
    assert "Stop it" not in page


def test_operation_of_unknown_size_shows_no_bar(as_operator):
    make_operation(state="running", done=10, expected=1000, is_more_expected=True)

    page = text_of(as_operator.get(f"{LIST}H:bulk:1/"))

    assert "<progress" not in page
    assert "of more than 1000" in page


def test_operation_is_stopped_by_a_post(as_operator):
    make_operation(state="running")

    assert as_operator.get(f"{LIST}H:bulk:1/stop/").status_code == 405
    page = text_of(as_operator.post(f"{LIST}H:bulk:1/stop/", follow=True))

    assert "It was stopped." in page
    assert BulkOperation.objects.get().state == "stopped"
    assert OperatorAction.objects.get().verb == "stop_bulk"
    assert "It had ended." in text_of(as_operator.post(f"{LIST}H:bulk:1/stop/", follow=True))


def test_stopping_takes_the_permission_of_the_verb(make_user, login):
    make_operation(verb="delete", state="running")
    client = login(make_user("watcher", "view_bulkoperation", "retry_job", is_staff=True))

    assert "Stop it" not in text_of(client.get(f"{LIST}H:bulk:1/"))
    assert client.post(f"{LIST}H:bulk:1/stop/").status_code == 403


def test_list_shows_what_each_is_for_at_a_bounded_cost(as_operator, django_assert_max_num_queries):
    for number in range(60):
        make_operation(f"H:bulk:{number}", filter={"functions": ["resize"], "statuses": ["failed"]}, asked_by="7")

    with django_assert_max_num_queries(8):
        page = text_of(as_operator.get(LIST))

    assert "function: <bdi>resize</bdi>" in page
    assert 'rel="next"' in page


def test_filter_that_cannot_be_read_is_no_error(as_operator):
    make_operation(filter={"what": "ever"})

    assert as_operator.get(f"{LIST}H:bulk:1/").status_code == 200


def test_empty_list_is_a_page(as_operator):
    assert "Nothing was done to many jobs" in text_of(as_operator.get(LIST))
