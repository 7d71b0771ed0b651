"""The demo as a child process of a test: started as `make demo` starts it, in a directory and on ports of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.eventually import eventually

ROOT = Path(__file__).resolve().parent.parent.parent
#: Seconds; the demo's own time limits are shorter and say more.
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 60.0

_DEMO_VARIABLES = {"DATABASE_URL", "DEMO_VAR", "GEARJOBS_SERVERS", "DJANGO_SETTINGS_MODULE", "SECRET_KEY"}


def demo_command(var_dir: Path, options: Iterable[str] = ()) -> list[str]:
    """Return the command that `make demo` runs; free ports are taken unless `options` name some."""
    ports = ["--web-port", "0", "--job-server-port", "0"]
    return [sys.executable, "-m", "demo_site.rundemo", "--var", str(var_dir), *ports, *options]


def demo_environment() -> dict[str, str]:
    """Return this process's environment without what would lead the demo elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in _DEMO_VARIABLES}


class RunningDemo:
    """A demo that runs until it is stopped; at the end of the block it surely is.

    Args:
        var_dir: where it keeps what it writes.
        options: further options of its command line.
    """

    def __init__(self, var_dir: Path, options: Sequence[str] = ()) -> None:
        self._log = var_dir / "rundemo.log"
        self._command = demo_command(var_dir, options)

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=demo_environment(), stdout=output, stderr=subprocess.STDOUT
            )
        try:
            eventually(self._is_up, timeout_s=START_TIMEOUT_S, what="the demo to be up")
        except BaseException:
            self.stop(signal.SIGTERM)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self.stop(signal.SIGTERM)

    @property
    def site(self) -> str:
        """Address of the site, as the demo printed it."""
        return self._printed(r"Album +(\S+)")

    @property
    def password(self) -> str:
        """The password of the users `admin` and `demo`, as the demo printed it."""
        return self._printed(r"(?m)^ +demo +(\S+)")

    def output(self) -> str:
        """Return what the demo printed so far."""
        return self._log.read_text(encoding="utf-8")

    def children(self) -> list[int]:
        """Return the process ids of everything the demo started, its children's children too."""
        return _descendants(self._process.pid)

    def stop(self, number: signal.Signals) -> int:
        """Send the signal; return the exit code."""
        self._process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait until the demo ends by itself; return its exit code."""
        return self._process.wait(STOP_TIMEOUT_S)

    def _is_up(self) -> bool:
        assert self._process.poll() is None, self.output()
        return "Ctrl-C stops everything." in self.output()

    def _printed(self, pattern: str) -> str:
        found = re.search(pattern, self.output())
        assert found, self.output()
        return found[1]


def is_alive(pid: int) -> bool:
    """Return whether a process runs under that id; one that has ended and was not yet looked after does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _descendants(pid: int) -> list[int]:
    parents = dict(_pids_with_parents())
    found = [pid]
    for ancestor in found:
        found += [child for child, parent in parents.items() if parent == ancestor]
    return found[1:]


def _pids_with_parents() -> Iterator[tuple[int, int]]:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            # The name in brackets may hold spaces: what counts stands behind it.
            yield int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
