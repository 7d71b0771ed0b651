"""`python -m bench`: measures job servers and libraries of tasks side by side, and prints what it found as Markdown.

With `--write-docs` the tables go into docs/performance.md, section by section as they are done, the charts beside it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.charts import write_svg
from bench.docs_page import PICTURES, write_block
from bench.load import LoadGenerator
from bench.peers import ROOT
from bench.rounds import say
from bench.sections import SECTIONS, Findings, Wish
from bench.services import Services

#: Where `make wheel-compiled` leaves a Python that has the compiled wheel.
COMPILED_PYTHON = ROOT / ".venv-compiled" / "bin" / "python"

#: Load average up to which a machine counts as quiet.
QUIET = 0.5


def main(words: Sequence[str] | None = None) -> int:
    """Measure what the command line asks for."""
    parser = _parser()
    asked = parser.parse_args(words)
    if asked.write_docs and (asked.scenario or asked.peer):
        parser.error("--write-docs writes whole tables: leave --scenario and --peer out")
    with tempfile.TemporaryDirectory() as scratch, Services() as services:
        wish = Wish(
            LoadGenerator(Path(scratch)),
            services,
            rounds=asked.rounds,
            scale=asked.scale,
            scenarios=asked.scenario,
            peers=asked.peer,
            compiled_python=asked.compiled_python,
        )
        if wish.load_average > QUIET:
            say(f"THE MACHINE IS BUSY (load average {wish.load_average:.1f}): the figures will mean little")
        for name in asked.section or SECTIONS:
            began_at = time.monotonic()
            findings = SECTIONS[name](wish)
            say(f"{name}: took {(time.monotonic() - began_at) / 60:.1f} minutes")
            if findings.markdown:
                _tell(name, findings, charts=asked.charts, is_for_docs=asked.write_docs)
    return 0


def _tell(name: str, findings: Findings, *, charts: Path | None, is_for_docs: bool) -> None:
    sys.stdout.write(f"## {name}\n\n{findings.markdown}\n\n")
    sys.stdout.flush()
    folder = PICTURES if is_for_docs else charts
    if folder:
        for chart_name, chart in findings.charts.items():
            write_svg(chart, folder / f"bench-{chart_name}.svg")
    if is_for_docs:
        write_block(name, findings.markdown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--section", action="append", choices=list(SECTIONS), help="only these; may be repeated")
    parser.add_argument(
        "--scenario", action="append", default=[], metavar="PATTERN", help="only these, such as 'echo-*'"
    )
    parser.add_argument(
        "--peer", action="append", default=[], metavar="PATTERN", help="only these, such as 'gearjobs*'"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="readings of each (default: 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="numbers of jobs, as a factor (default: 1)")
    parser.add_argument(
        "--compiled-python",
        default=str(COMPILED_PYTHON) if COMPILED_PYTHON.exists() else "",
        metavar="PATH",
        help="Python that has the compiled wheel (default: that of .venv-compiled, where there is one)",
    )
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="draw charts there")
    parser.add_argument("--write-docs", action="store_true", help="put the results into docs/performance.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
