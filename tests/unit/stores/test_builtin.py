"""The store that keeps nothing."""

from __future__ import annotations

import math

from gearjobs.stores.builtin import BuiltinStore
from tests.support.troubled_store import accepted


def test_nothing_is_kept():
    store = BuiltinStore()

    assert store.commit([accepted(b"H:1")]) == {}

    assert (store.load(), store.adopt(10)) == ([], [])
    store.close()


def test_nobody_can_take_its_jobs_over():
    assert BuiltinStore().renew() == math.inf
