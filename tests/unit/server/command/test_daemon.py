"""Going to the background, tried in processes of their own: who waits for whom, and what becomes of the terminal."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

DETACHING = """
import os, sys
from gearjobs.server.command.daemon import detach
parent, session = os.getpid(), os.getsid(0)
detachment = detach()
child_is_new = os.getpid() != parent and os.getsid(0) != session
os.write(1, b"still on the terminal\\n")
if sys.argv[1] == "dies":
    sys.exit("cannot listen")
with open(sys.argv[2], "w") as report:
    report.write(f"{child_is_new} {os.readlink('/proc/self/fd/0')}")
detachment.complete()
os.write(1, b"not any more\\n")
with open(sys.argv[2], "a") as report:
    report.write(f" {os.readlink('/proc/self/fd/1')} {os.readlink('/proc/self/fd/2')}")
os.rename(sys.argv[2], sys.argv[2] + ".complete")
"""

WITHOUT_STANDARD_FILES = """
import os
for standard in (0, 1, 2):
    os.close(standard)
from gearjobs.server.command.daemon import open_standard_files
open_standard_files()
r, w = os.pipe()
os._exit(0 if min(r, w) > 2 and os.readlink("/proc/self/fd/1") == "/dev/null" else 1)
"""


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=20)


def complete_report(report: Path) -> str:
    complete = report.with_suffix(".complete")
    deadline = time.monotonic() + 20
    while not complete.exists():
        assert time.monotonic() < deadline, "the child has not completed its report within 20 s"
        time.sleep(0.01)
    return complete.read_text()


def test_parent_ends_well_when_the_child_serves_and_the_child_lets_go_of_the_terminal(tmp_path):
    report = tmp_path / "report"

    # Returns only when nobody holds the pipes any more, the child included; which writes its report after that.
    started = run(DETACHING, "serves", str(report))

    assert (started.returncode, started.stdout) == (0, "still on the terminal\n")
    assert complete_report(report) == "True /dev/null /dev/null /dev/null"


def test_parent_ends_badly_when_the_child_does():
    started = run(DETACHING, "dies")

    assert (started.returncode, started.stderr) == (1, "cannot listen\n")


def test_no_socket_becomes_a_standard_file():
    assert run(WITHOUT_STANDARD_FILES).returncode == 0
