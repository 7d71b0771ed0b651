"""`GearmanBackend.check()`: what is wrong with an alias of TASKS, said by `manage.py check`."""

from __future__ import annotations

import pytest

from gearjobs.tasks.backend import GearmanBackend
from gearjobs.tasks.django_tasks import task_backends
from tests.support.fake_client import FakeClient, client_in_place


def reported(options: dict[str, object]) -> list[tuple[str, str]]:
    return [
        (message.id or "", message.msg + (message.hint or ""))
        for message in GearmanBackend("jobs", {"OPTIONS": options}).check()
    ]


def test_good_settings_have_no_report():
    assert reported({"SERVERS": ["a:4730", "[::1]:4731"]}) == []


@pytest.mark.parametrize(
    ("options", "check_id", "words"),
    [
        ({"SERVER": ["a"]}, "gearjobs.E102", 'Did you mean "SERVERS"?'),
        ({"colour": 3}, "gearjobs.E102", "The options are BALANCE, SERVERS."),
        ({"BALANCE": "random"}, "gearjobs.E104", "one of order, unique as BALANCE, got 'random'"),
        ({"SERVERS": ["a:port"]}, "gearjobs.E103", "'a:port'"),
        ({"SERVERS": "a:4730"}, "gearjobs.E103", "list of strings as SERVERS, got 'a:4730'"),
        ({"SERVERS": [4730]}, "gearjobs.E103", "4730"),
    ],
)
def test_wrong_option_is_reported_with_its_remedy(options, check_id, words):
    ((found_id, text),) = reported(options)

    assert found_id == check_id
    assert words in text
    assert "'jobs'" in text


def test_app_that_is_not_installed_is_reported(settings):
    settings.INSTALLED_APPS = [name for name in settings.INSTALLED_APPS if name != "gearjobs"]

    assert [check_id for check_id, _ in reported({})] == ["gearjobs.E101"]


def test_flags_say_what_the_backend_can():
    backend = GearmanBackend("jobs", {})

    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority


def test_closing_all_backends_closes_the_client(settings):
    settings.TASKS = {"default": {"BACKEND": "gearjobs.tasks.backend.GearmanBackend"}}
    with client_in_place(FakeClient()) as client:
        _ = task_backends["default"]

        task_backends.close_all()

    assert client.is_closed
