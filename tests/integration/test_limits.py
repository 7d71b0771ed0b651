"""Limits and conflicts with the real server: worker processes that share them, and who is told of a taken unique."""

from __future__ import annotations

from pathlib import Path

import pytest

from gearjobs.client.client import Client
from gearjobs.client.requests import job_request, put_in_background
from gearjobs.errors import UniqueConflict
from gearjobs.protocol.attributes import SubmitAttributes
from tests.support.eventually import eventually
from tests.support.job_server import JobServerProcess
from tests.support.running_site import RunningSite

pytestmark = pytest.mark.slow

#: Enqueues jobs of three tasks, those with limits first.
ENQUEUE = """
from tests.support.worker_site.tasks import jot, knock, paint
for task, count in ((paint, 8), (knock, 6), (jot, 20)):
    for _ in range(count):
        task.enqueue({directory!r})
"""
#: Seconds that all of them may take; they need 4.
ALL_TIMEOUT_S = 40.0
#: Seconds that a worker may take between being given a job and noting that it runs.
JITTER_S = 0.5
RAISE = SubmitAttributes(terms={"on_conflict": "raise"})


def spans(site: RunningSite, name: str) -> list[tuple[float, float]]:
    """Begin and end of each run of a task so far, in the order of their begins."""
    file = site.directory / "spans"
    lines = file.read_text(encoding="ascii").splitlines() if file.exists() else []
    words = [line.split() for line in lines]
    return sorted((float(began), float(ended)) for task, began, ended in words if task == name)


def most_at_once(runs: list[tuple[float, float]]) -> int:
    return max(sum(began <= at < ended for began, ended in runs) for at, _ in runs)


def test_limits_hold_over_worker_processes_and_others_go_on(tmp_path: Path):
    with RunningSite(tmp_path) as site:
        site.start_workers(count=4)

        enqueued = site.manage(["shell"], code=ENQUEUE.format(directory=str(tmp_path)))
        assert enqueued.returncode == 0, enqueued.stderr
        counts = {"paint": 8, "knock": 6, "jot": 20}
        eventually(lambda: {name: len(spans(site, name)) for name in counts} == counts, ALL_TIMEOUT_S, "all runs")

        # Four processes could have run four at once, and all in the first second.
        assert most_at_once(spans(site, "paint")) == 2
        knocks = [began for began, _ in spans(site, "knock")]
        assert all(third - first > 2 - JITTER_S for first, third in zip(knocks, knocks[2:], strict=False)), knocks
        assert spans(site, "jot")[-1][1] < min(spans(site, "paint")[-1][0], knocks[-1])


def test_objecting_client_is_told_which_job_has_the_unique(job_server: JobServerProcess):
    with Client([str(job_server.address)]) as client:
        first = client.submit_background("resize", b"", unique="u1", handle="H:me:1", attributes=RAISE)
        with pytest.raises(UniqueConflict) as conflict:
            client.submit_background("resize", b"", unique="u1", handle="H:me:2", attributes=RAISE)
        assert (first, conflict.value.handle) == ("H:me:1", "H:me:1")

        requests = [job_request("resize", b"", unique=unique) for unique in ("u1", "u2")]
        for number, request in enumerate(requests):
            put_in_background(request, handle=f"H:me:many{number}", attributes=RAISE)
        refused, accepted = client.submit_all(requests)
        assert (type(refused), accepted) == (UniqueConflict, "H:me:many1")
