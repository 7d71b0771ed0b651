"""A virtual environment for each library of tasks, under `var/bench`: their dependencies have nothing to do with ours.

Made at the first use with the newest releases there are, and kept; removing the directory makes them anew.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

VENVS: Final = Path(__file__).resolve().parent.parent / "var" / "bench" / "venvs"
#: Seconds that an installation may take.
INSTALL_TIMEOUT_S: Final = 600
#: What every one of them gets: the same Django, and the driver of PostgreSQL.
COMMON: Final = ("Django>=5.2,<5.3", "psycopg[binary]>=3.2")

_VERSIONS: Final = """
import sys
from importlib.metadata import version
print(*(f"{name} {version(name)}" for name in sys.argv[1:]), sep=", ")
"""


class VenvError(Exception):
    """A library could not be installed."""


def venv_python(name: str, requirements: Sequence[str]) -> Path:
    """Return the Python that has the library, which is installed if need be.

    Raises:
        VenvError: it could not be installed.
    """
    place = VENVS / name
    python, stamp = place / "bin" / "python", place / "requirements"
    wanted = "\n".join([*COMMON, *requirements])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    _run([sys.executable, "-m", "venv", "--clear", str(place)], name)
    _run([str(python), "-m", "pip", "install", "--quiet", *COMMON, *requirements], name)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def versions(python: Path, packages: Sequence[str]) -> str:
    """Return the versions of installed packages, for the list of settings."""
    told = subprocess.run([str(python), "-c", _VERSIONS, *packages], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def _run(command: Sequence[str], name: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_TIMEOUT_S)
    if ended.returncode:
        raise VenvError(f"{name} could not be installed: {ended.stderr.strip()[-500:]}")
