"""gearjobs' own job server as a peer: `runjobserver` of this tree, or of the compiled wheel, on one of its event loops.

The server chooses its loop by what is installed. To measure the others, the program that starts it hides what would be
chosen: `select.epoll`, and uvloop.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.peers import ROOT, Address, Peer, PeerError, settings_among

#: What hides the loops that would be chosen before this one. asyncio has taken its epoll by then.
_HIDING: Final = {
    "": "",
    "uvloop": "import asyncio, select; del select.epoll",
    "asyncio": "import asyncio, select; del select.epoll; sys.modules['uvloop'] = None",
}
_MANAGE: Final = """
import sys
{hiding}
from django.core.management import execute_from_command_line
sys.argv[0] = "manage.py"
execute_from_command_line()
"""
_VERSION: Final = """
import sys
from gearjobs.core import job_queue
from gearjobs.version import __version__
print("gearjobs", __version__, "on Python", sys.version.split()[0], end="")
print("" if job_queue.__file__.endswith(".py") else ", protocol/ and core/ compiled")
"""


class Gearjobs(Peer):
    """A job server of ours.

    Args:
        name: its column.
        options: after the address.
        python: the interpreter, where it is not this one; it must have the package installed.
        loop: "uvloop" or "asyncio"; the server's own choice where it is empty.
    """

    def __init__(self, name: str, *options: str, python: str = sys.executable, loop: str = "") -> None:
        super().__init__(name)
        self._options = options
        self._python = python
        self._loop = loop

    def why_absent(self) -> str:
        if not Path(self._python).exists():
            return f"there is no {self._python}"
        # Nobody shall take figures of the sources for those of the compiled wheel.
        is_as_told = self._python == sys.executable or "compiled" in self.version()
        return "" if is_as_told else f"{self._python} has gearjobs, but not the compiled wheel"

    def version(self) -> str:
        # Without the sources: of an installed wheel it is asked.
        path = str(ROOT) if self._python == sys.executable else ""
        told = subprocess.run(
            [self._python, "-c", _VERSION],
            capture_output=True,
            text=True,
            check=True,
            cwd="/",
            env={**os.environ, "PYTHONPATH": path},
        )
        loop = self._loop or "the loop it chooses"
        return f"{told.stdout.strip()}, {loop} {settings_among(self._options)}".strip()

    def environment(self, directory: Path) -> dict[str, str]:
        settings = {
            "SECRET_KEY": "bench",
            "INSTALLED_APPS": ["django.contrib.contenttypes", "django.contrib.auth", "gearjobs"],
            "DATABASES": {"default": self.database(directory)},
        }
        return {
            "PYTHONPATH": str(self._import_path(directory)),
            "DJANGO_SETTINGS_MODULE": "bench.noop.site_settings",
            "BENCH_SETTINGS": json.dumps(settings),
        }

    def database(self, directory: Path) -> dict[str, Any]:
        """Return where this server's jobs are, as Django's DATABASES has it."""
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(directory / "jobs.sqlite3")}

    def prepare(self, directory: Path) -> None:
        if "--queue-type=builtin" not in self._options:
            self.migrate(directory)

    def migrate(self, directory: Path) -> None:
        """Make the tables.

        Raises:
            PeerError: they could not be made.
        """
        ended = subprocess.run(
            [*self._manage(), "migrate", "-v", "0"],
            check=False,
            capture_output=True,
            text=True,
            cwd=directory,
            env={**os.environ, **self.environment(directory)},
        )
        if ended.returncode:
            raise PeerError(f"{self.name}: no tables: {ended.stderr[-800:]}")

    def command(self, address: Address, directory: Path) -> Sequence[str]:
        return [
            *self._manage(),
            "runjobserver",
            f"--listen={address.host}",
            f"--port={address.port}",
            "--file-descriptors=20000",
            *self.filled(self._options, directory),
        ]

    def _manage(self) -> Sequence[str]:
        return [self._python, "-c", _MANAGE.format(hiding=_HIDING[self._loop])]

    def _import_path(self, directory: Path) -> Path:
        if self._python == sys.executable:
            return ROOT
        # The package must come from the other interpreter's site-packages, so its sources must not be found before.
        path = directory / "path"
        path.mkdir(exist_ok=True)
        if not (path / "bench").exists():
            (path / "bench").symlink_to(ROOT / "bench")
        return path
