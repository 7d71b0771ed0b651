"""What a worker holds and what it says of it to its servers: the resumable run at hand, the outcomes not settled.

Pure (sans-IO: it speaks through the grab loops of the connections; `now` is seconds of the worker's lease clock). Who
drives the connections lets it `speak` before each flush and `hear` after each read, and tells it of each connection
that broke. How long the run may go on is `run_lease`'s matter, what becomes of outcomes `kept_outcomes`'; here the two
are brought to the wire: RENEW_JOBS where the run is, RESUME_JOB wherever it may be taken. Whether the run is lost,
`verdict` says; what has to be done then, others do. Jobs that are not resumable (foreground, stock servers) pass it by.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.worker.grab_loop import Assignment, GrabLoop, GrabState
from gearjobs.worker.holding.kept_outcomes import KeptOutcomes
from gearjobs.worker.holding.resume_questions import RUN_PAUSES_S, ResumeQuestions
from gearjobs.worker.holding.run_lease import RunLease, RunVerdict
from gearjobs.worker.holding.server_notices import CancelAsked, Controlled, OutcomeSettled, Renewed, ResumeAnswered


@dataclass(slots=True)
class HeldRun:
    """The run at hand."""

    #: As its server handed the job over.
    assignment: Assignment
    lease: RunLease
    #: Of the connection that leads to the run's server; None while it is looked for.
    grab_loop: GrabLoop | None
    #: What other servers were asked about it.
    questions: ResumeQuestions = field(default_factory=lambda: ResumeQuestions(RUN_PAUSES_S))


class HeldWork:
    """The resumable work of one worker, which runs one job at a time."""

    def __init__(self) -> None:
        #: Outcomes that are not settled.
        self.outcomes = KeptOutcomes()
        #: The run at hand, if it is resumable.
        self.run: HeldRun | None = None
        #: What operators had a server tell the worker, and nobody has looked at yet.
        self.control_verbs: list[str] = []
        #: Cancels that nobody has looked at yet, of the job at hand, begun or not.
        self.cancels: list[CancelAsked] = []

    @property
    def deadline(self) -> float:
        """When the run at hand must have ended unless something new is heard; infinity without one."""
        return math.inf if self.run is None else self.run.lease.deadline

    @property
    def final_deadline(self) -> float:
        """When it must have ended unless a server says that it owns the job; infinity without one."""
        return math.inf if self.run is None else self.run.lease.final_deadline

    @property
    def has_say(self) -> bool:
        """Whether there is anything to say, now or later; seldom between two jobs."""
        return self.run is not None or self.outcomes.is_offering

    @property
    def seeks_server(self) -> bool:
        """Whether the run at hand has no server that surely owns it, or an outcome none that has it."""
        return self.outcomes.is_offering or (self.run is not None and self.run.lease.seeks_server)

    def begin_run(self, grab_loop: GrabLoop) -> HeldRun | None:
        """Hold the job the connection was handed; return None when it is not resumable, and nothing is held."""
        assignment = grab_loop.held()
        lease_s, resume_s = assignment.attributes.lease_s, assignment.attributes.resume_s
        if lease_s <= 0 or resume_s <= 0:
            return None
        self.outcomes.supersede(assignment.handle)
        lease = RunLease(grab_loop.grabbed_at, lease_s=lease_s, resume_s=resume_s)
        self.run = HeldRun(assignment, lease, grab_loop)
        return self.run

    def verdict(self, now: float) -> RunVerdict:
        """Say what is to become of the run at hand."""
        return RunVerdict.GOES_ON if self.run is None else self.run.lease.verdict(now)

    def end_run(self, packet: bytes, now: float) -> None:
        """The run at hand ended: send its outcome where it is, and keep it.

        Args:
            packet: the outcome.
            now: the time; the verdict on the run must be that it goes on.
        """
        run = self._take_run()
        if run.grab_loop is not None:
            run.grab_loop.report_outcome(packet)
        self.outcomes.keep(
            run.assignment.handle,
            run.assignment.attributes.attempt,
            packet=packet,
            resume_s=run.assignment.attributes.resume_s,
            connection=run.grab_loop,
            now=now,
        )

    def lose_run(self) -> GrabLoop | None:
        """Let go of the run at hand, which is lost; return whose connection is to be left, as its server may differ."""
        return self._take_run().grab_loop

    def take_cancels(self, handle: bytes) -> list[CancelAsked]:
        """Return what was said of this job since the last call; what was said of others is of no use any more."""
        cancels, self.cancels = self.cancels, []
        return [one for one in cancels if one.handle == handle]

    def speak(self, grab_loop: GrabLoop, now: float) -> None:
        """Let the connection say what is due now."""
        if not grab_loop.has_extensions:
            return
        if self.run is not None:
            self._speak_of_run(self.run, grab_loop, now)
        if self.outcomes.is_offering:
            for handle, attempt in self.outcomes.to_offer(grab_loop, now):
                grab_loop.resume_job(handle, attempt)

    def hear(self, grab_loop: GrabLoop, now: float) -> bool:
        """Act on what the connection's server said.

        Returns:
            False when the server believes that a run is here which is not: the connection is to be left.
        """
        is_agreed = True
        for notice in grab_loop.take_notices():
            if isinstance(notice, OutcomeSettled):
                self.outcomes.settled(notice.handle, grab_loop)
            elif isinstance(notice, Controlled):
                self.control_verbs.append(notice.verb)
            elif isinstance(notice, CancelAsked):
                if self._is_at_hand(notice.handle, grab_loop):
                    self.cancels.append(notice)
            elif isinstance(notice, Renewed):
                if self.run is not None and self.run.grab_loop is grab_loop:
                    self.run.lease.renewed(notice.sent_at, is_held=notice.is_held)
            elif not self._hear_of_resume(notice, grab_loop, now):
                is_agreed = False
        return is_agreed

    def broke(self, grab_loop: GrabLoop, now: float, *, is_silent: bool) -> None:
        """A connection is gone.

        Args:
            grab_loop: of the connection.
            now: the time.
            is_silent: whether it was given up because nothing was heard, and not closed or reset by the server.
        """
        self.outcomes.broke(grab_loop, now)
        if self.run is not None:
            self.run.questions.broke(grab_loop)
            if self.run.grab_loop is grab_loop:
                self.run.grab_loop = None
                self.run.lease.broke(is_silent=is_silent)

    def due_at(self, grab_loops: Iterable[GrabLoop]) -> float:
        """When there is something to do: to say to one of the connections, or to let go of; infinity for never."""
        able = [one for one in grab_loops if one.has_extensions]
        due_at = self.outcomes.due_at(able)
        if self.run is None:
            return due_at
        due_at = min(due_at, self.run.lease.renewal_due_at, self.run.lease.deadline)
        if self.run.lease.seeks_server:
            seeking = [self.run.questions.due_at(one) for one in able if one is not self.run.grab_loop]
            due_at = min(due_at, *seeking) if seeking else due_at
        return due_at

    def _take_run(self) -> HeldRun:
        if self.run is None:
            raise RuntimeError("no resumable run is held")
        run, self.run = self.run, None
        # It may be handed over again, and that run is not meant.
        self.cancels.clear()
        return run

    def _is_at_hand(self, handle: bytes, grab_loop: GrabLoop) -> bool:
        """Whether the job runs, or was just handed over: what is said of one run late must not end the next."""
        if self.run is not None and self.run.assignment.handle == handle:
            return True
        return grab_loop.assignment is not None and grab_loop.assignment.handle == handle

    def _speak_of_run(self, run: HeldRun, grab_loop: GrabLoop, now: float) -> None:
        if run.grab_loop is grab_loop:
            if now >= run.lease.renewal_due_at:
                grab_loop.renew_jobs(now)
                run.lease.renewal_sent(now)
        elif run.lease.seeks_server and run.questions.ask(grab_loop, now):
            grab_loop.resume_job(run.assignment.handle, run.assignment.attributes.attempt)

    def _hear_of_resume(self, answer: ResumeAnswered, grab_loop: GrabLoop, now: float) -> bool:
        run = self.run
        if run is not None and (run.assignment.handle, run.assignment.attributes.attempt) == (
            answer.handle,
            answer.attempt,
        ):
            self._run_answered(run, answer.verdict, grab_loop)
            return True
        if grab_loop.state is GrabState.WORKING and grab_loop.held().handle == answer.handle:
            # The server speaks of the run that it handed out just now, under the number of an earlier one.
            self.outcomes.supersede(answer.handle)
            return True
        packet = self.outcomes.answered(grab_loop, answer.handle, answer.attempt, verdict=answer.verdict, now=now)
        if packet:
            grab_loop.repeat_outcome(packet)
        return bool(packet) or answer.verdict is not ResumeVerdict.ACCEPTED

    def _run_answered(self, run: HeldRun, verdict: ResumeVerdict, grab_loop: GrabLoop) -> None:
        asked_at = run.questions.answered(grab_loop)
        if asked_at is None:
            return
        if verdict is ResumeVerdict.REFUSED:
            run.lease.refused()
        elif verdict is ResumeVerdict.ACCEPTED:
            if run.grab_loop is not None:
                # Its server has not known for a while whether it still owns the job; now another one does.
                run.grab_loop.let_go()
            grab_loop.take_over(run.assignment)
            run.grab_loop = grab_loop
            run.lease.resumed(asked_at)
