"""The simulation finds every planted fault: whoever breaks a rule of the design is told by some seed.

Seeds are tried from the first on until one breaks an invariant. That the same seeds break none without the fault is
`test_seeds`' part. A mutant that survives means that the simulation must learn something.
"""

from __future__ import annotations

import pytest

from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.one_run import run_seed

#: Seeds within which each must be caught: some are told by one run in a thousand only.
SEEDS = 4_000


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_mutant_is_caught(mutant: Mutant):
    caught = (seed for seed in range(SEEDS) if not run_seed(seed, new_habits=mutant.new_habits).is_good)

    assert next(caught, None) is not None


def test_there_are_mutants_enough():
    assert len(MUTANTS) >= 30
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
