"""The `sh` blocks of a page of docs/, typed into bash, in a project with a job server.

A line that ends in `# -> text` must print just that text. `python` is the tests' own interpreter, `manage.py` the
project's, and `gearjobs` goes to the same job server. What a page names and a test cannot have, such as a port, is
replaced first.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.documented_shop import Page
from tests.support.running_site import ROOT, RunningSite

#: Seconds a page may take.
PAGE_TIMEOUT_S = 90.0
_PROMISE = re.compile(r"(?P<command>.*\S)  # ->(?: (?P<text>.*))?")
_MANAGE = """\
import sys
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""


def type_page(name: str, site: RunningSite, replaced: Mapping[str, str] | None = None, *, heading: str = "") -> str:
    """Type all blocks of the page, or of one section, one after the other; return what was printed.

    Raises:
        AssertionError: a line failed, or printed something else than it promises.
    """
    (site.directory / "manage.py").write_text(_MANAGE)
    program = site.directory / "bin" / "gearjobs"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m gearjobs.terminal "$@"\n')
    program.chmod(0o755)
    lines = [_checked(line) for line in Page(name, heading=heading).commands]
    script = "\n".join(["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *lines])
    assert lines, f"{name} has nothing to type {heading and 'under ' + heading}"
    for text, other in (replaced or {}).items():
        script = script.replace(text, other)
    environment = {
        **site.environment,
        "PATH": f"{program.parent}:{Path(sys.executable).parent}:{site.environment['PATH']}",
        "GEARMAN_SERVERS": site.address,
        "DJANGO_SETTINGS_MODULE": "tests.support.worker_site.settings",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=site.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PAGE_TIMEOUT_S,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def _checked(line: str) -> str:
    found = _PROMISE.fullmatch(line)
    if found is None:
        return line
    command, text = found["command"], found["text"] or ""
    check = f'[ "$came" = {_quoted(text)} ] || {{ echo {_quoted(command)}": $came"; exit 1; }}'
    return f"came=$({command}); {check}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
