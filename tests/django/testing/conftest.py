"""Fixtures of the tests of `gearjobs.testing`."""

from __future__ import annotations

import pytest

from tests.support import sample_tasks


@pytest.fixture
def remembered():
    """What `sample_tasks.remember` was called with during the test."""
    sample_tasks.remembered.clear()
    return sample_tasks.remembered


@pytest.fixture(
    params=[
        pytest.param("without database"),
        pytest.param("in a transaction", marks=pytest.mark.django_db),
        pytest.param("outside of one", marks=pytest.mark.django_db(transaction=True)),
    ]
)
def anywhere(request):
    """Run the test where it may use no database, within a transaction, and outside of one."""
    return request.param
