"""Fixtures of the REST API's tests: nobody has asked for anything yet."""

from __future__ import annotations

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _nothing_asked_yet():
    """Forget how often each user asked: users of different tests may have the same key."""
    cache.clear()
