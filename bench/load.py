"""Builds the load generator (`gearload/gearload.c`) and runs it against a server.

It is C because the generator must never be what is measured: a job costs it a tenth of a microsecond when pipelined.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import Address

SOURCE: Final = Path(__file__).resolve().parent / "gearload" / "gearload.c"
#: Seconds after which a step ends, and what was done by then counts: a slow server gets less work, not more time.
STEP_S: Final = 5
#: Seconds after which what runs beside a step ends by itself, should nobody end it.
BESIDE_S: Final = 600


class LoadError(Exception):
    """The load generator could not be built, or its run says nothing."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What the load generator saw: times in seconds and microseconds."""

    jobs: int
    failed: int
    elapsed_s: float
    cpu_s: float
    p50_us: float
    p99_us: float


class LoadGenerator:
    """The compiled program.

    Args:
        directory: where it is built.

    Raises:
        LoadError: there is no C compiler, or it refused.
    """

    def __init__(self, directory: Path) -> None:
        compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
        if compiler is None:
            raise LoadError("the load generator is C, and there is no compiler: install gcc")
        self._program = directory / "gearload"
        command = [compiler, "-O2", "-std=c11", "-o", str(self._program), str(SOURCE)]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            raise LoadError(f"{SOURCE.name} does not compile: {built.stderr}")

    def run(self, command: str, address: Address, **options: int | str | bool) -> LoadReport:
        """Run `submit` or `work` until its jobs are done, or its seconds over.

        Raises:
            LoadError: it failed, jobs failed, or fewer were done in less time.
        """
        words = self._words(command, address, options)
        ended = subprocess.run(words, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise LoadError(f"{' '.join(words[1:])}: {ended.stderr.strip()}")
        report = LoadReport(**json.loads(ended.stdout))
        wanted, most_s = int(options.get("jobs", 0)), int(options.get("seconds", STEP_S))
        if report.failed or not report.jobs or (report.jobs < wanted and report.elapsed_s < most_s):
            raise LoadError(f"{' '.join(words[1:])}: {report.jobs} of {wanted} jobs, {report.failed} failed")
        return report

    @contextmanager
    def beside(self, command: str, address: Address, **options: int | str | bool) -> Iterator[subprocess.Popen[str]]:
        """Run `work` or `sleep` as long as the block lasts."""
        words = self._words(command, address, {"seconds": BESIDE_S, **options})
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            try:
                yield process
            finally:
                process.terminate()

    def _words(self, command: str, address: Address, options: dict[str, int | str | bool]) -> list[str]:
        words = [str(self._program), command, "--host", address.host, "--port", str(address.port)]
        for name, value in {"seconds": STEP_S, **options}.items():
            if value is True:
                words.append(f"--{name}")
            elif value is not False:
                words += [f"--{name}", str(value)]
        return words
