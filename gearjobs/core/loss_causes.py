"""What became of lost worker processes, as far as whoever watches them told before the loss was noticed.

The supervisor of a pool knows a process' exit code or signal, the server that its connection broke; either may be the
first to notice. What the supervisor tells first waits here, for runs that are under way only; what it tells later is
recorded for itself (`changes.Explained`).
"""

from __future__ import annotations

from gearjobs.core.jobs import Job, JobHandle


class LossCauses(dict[JobHandle, tuple[int, str]]):
    """The attempt and the cause of each job until its run is over; a dict, for at every end it is asked if any are."""

    def note(self, job: Job, cause: str) -> None:
        """Keep why the present run of a job is about to be lost."""
        self[job.handle] = job.attempt, cause

    def take(self, job: Job) -> str:
        """Return why the run that is over was lost, from now on no more; empty where nobody told."""
        attempt, cause = self.pop(job.handle, (0, ""))
        return cause if attempt == job.attempt else ""
