"""Rows whose submitters heard ERROR are removed, whatever was submitted again meanwhile."""

from __future__ import annotations

from gearjobs.core.jobs import JobHandle
from gearjobs.server.commit.acceptances import GhostRows

JOB = JobHandle(b"H:1")


def test_row_that_a_refused_job_had_claimed_is_removed_after_all():
    # A foreground job was joined in the background twice, refused both times, and its row stayed for ever.
    ghosts = GhostRows()
    ghosts.add(JOB)
    ghosts.discard(JOB)

    ghosts.refuse(JOB)

    assert ghosts.take(9) == [JOB]


def test_row_of_a_job_that_was_kept_stays():
    ghosts = GhostRows()
    ghosts.add(JOB)
    ghosts.discard(JOB)
    ghosts.keep(JOB)

    ghosts.refuse(JOB)

    assert not ghosts


def test_refused_job_that_never_had_a_row_leaves_no_ghost():
    ghosts = GhostRows()
    ghosts.discard(JOB)

    ghosts.refuse(JOB)

    assert not ghosts
