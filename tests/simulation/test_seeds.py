"""The simulation's share of the suite: 20,000 seeds on all processors, and what a seed promises.

The seeds run in a process of their own, where no coverage is measured: it would make them five times slower.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.faults import KINDS, PAUSED, draw_plan
from tests.simulation.mutants import MUTANTS
from tests.simulation.one_run import run_seed, shrink

SEEDS = 20_000
#: Several times what they take on two processors, for a machine that is busy.
DEADLINE_S = 900.0


@pytest.mark.slow
def test_no_seed_breaks_an_invariant():
    quiet = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_"))}
    command = [sys.executable, "-m", "tests.simulation", "--seeds", str(SEEDS)]

    done = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=DEADLINE_S)

    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_seed_reproduces_its_run_exactly():
    first, second = run_seed(7), run_seed(7)

    assert (first.journal, first.events) == (second.journal, second.events)


def test_every_kind_of_fault_is_drawn():
    drawn = {fault.kind for seed in range(300) for fault in draw_plan(seed).faults}

    assert drawn == {*KINDS, PAUSED}


def test_failing_seed_is_shrunk_to_the_faults_that_break_it():
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "no grace after a restart")
    seed = next(seed for seed in range(200) if not run_seed(seed, new_habits=mutant.new_habits).is_good)
    whole = run_seed(seed, new_habits=mutant.new_habits)

    small = shrink(seed, new_habits=mutant.new_habits)

    assert not small.is_good
    assert len(small.faults) <= len(whole.faults)
    assert all(fault in whole.faults for fault in small.faults)


def test_report_says_seed_faults_and_what_happened_to_the_job():
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "acknowledged before the commit")

    text = run_seed(0, new_habits=mutant.new_habits).text()

    assert text.startswith("seed 0: ")
    assert "I1 job=" in text
    assert "Promised(" in text
