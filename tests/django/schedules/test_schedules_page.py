"""The code of docs/schedules.md runs, and says what the page says."""

from __future__ import annotations

import re
import sys
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest
from django.core.management import call_command
from django.utils import timezone

from gearjobs.models import Schedule
from gearjobs.tasks import registry
from gearjobs.tasks.schedules.schedule_sync import sync_schedules
from tests.django.schedules.conftest import next_due
from tests.support.fake_client import FakeClient, client_in_place

PAGE = Path(__file__).resolve().parents[3] / "docs" / "schedules.md"
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)

pytestmark = pytest.mark.django_db


def blocks(language: str) -> list[str]:
    return [
        found["code"] for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8")) if found["language"] == language
    ]


@pytest.fixture
def shop(declared, monkeypatch):
    """The module `shop.tasks` of the page, imported."""
    for known in ("_tasks", "_owners"):
        monkeypatch.setattr(registry, known, dict(getattr(registry, known)))
    module = ModuleType("shop.tasks")
    monkeypatch.setitem(sys.modules, "shop", ModuleType("shop"))
    monkeypatch.setitem(sys.modules, "shop.tasks", module)
    exec(blocks("python")[0], module.__dict__)


@pytest.mark.usefixtures("shop")
def test_declarations_are_put_down():
    sync_schedules()

    found = {row.key: (row.cron or row.interval_s, row.time_zone) for row in Schedule.objects.all()}
    assert found == {
        "shop.tasks.clean_up": ("0 3 * * *", "Europe/Berlin"),
        "report-berlin": ("0 8 * * MON-FRI", "Europe/Berlin"),
        "report-tokyo": ("0 8 * * MON-FRI", "Asia/Tokyo"),
        "shop.tasks.fetch_prices": (300, "Europe/Berlin"),
    }
    assert all(next_due(row) > timezone.now() for row in Schedule.objects.all())


@pytest.mark.usefixtures("shop")
def test_schedule_is_made_at_run_time_and_deleted():
    lines = blocks("python")[1].strip().splitlines()
    made: dict[str, object] = {}

    exec("\n".join(lines[:-1]), made)
    row = Schedule.objects.get()
    exec(lines[-1], made)

    assert (row.key, row.args, row.interval_s) == ("report-paris", ["paris"], 86_400)
    assert Schedule.objects.count() == 0


@pytest.mark.usefixtures("shop")
def test_commands_do_what_they_say():
    sync_schedules()
    said = []

    with client_in_place(FakeClient()):
        for line in blocks("sh")[0].splitlines():
            _python, _manage, command, *words = line.partition("#")[0].split()
            out = StringIO()
            call_command(command, *words, stdout=out)
            said.append(out.getvalue())

    assert all(key in said[0] for key in ("report-berlin", "report-tokyo", "shop.tasks.clean_up"))
    assert ("(paused)" in said[1], "(on)" in said[2], "report-tokyo  H:" in said[3]) == (True, True, True)
