"""Fixtures of the task tests: job servers that are not there."""

from __future__ import annotations

import pytest

from tests.support import sample_tasks
from tests.support.fake_client import FakeClient, client_in_place


@pytest.fixture
def job_server():
    """Whatever is enqueued with no TASKS in the settings goes to this client."""
    with client_in_place(FakeClient()) as client:
        yield client


@pytest.fixture
def remembered():
    """What `sample_tasks.remember` was called with during the test."""
    sample_tasks.remembered.clear()
    return sample_tasks.remembered
