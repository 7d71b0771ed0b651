"""`jobs_queues`, as it is typed."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from gearjobs.actions import clear_queues as clearing
from gearjobs.actions.change_queue_limits import QueueLimits, limits_of
from gearjobs.actions.live_snapshot import FunctionState, LiveSnapshot, ServerState
from gearjobs.management.commands import jobs_queues
from gearjobs.models import QueueControl
from tests.support.fake_client import FakeClient, client_in_place
from tests.support.job_rows import make_job

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def job_server(monkeypatch):
    monkeypatch.setattr(clearing, "project_servers", lambda: ())
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def live(monkeypatch):
    """What the servers are doing."""
    states = [FunctionState("resize", normal=5, running=2, workers=3, taken_per_s=1.5, throttled=1)]
    live = LiveSnapshot(100.0, [], states, [])
    monkeypatch.setattr(jobs_queues, "live_snapshot", lambda: live)
    return live


def said(*arguments: str) -> list[str]:
    out = io.StringIO()
    call_command("jobs_queues", *arguments, stdout=out, stderr=io.StringIO())
    return out.getvalue().splitlines()


def test_functions_are_listed_with_what_is_said_of_them(live):
    said("pause", "mail", "--note", "provider is down")
    said("limit", "resize", "--concurrency", "4", "--rate", "100/60")

    head, mail, resize = said()

    assert head.split()[:3] == ["FUNCTION", "WAITING", "RUNNING"]
    assert mail.split()[:2] == ["mail", "0"]
    assert mail.endswith("paused (provider is down)")
    assert resize.split()[:5] == ["resize", "5", "2", "0", "3"]
    assert resize.endswith("4 at once, 100 in 60 s, 1 held up by limits")


def test_functions_are_listed_as_json(live):
    live.functions[0].oldest_queued_at = 90.0
    said("limit", "resize", "--max-waiting", "10,20,30")

    (line,) = said("--json")

    told = json.loads(line)
    assert (told["name"], told["normal"], told["is_paused"], told["max_low"]) == ("resize", 5, False, 30)


def test_server_that_is_down_is_named_after_the_others(live):
    live.servers = [ServerState("10.0.0.1:4730", problem="refused")]

    with pytest.raises(CommandError, match=r"10\.0\.0\.1:4730: refused"):
        said()


def test_function_is_paused_and_resumed(job_server):
    assert said("pause", "resize", "mail") == ["2 paused"]
    assert said("pause", "resize") == ["0 paused"]
    assert said("resume", "resize") == ["1 resumed"]
    assert list(QueueControl.objects.filter(is_paused=True).values_list("function", flat=True)) == ["mail"]
    assert job_server.queue_nudges == 2


def test_function_is_cleared():
    make_job("waiting", owner="")

    assert said("clear", "resize") == ["1 jobs cleared"]


def test_jobs_that_could_not_be_cleared_fail_the_command(monkeypatch):
    monkeypatch.setattr(clearing, "project_servers", lambda: ("127.0.0.1:1",))
    make_job("waiting")

    with pytest.raises(CommandError, match=r"0 jobs cleared, 1 could not be: 127\.0\.0\.1:1: "):
        said("clear", "resize")


def test_limit_that_is_not_given_stays():
    said("limit", "resize", "--concurrency", "4", "--max-waiting", "10")
    said("limit", "resize", "--rate", "5")

    assert limits_of("resize") == QueueLimits(max_high=10, max_normal=10, max_low=10, concurrency=4, rate=5, per_s=1.0)


def test_zero_takes_a_limit_away():
    said("limit", "resize", "--concurrency", "4", "--rate", "5/60")

    assert said("limit", "resize", "--concurrency", "0", "--rate", "0") == ["1 limited"]
    assert limits_of("resize") == QueueLimits()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["pause"], "name the functions that are meant: jobs_queues pause FUNCTION"),
        (["limit", "resize"], "say which limit"),
        (["limit", "resize", "--rate", "5/0"], "a rate must have its per_s"),
        (["limit", "resize", "--concurrency", "-1"], "from 0 upwards"),
        (["limit", "resize", "--rate", "fast"], "must be a number"),
        (["limit", "resize", "--rate", "5/soon"], "such as 100/60"),
        (["limit", "resize", "--rate", "5/"], "such as 100/60"),
        (["limit", "resize", "--max-waiting", "1,2"], "one number, or three with commas"),
    ],
)
def test_mistakes_are_told(words, text):
    with pytest.raises(CommandError, match=text):
        said(*words)
