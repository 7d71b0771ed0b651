"""The code of docs/queues.md runs, and does what the page says."""

from __future__ import annotations

import re
import shlex
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from gearjobs.actions import clear_queues, live_snapshot
from gearjobs.actions.change_queue_limits import QueueLimits, limits_of
from gearjobs.models import QueueControl
from tests.support.job_server import running_memory_server

PAGE = Path(__file__).resolve().parents[3] / "docs" / "queues.md"
BLOCK = re.compile(r"```(?P<language>\w+)\n(?P<code>.*?)```", re.DOTALL)

pytestmark = pytest.mark.django_db(transaction=True)


def block(language: str) -> str:
    (code,) = [found["code"] for found in BLOCK.finditer(PAGE.read_text("utf-8")) if found["language"] == language]
    return code


@pytest.fixture(autouse=True)
def one_server(job_server, monkeypatch):
    with running_memory_server() as server:
        for module in (clear_queues, live_snapshot):
            monkeypatch.setattr(module, "project_servers", lambda: (str(server.address),))
        yield server


def test_commands_of_the_page_work():
    for line in block("sh").splitlines():
        words = shlex.split(line.removeprefix("python manage.py "))
        call_command(*words, stdout=StringIO())

    row = QueueControl.objects.get()
    assert (row.function, row.is_paused, row.max_low) == ("shop.tasks.send_mail", False, 1000)


def test_code_of_the_page_works(capsys):
    exec(block("python"), {})

    assert limits_of("shop.tasks.send_mail") == QueueLimits(concurrency=4, rate=100, per_s=60.0)
    assert capsys.readouterr().out.splitlines() == ["0 cleared ()", "[]"]
