"""Children that are not to outlive their parent; their ends are seen with whole processes in tests/integration."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys
from gearjobs.worker.pool.parent_death import die_with_parent
print(die_with_parent(int(sys.argv[1])))
"""


def child_of(parent_pid: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(parent_pid)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
def test_kernel_takes_the_wish():
    assert child_of(os.getpid()).stdout == "True\n"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells a child of its parent's death")
def test_child_whose_parent_died_before_it_could_wish_ends_at_once():
    ended = child_of(os.getpid() + 1)

    assert (ended.returncode, ended.stdout) == (1, "")
