"""All calls on one library: their names, and running them one after another or as a program.

As a program it tries our library in the mode that the environment says, for a test that compares that mode:
`GEARMAN_COMPAT=gearman3 python -m tests.compat.library_calls 127.0.0.1:4730` prints what they showed.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from gearjobs.compat import gearman
from tests.compat import admin_calls, client_calls, worker_calls
from tests.compat.library_stage import Stage

#: Name of a call -> the call.
CALLS: Final = {call.__name__: call for module in (client_calls, worker_calls, admin_calls) for call in module.CALLS}


def run_calls(stage: Stage) -> dict[str, Any]:
    """Return what each call showed."""
    return {name: stage.outcome(call, stage) for name, call in CALLS.items()}


def run_as_program(server: str) -> None:
    json.dump(run_calls(Stage(gearman, server, names_are_bytes=True)), sys.stdout)


if __name__ == "__main__":
    run_as_program(sys.argv[1])
