"""docs/python-gearman.md by the letter: its programs run against both servers, and print what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gearjobs.compat import gearman
from tests.compat.working import working
from tests.support.eventually import eventually
from tests.support.job_server import ROOT

#: Seconds a program may take; the machine may be busy.
PROGRAM_TIMEOUT_S = 30.0

_PROGRAM = re.compile(
    r"```python\n# (?P<name>\w+\.py)\n(?P<code>.*?)```(?:\n\n(?:It prints\n\n)?```text\n(?P<said>.*?)```)?", re.DOTALL
)
PROGRAMS = {
    found["name"]: (found["code"], found["said"])
    for found in _PROGRAM.finditer((ROOT / "docs" / "python-gearman.md").read_text(encoding="utf-8"))
}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The page's programs as files."""
    for name, (code, _said) in PROGRAMS.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    return tmp_path


def test_programs_of_the_page_work_together_and_print_what_it_says(directory: Path, server: str):
    admin = gearman.GearmanAdminClient([server])
    with subprocess.Popen(
        [sys.executable, "worker.py", server], cwd=directory, env={"PYTHONPATH": str(ROOT)}
    ) as worker:
        try:
            eventually(lambda: any(line["tasks"] for line in admin.get_workers()), PROGRAM_TIMEOUT_S, "the worker")
            said = {name: _said(directory / name, server) for name in ("client.py", "watch.py")}
            assert worker.poll() is None
        finally:
            worker.kill()

    assert said == {name: PROGRAMS[name][1] for name in said}


def test_programs_about_text_need_an_encoder_alone(server: str):
    page: dict[str, Any] = {}
    exec(PROGRAMS["text.py"][0], page)
    worker = page["TextWorker"]([server])
    worker.register_task("reverse", lambda _worker, job: "größer: " + job.data[::-1])

    with working(worker):
        request = page["TextClient"]([server]).submit_job("reverse", "abc", poll_timeout=PROGRAM_TIMEOUT_S)

    assert request.result == "größer: cba"


def test_page_has_its_programs():
    assert set(PROGRAMS) == {"worker.py", "client.py", "watch.py", "text.py"}


def _said(program: Path, server: str) -> str:
    finished = subprocess.run(
        [sys.executable, program.name, server],
        cwd=program.parent,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
