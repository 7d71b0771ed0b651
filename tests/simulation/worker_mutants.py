"""Workers' held work that breaks one rule each; what they are for is said in `mutants`."""

from __future__ import annotations

from gearjobs.worker.grab_loop import GrabLoop
from gearjobs.worker.holding.held_work import HeldRun, HeldWork
from gearjobs.worker.holding.run_lease import RunLease
from gearjobs.worker.holding.server_notices import Renewed


class WorkThatCountsFromAnswers(HeldWork):
    """A renewed lease counts from the answer, which may have been under way for long."""

    def hear(self, grab_loop: GrabLoop, now: float) -> bool:
        for notice in grab_loop._notices:
            if isinstance(notice, Renewed):
                notice.sent_at = now
        return super().hear(grab_loop, now)


class WorkThatKeepsNoOutcome(HeldWork):
    """An outcome is sent once; nobody cares whether it came."""

    def end_run(self, packet: bytes, now: float) -> None:
        handle = b"" if self.run is None else self.run.assignment.handle
        super().end_run(packet, now)
        self.outcomes._remove(handle)


class WorkThatNeverRenews(HeldWork):
    """Nobody is asked whether the run may go on."""

    def speak(self, grab_loop: GrabLoop, now: float) -> None:
        if self.run is not None:
            self.run.lease.renewal_sent(now)
        super().speak(grab_loop, now)


class _LeaseThatBearsSilence(RunLease):
    """The server may be silent for as long as the run could be resumed."""

    @property
    def deadline(self) -> float:
        return self._held_at + self._resume_s


class WorkThatBearsSilence(HeldWork):
    """A silent connection is taken for a good one."""

    def begin_run(self, grab_loop: GrabLoop) -> HeldRun | None:
        run = super().begin_run(grab_loop)
        if run is not None:
            said = run.assignment.attributes
            run.lease = _LeaseThatBearsSilence(grab_loop.grabbed_at, lease_s=said.lease_s, resume_s=said.resume_s)
        return run


class _LeaseWithoutEnd(RunLease):
    """As long as the connection is not silent the run goes on, whoever owns the job."""

    def renewed(self, sent_at: float, *, is_held: bool) -> None:
        super().renewed(sent_at, is_held=True)


class WorkThatIgnoresHeld(HeldWork):
    """That the server does not own the job any more is not heeded."""

    def begin_run(self, grab_loop: GrabLoop) -> HeldRun | None:
        run = super().begin_run(grab_loop)
        if run is not None:
            said = run.assignment.attributes
            run.lease = _LeaseWithoutEnd(grab_loop.grabbed_at, lease_s=said.lease_s, resume_s=said.resume_s)
        return run


class _LeaseThatIsNeverRefused(RunLease):
    """A refusal is not heeded."""

    def refused(self) -> None:
        """Go on."""


class WorkThatIgnoresRefusals(HeldWork):
    """A run goes on although a server said that it is somebody else's."""

    def begin_run(self, grab_loop: GrabLoop) -> HeldRun | None:
        run = super().begin_run(grab_loop)
        if run is not None:
            said = run.assignment.attributes
            run.lease = _LeaseThatIsNeverRefused(grab_loop.grabbed_at, lease_s=said.lease_s, resume_s=said.resume_s)
        return run
