"""gearjobs.js, the module that follows jobs: its tests are JavaScript (`gearjobs_js.mjs`), run by node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.running_site import ROOT

NODE = shutil.which("node")
STATIC = ROOT / "gearjobs" / "static" / "gearjobs"
#: Seconds for all of them; 5 are usual.
TIMEOUT_S = 90.0

pytestmark = [pytest.mark.slow, pytest.mark.skipif(NODE is None, reason="node is not installed")]


def test_module_follows_jobs_on_sites_of_every_kind(tmp_path: Path) -> None:
    # Without a package.json, node knows a module by its name only.
    module = shutil.copy(STATIC / "gearjobs.js", tmp_path / "gearjobs.mjs")
    environment = {**os.environ, "GEARJOBS_JS": str(module)}
    command = [str(NODE), "--test", str(Path(__file__).with_name("gearjobs_js.mjs"))]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S)

    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert found, done.stdout
    assert int(found[1]) >= 25


@pytest.mark.parametrize("name", ["gearjobs.js", "gear_progress.js"])
def test_module_needs_no_other_and_makes_no_markup(name: str) -> None:
    code = (STATIC / name).read_text(encoding="utf-8")

    assert not re.search(
        r"^import |innerHTML|outerHTML|insertAdjacentHTML|\beval\b|\.cssText|\.style\b", code, re.MULTILINE
    )
