"""`python -m bench` at the smallest scale: that it runs, not how fast anything is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.database_servers import ROOT
from tests.support.foreign_peers import missing

#: Seconds; the machine may be busy.
RUN_TIMEOUT_S = 180


@pytest.mark.slow
def test_one_scenario_becomes_a_table_and_a_chart(tmp_path: Path):
    if shutil.which("cc") is None:
        missing("there is no C compiler (Debian: gcc), so the load generator was not built")
    options = ["--section", "wire", "--scenario", "submit-1", "--scenario", "echo-1", "--peer", "gearjobs"]

    ended = subprocess.run(
        [sys.executable, "-m", "bench", *options, "--rounds", "1", "--scale", "0.01", "--charts", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "MPLCONFIGDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
    )

    assert ended.returncode == 0, ended.stderr
    assert "NOT MEASURED" not in ended.stderr
    assert "| submit, 1 connection | " in ended.stdout
    assert "| echo 1×1 | " in ended.stdout
    assert (tmp_path / "bench-wire.svg").read_text(encoding="utf-8").startswith("<?xml")
