"""A GroupCommit with a MemoryStore behind it, on a clock that the test moves: no loop, no thread.

What the tests of `server/commit/group_commit` share. A reply is a text; what it became is in `said`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gearjobs.core.changes import Accepted, Change
from gearjobs.core.jobs import JobHandle
from gearjobs.errors import StoreError
from gearjobs.server.commit.batch_commit import Verdict, commit_batch
from gearjobs.server.commit.commit_steps import AdoptStep, CommitRules, CommitStep, Ruling, Step
from gearjobs.server.commit.group_commit import GroupCommit
from tests.support.troubled_store import TroubledStore, accepted

JOB: Final = JobHandle(b"H:1")
#: Seconds that the lease of a store lasts, where it does not last for ever.
LEASE_S: Final = 10.0


@dataclass(slots=True)
class HeldText:
    """A reply that waits."""

    text: bytes
    is_wanted: bool = True


class CommitDesk:
    """Drives a GroupCommit as the server does, one step at a time."""

    def __init__(self, rules: CommitRules | None = None, *, lease_s: float = float("inf")) -> None:
        self.now = 1_000.0
        self.store = TroubledStore()
        self.store.lease_s = lease_s
        self.group: GroupCommit[HeldText] = GroupCommit(rules or CommitRules())
        self.group.lease.renewed(self.store.renew(), asked_at=self.now)
        #: What was sent, in order.
        self.said: list[bytes] = []
        self.rulings: list[Ruling[HeldText]] = []

    def submit(self, handle: bytes = JOB, *, payload: bytes = b"photo") -> HeldText:
        """Do what the server does with a background submit."""
        reply = HeldText(b"created " + handle)
        self.group.hold_created(JobHandle(handle), reply, now=self.now)
        self.record(accepted(handle, payload=payload))
        return reply

    def record(self, change: Change) -> None:
        self.group.record(change, now=self.now)

    def begin(self) -> Step:
        """Return the next step, which must be due."""
        step = self.group.next_step(self.now)
        assert step is not None, "expected a step to be due"
        return step

    def begin_commit(self) -> list[Change]:
        """Return the next batch, which must be due."""
        step = self.begin()
        assert isinstance(step, CommitStep)
        return step.batch

    def end(self, verdict: Verdict) -> Ruling[HeldText]:
        """Tell what became of the batch."""
        return self._note(self.group.settle(verdict, now=self.now))

    def go(self) -> None:
        """Carry out every step that is due, now."""
        while (step := self.group.next_step(self.now)) is not None:
            try:
                if isinstance(step, CommitStep):
                    self.end(commit_batch(self.store, step.batch))
                elif isinstance(step, AdoptStep):
                    self.group.adopted(self.store.adopt(step.limit))
                else:
                    self.group.renewed(self.store.renew(), now=self.now)
            except StoreError as error:
                self.group.failed(error, now=self.now)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and do what is due at its end."""
        self.now += seconds
        self._note(self.group.tick(self.now))

    def refused(self) -> list[JobHandle]:
        """Return every job that the queue was told to forget."""
        return [change.handle for ruling in self.rulings for change in ruling.refused]

    def committed(self) -> list[Change]:
        """Return every change that the queue was told of."""
        return [change for ruling in self.rulings for change in ruling.committed]

    def _note(self, ruling: Ruling[HeldText]) -> Ruling[HeldText]:
        self.said += [reply.text for reply in ruling.kept]
        self.said += [b"error" for reply in ruling.void if reply.is_wanted]
        self.said += [b"created " + handle for _, handle in ruling.renamed]
        self.rulings.append(ruling)
        return ruling


def acceptances(batch: list[Change]) -> list[JobHandle]:
    """Return whose acceptance is in the batch."""
    return [change.handle for change in batch if isinstance(change, Accepted)]
