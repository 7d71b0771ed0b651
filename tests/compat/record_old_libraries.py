"""Record what python-gearman 2.0.2 and gearman3 do, into `recorded_*.json` beside this file.

    python -m tests.compat.record_old_libraries 2.0.2 <unpacked source of gearman 2.0.2>
    python -m tests.compat.record_old_libraries gearman3 <unpacked source of gearman3 0.2.1>

It needs Python 3.11 (for lib2to3) and Debian's gearmand. The recorded facts are compared with our library by
`test_recorded_libraries.py`, which needs neither the sources nor a network. One run makes one file: a process can hold
one package named `gearman`.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.compat.conftest import running_server
from tests.compat.library_calls import run_calls
from tests.compat.library_stage import Stage
from tests.compat.library_surface import instances_of, modules_of, surface_of
from tests.compat.old_library import load

RECORDED: Final = {
    "2.0.2": Path(__file__).with_name("recorded_python_gearman.json"),
    "gearman3": Path(__file__).with_name("recorded_gearman3.json"),
}


def record(release: str, source: Path) -> None:
    """Try the release against both servers and write down what it showed."""
    with tempfile.TemporaryDirectory() as workshop:
        library = load(source, Path(workshop))
        facts: dict[str, Any] = {
            "surface": {name: surface_of(library, name) for name in modules_of(library)},
            "instances": instances_of(library),
        }
        for kind in ("gearmand", "gearjobs"):
            with running_server(kind, Path(workshop, "server.log")) as address:
                facts[kind] = run_calls(Stage(library, str(address), names_are_bytes=release == "gearman3"))
    # Most answers are the same from both servers.
    facts["gearjobs"] = {name: told for name, told in facts["gearjobs"].items() if told != facts["gearmand"][name]}
    RECORDED[release].write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    record(sys.argv[1], Path(sys.argv[2]))
