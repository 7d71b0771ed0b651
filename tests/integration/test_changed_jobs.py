"""Jobs that are given another place in the line, at a real server with a database: told, written, kept by a kill."""

from __future__ import annotations

import pytest

from gearjobs.aio.async_client import AsyncClient
from gearjobs.client.client import Client
from gearjobs.core.submission import ChangeVerdict
from tests.support.event_loop import in_event_loop
from tests.support.job_server import JobServerProcess

pytestmark = pytest.mark.slow

FAR_AWAY_S = 4_000_000_000.5


def test_job_waits_as_it_was_wanted_last_also_after_a_kill(job_server: JobServerProcess):
    with job_server.peer() as peer:
        handle, other = peer.submit_background(b"resize"), peer.submit_background(b"crop")
    with Client([job_server.address]) as operator:
        # Given: a job that was moved to another function, and put off.
        verdict = operator.change_job(handle, priority=70, run_at=FAR_AWAY_S, function="crop", queue="attic")
        row = job_server.job(handle)
        assert verdict is ChangeVerdict.CHANGED
        assert (row["priority"], row["function"], row["queue"], row["status_detail"], row["version"]) == (
            70,
            "crop",
            "attic",
            "scheduled",
            2,
        )

    # When
    job_server.kill9()
    job_server.restart()

    # Then: it is not due, and first in its new line once it is.
    with job_server.peer() as worker, Client([job_server.address]) as operator:
        worker.can_do(b"crop")
        assert operator.change_job(other, priority=-5) is ChangeVerdict.CHANGED
        assert operator.change_job(handle, run_at=0) is ChangeVerdict.CHANGED
        assert [worker.grab()[0], worker.grab()[0]] == [handle, other]
        assert operator.change_job(handle, priority=0) is ChangeVerdict.STARTED


@in_event_loop
async def test_coroutine_changes_jobs_too(job_server: JobServerProcess):
    with job_server.peer() as peer:
        handle = peer.submit_background(b"resize")

    async with AsyncClient([job_server.address]) as operator:
        assert await operator.change_job(handle, priority=-7) is ChangeVerdict.CHANGED
        assert await operator.change_job("H:nobody", priority=-7) is ChangeVerdict.UNKNOWN

    assert job_server.job(handle)["priority"] == -7
