"""`make demo` as it is typed: the real parts, once through, stopped by Ctrl-C, and with a part that dies.

Every demo has a directory and ports of its own. What the pages look like is tested in `tests/browser`.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.running_demo import ROOT, RunningDemo, demo_command, demo_environment, is_alive

pytestmark = pytest.mark.slow


def test_once_submits_the_album_and_tells_every_job(tmp_path: Path):
    run = _once(tmp_path)

    assert run.returncode == 0, run.stdout + run.stderr
    jobs = re.findall(r"^(H:\S+)  (\S+) +(\w+)  (.*)$", run.stdout, re.MULTILINE)
    assert [status for _, _, status, _ in jobs] == ["SUCCESSFUL"] * 7
    assert sorted(function for _, function, _, _ in jobs) == ["make_contact_sheet"] + ["make_thumbnail"] * 6
    assert "All 7 jobs SUCCESSFUL." in run.stdout
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        rows = database.execute("SELECT handle FROM gearjobs_job WHERE status = 'SUCCESSFUL'").fetchall()
    assert {handle for handle, _, _, _ in jobs} == {handle for (handle,) in rows}


def test_once_fails_loudly_when_a_job_fails(tmp_path: Path):
    _migrate(tmp_path)
    with closing(sqlite3.connect(tmp_path / "db.sqlite3")) as database:
        database.execute(
            "CREATE TRIGGER refuse BEFORE UPDATE OF thumbnail ON album_picture WHEN NEW.title = 'Espresso'"
            " BEGIN SELECT RAISE(ABORT, 'no more coffee'); END"
        )

    run = _once(tmp_path)

    assert run.returncode == 1
    assert re.search(r"make_thumbnail +FAILED  .*no more coffee", run.stdout), run.stdout + run.stderr
    assert "1 of 6 jobs failed." in run.stdout


def test_taken_ports_are_said_and_replaced(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        job_port, web_port = one.getsockname()[1], two.getsockname()[1]
        options = ["--job-server-port", str(job_port), "--web-port", str(web_port)]

        with RunningDemo(tmp_path, options) as demo:
            assert f"Port {job_port} is taken" in demo.output()
            assert f"Port {web_port} is taken" in demo.output()
            assert demo.site


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_asked_to_stop_it_stops_every_part(tmp_path: Path, number: signal.Signals):
    with RunningDemo(tmp_path) as demo:
        children = demo.children()

        code = demo.stop(number)

    assert len(children) >= 5, "job server, supervisor, two workers, gunicorn and its worker were expected"
    assert code == 0, demo.output()
    assert not [pid for pid in children if is_alive(pid)]
    assert re.findall(r"^  ([\w ]+): stopped$", demo.output(), re.MULTILINE) == ["web server", "workers", "job server"]


def test_part_that_dies_ends_the_demo_loudly(tmp_path: Path):
    with RunningDemo(tmp_path) as demo:
        os.kill(int((tmp_path / "log" / "jobserver.pid").read_text()), signal.SIGKILL)

        code = demo.wait()

    assert code == 1
    assert "The demo failed. The job server was killed by signal 9." in demo.output()
    assert "jobserver.log" in demo.output()


def _once(var_dir: Path) -> subprocess.CompletedProcess[str]:
    command = demo_command(var_dir, ["--once"])
    return subprocess.run(command, cwd=ROOT, env=demo_environment(), capture_output=True, text=True, timeout=150)


def _migrate(var_dir: Path) -> None:
    environment = {**demo_environment(), "DEMO_VAR": str(var_dir)}
    subprocess.run([sys.executable, "manage.py", "migrate"], cwd=ROOT, env=environment, check=True, capture_output=True)
