"""Outcomes of resumable jobs, kept by their worker until a job server says that they are committed.

Pure; `now` is seconds of the worker's lease clock, a connection is whatever the caller tells connections apart by. An
outcome whose connection breaks before OUTCOME_SETTLED is offered again to every server: RESUME_JOB first, since only
the server that has the run may be told its end, then the outcome itself. One that refuses the run ends the matter. One
that knows no such job may learn of it yet, or the outcome was committed and only the word of it was lost: it is asked
for as long as the run could have been resumed, and no longer. The worker's next jobs do not wait for any of this.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.worker.holding.resume_questions import OUTCOME_PAUSES_S, ResumeQuestions

#: Seconds an outcome is kept while no server answers at all: longer than a restart of everything takes. A server that
#: has its database alone takes outcomes from before its restart however long it was down.
KEEP_S = 600.0
#: Bounds of what is kept: at 10,000 jobs a second, a second of a server's commits. Beyond, the oldest is let go of.
MAX_OUTCOMES, MAX_OUTCOME_BYTES = 10_000, 64 * 1024 * 1024


@dataclass(slots=True)
class _Outcome:
    attempt: int
    #: The whole packet.
    packet: bytes
    resume_s: float
    #: Where it was sent last; None while no connection has it.
    connection: Hashable | None


@dataclass(slots=True)
class _Offer:
    #: When the outcome is let go of.
    forget_at: float
    questions: ResumeQuestions
    #: Whether a server has said that it knows no such job.
    is_unknown: bool = False


class KeptOutcomes:
    """The outcomes of one worker that are not settled, by handle: of two attempts at a job only the later can count."""

    def __init__(self) -> None:
        self._outcomes: dict[bytes, _Outcome] = {}
        # For those that no connection has: usually none, so that a turn of the worker looks at none.
        self._offers: dict[bytes, _Offer] = {}
        self._kept_bytes = 0
        #: Handles of outcomes that were let go of unsettled, for the log.
        self.forgotten: list[bytes] = []

    def __len__(self) -> int:
        return len(self._outcomes)

    @property
    def is_offering(self) -> bool:
        """Whether there is an outcome that no connection has."""
        return bool(self._offers)

    def keep(
        self, handle: bytes, attempt: int, *, packet: bytes, resume_s: float, connection: Hashable | None, now: float
    ) -> None:
        """Keep an outcome.

        Args:
            handle: the job's.
            attempt: which run of it.
            packet: the outcome, whole.
            resume_s: seconds for which servers that do not know the job are asked for it.
            connection: where the outcome is sent; None when the run's server is lost.
            now: the time.
        """
        self._remove(handle)
        self._outcomes[handle] = _Outcome(attempt, packet, resume_s, connection)
        self._kept_bytes += len(packet)
        if connection is None:
            self._offer(handle, now)
        while len(self._outcomes) > MAX_OUTCOMES or self._kept_bytes > MAX_OUTCOME_BYTES:
            self._forget(next(iter(self._outcomes)))

    def supersede(self, handle: bytes) -> None:
        """Let go of the outcome of an earlier run of this job, which begins anew.

        A server that knows nothing of the earlier one has given this run the same number, and would take the one's
        outcome for the other's.
        """
        self._remove(handle)

    def settled(self, handle: bytes, connection: Hashable) -> None:
        """Let go of the outcome that was sent there: it is committed, or counts no more."""
        outcome = self._outcomes.get(handle)
        if outcome is not None and outcome.connection == connection:
            self._remove(handle)

    def broke(self, connection: Hashable, now: float) -> None:
        """Offer again what was sent through the connection, which is gone."""
        for offer in self._offers.values():
            offer.questions.broke(connection)
        for handle, outcome in self._outcomes.items():
            if outcome.connection == connection:
                outcome.connection = None
                self._offer(handle, now)

    def to_offer(self, connection: Hashable, now: float) -> list[tuple[bytes, int]]:
        """Return handle and attempt of every run to ask the connection's server for now; they count as asked."""
        asked = [handle for handle, offer in self._offers.items() if offer.questions.ask(connection, now)]
        return [(handle, self._outcomes[handle].attempt) for handle in asked]

    def answered(
        self, connection: Hashable, handle: bytes, attempt: int, *, verdict: ResumeVerdict, now: float
    ) -> bytes:
        """Take a server's answer to RESUME_JOB; return the packet to send it, empty when there is none."""
        outcome = self._outcomes.get(handle)
        if outcome is None or outcome.attempt != attempt:
            return b""
        if verdict is ResumeVerdict.ACCEPTED:
            # Also when another server took it before: the server that has the run is the one that was asked last.
            self._offers.pop(handle, None)
            outcome.connection = connection
            return outcome.packet
        offer = self._offers.get(handle)
        if offer is not None and offer.questions.answered(connection) is not None:
            self._not_taken(handle, offer, verdict=verdict, now=now)
        return b""

    def forget_old(self, now: float) -> None:
        """Let go of outcomes that no server took in their time."""
        for handle in [handle for handle, offer in self._offers.items() if now >= offer.forget_at]:
            self._forget(handle)

    def due_at(self, connections: Iterable[Hashable]) -> float:
        """When there is something to ask one of the connections, or to let go of; infinity for never."""
        if not self._offers:
            return math.inf
        asked = list(connections)
        return min(
            min(offer.forget_at, *map(offer.questions.due_at, asked)) if asked else offer.forget_at
            for offer in self._offers.values()
        )

    def _offer(self, handle: bytes, now: float) -> None:
        self._offers[handle] = _Offer(now + KEEP_S, ResumeQuestions(OUTCOME_PAUSES_S))

    def _not_taken(self, handle: bytes, offer: _Offer, *, verdict: ResumeVerdict, now: float) -> None:
        if verdict is ResumeVerdict.REFUSED:
            self._remove(handle)
        elif not offer.is_unknown:
            offer.is_unknown = True
            offer.forget_at = min(offer.forget_at, now + self._outcomes[handle].resume_s)

    def _remove(self, handle: bytes) -> None:
        outcome = self._outcomes.pop(handle, None)
        if outcome is not None:
            self._kept_bytes -= len(outcome.packet)
            self._offers.pop(handle, None)

    def _forget(self, handle: bytes) -> None:
        self._remove(handle)
        self.forgotten.append(handle)
