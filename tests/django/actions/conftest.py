"""Fixtures of the actions' tests: job servers that are not there."""

from __future__ import annotations

import pytest

from tests.support.fake_client import FakeClient, client_in_place


@pytest.fixture
def job_server():
    """Whatever is asked of the project's job servers goes to this client."""
    with client_in_place(FakeClient()) as client:
        yield client
