"""Fixtures for pytest, an entry point: `gearjobs`, `gearjobs_immediate`, `gearjobs_server` and `gearjobs_worker`.

pytest imports this module in every run of an environment that has gearjobs installed. So nothing is imported here but
pytest and, when a fixture is first asked for, what it needs; in a project without Django it costs a millisecond and
changes nothing. How to use the fixtures: docs/testing.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gearjobs.testing.job_capture import JobCapture
    from gearjobs.testing.server_thread import JobServerThread
    from gearjobs.testing.worker_thread import WorkerThread


@pytest.fixture
def gearjobs() -> Iterator[JobCapture]:
    """What the test enqueues, caught: it is looked at and run by this object, and goes to no job server."""
    with import_module("gearjobs.testing.job_capture").JobCapture() as capture:
        yield capture


@pytest.fixture
def gearjobs_immediate(gearjobs: JobCapture) -> Iterator[JobCapture]:
    """Caught jobs that run at once, those enqueued in a transaction at its commit."""
    with gearjobs.immediate():
        yield gearjobs


@pytest.fixture
def gearjobs_server(transactional_db: None) -> Iterator[JobServerThread]:
    """A real job server on a free port and on the test's database, to which this process enqueues."""
    with import_module("gearjobs.testing.server_thread").JobServerThread() as server:
        yield server


@pytest.fixture
def gearjobs_worker(gearjobs_server: JobServerThread) -> Iterator[WorkerThread]:
    """A real worker of `gearjobs_server` that runs this project's tasks."""
    with import_module("gearjobs.testing.worker_thread").WorkerThread(gearjobs_server.address) as worker:
        yield worker
