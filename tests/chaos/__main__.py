"""`python -m tests.chaos`, or `make chaos`: real processes, real databases, and all that can go wrong with them.

For each scenario and database: servers, workers and submitters run while the trouble does its worst; then all is left
in peace until the table has come to rest, and the sets of what was promised, executed and recorded are compared. Prints
a table, and on standard error what was broken; the exit code is 1 when a job was lost or an invariant did not hold.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from importlib import import_module
from typing import Final

import django

#: What the table calls each kind.
DATABASES: Final = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mysql": "MariaDB"}
_COLUMNS: Final = (
    "database", "scenario", "servers", "promised", "executed", "recorded", "lost", "repeated", "excused", "broken",
    "slowest start s",
)  # fmt: skip


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each trouble lasts")
    parser.add_argument("--databases", default=",".join(DATABASES), help="which kinds, with commas between")
    parser.add_argument("--scenarios", default="", help="only those whose name has this in it")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="draws what is left to chance")
    asked = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.support.settings"
    django.setup()
    # Has models in it, which cannot be imported before.
    run_scenarios = import_module("tests.chaos.runs").run_scenarios

    _print_row(_COLUMNS)
    _print_row(("---",) * len(_COLUMNS))
    is_good = True
    for kind in asked.databases.split(","):
        for scenario, account in run_scenarios(kind, only=asked.scenarios, seed=asked.seed, lasts_s=asked.seconds):
            figures = (
                account.promised, account.executed, account.recorded, account.lost, account.repeated, account.excused,
                len(account.breaches), f"{account.slowest_start_s:.1f}",
            )  # fmt: skip
            _print_row((DATABASES[kind], scenario.name, scenario.servers, *figures))
            for breach in account.breaches[:10]:
                sys.stderr.write(f"{breach}\n")
            is_good = is_good and account.is_good
    sys.stdout.write(f"\nseed {asked.seed}\n")
    return 0 if is_good else 1


def _print_row(cells: tuple[object, ...]) -> None:
    sys.stdout.write(f"| {' | '.join(map(str, cells))} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
