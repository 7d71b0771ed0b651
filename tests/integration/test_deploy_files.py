"""The files in deploy/: systemd's own checker reads the units, and every command line in them is one of ours."""

from __future__ import annotations

import configparser
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support.foreign_peers import missing

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
TIMEOUT_S = 60.0


def unit_values(unit: Path) -> configparser.SectionProxy:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's names are in mixed case
    parser.read(unit, encoding="utf-8")
    return parser["Service"]


def composed() -> dict[str, dict[str, object]]:
    services: dict[str, dict[str, object]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    return services


def is_taken(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    """Run one of our commands in the demo site just so far that its options are read."""
    manage = [sys.executable, str(ROOT / "manage.py"), *command]
    last = {"runjobserver": "--check-args", "runworkers": "--check"}.get(command[0], "--help")
    environ = {**os.environ, "DJANGO_SETTINGS_MODULE": "demo_site.settings", "DEMO_VAR": str(directory)}
    return subprocess.run(
        [*manage, last], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_takes_the_unit(unit, tmp_path):
    if shutil.which("systemd-analyze") is None:
        missing("systemd-analyze is not installed (apt-get install systemd), so no unit was checked")
    for program in ("python", "gunicorn"):
        (tmp_path / program).symlink_to(sys.executable)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text("utf-8").replace("/srv/site/.venv/bin", str(tmp_path)), encoding="utf-8")

    checked = subprocess.run(
        ["systemd-analyze", "verify", str(copy)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )

    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.parametrize("unit", [unit for unit in UNITS if "web" not in unit.name], ids=lambda unit: unit.name)
def test_command_of_the_unit_is_ours(unit, tmp_path):
    words = shlex.split(unit_values(unit)["ExecStart"].replace("%i", "default"))

    done = is_taken(words[words.index("manage.py") + 1 :], tmp_path)

    assert done.returncode == 0, done.stderr


def test_running_jobs_have_their_time_before_systemd_kills():
    workers = unit_values(DEPLOY / "systemd" / "gearjobs-workers@.service")
    stop_s = float(workers["TimeoutStopSec"])
    grace_s = float(str(composed()["workers"]["stop_grace_period"]).removesuffix("s"))

    # GEARJOBS["WORKERS"]["SHUTDOWN_TIMEOUT_S"], and a moment to report.
    assert min(stop_s, grace_s) >= 30.0 + 5.0


@pytest.mark.parametrize("service", ["migrate", "jobserver", "workers"])
def test_command_of_the_container_is_ours(service, tmp_path):
    command = composed()[service]["command"]
    assert isinstance(command, list)

    done = is_taken(command, tmp_path)

    assert done.returncode == 0, done.stderr


def test_job_server_is_reachable_in_the_composition_only():
    services = composed()

    assert "ports" not in services["jobserver"]
    assert services["web"]["ports"] == ["127.0.0.1:8000:8000"]
