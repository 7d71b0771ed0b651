"""The promises about several runs of one job: never two at once, never again without a reason, none for nothing.

A run begins when a worker starts the job's function and ends when nothing of it happens any more: a worker that comes
back with its run after a server's end still has the same run. The checks are called by `invariants`, which has the
others; the events are `journal`'s.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.support.journal import (
    COMPLETED,
    FENCED,
    KILLED,
    RETRIED,
    STOPPED,
    Breach,
    Disturbed,
    HandedOut,
    JournalView,
    LinkReset,
    RowChanged,
    RowEnded,
    RowTaken,
    RunEnded,
    RunStarted,
    ServerLost,
    WorkerCut,
    WorkerDied,
)


class PastRuns:
    """What the checks ask about a run: its end, whether its hand-out was committed, who was lost meanwhile."""

    def __init__(self, view: JournalView) -> None:
        self.promises = view.promises
        self._parted = view.parted()
        self.ends = {event.run: event for event in view.all(RunEnded)}
        #: The first end of each server: one that was fenced dies later.
        self._losses = {event.server: event for event in reversed(view.all(ServerLost))}
        self._runs: defaultdict[bytes, list[RunStarted]] = defaultdict(list)
        for run in view.all(RunStarted):
            self._runs[run.handle].append(run)
        #: The highest attempt that each server committed of each job.
        self._committed: dict[tuple[bytes, str], int] = {}
        changes: list[RowChanged | RowEnded] = [*view.all(RowChanged), *view.all(RowEnded)]
        for change in changes:
            key = change.handle, change.owner
            self._committed[key] = max(self._committed.get(key, 0), change.attempt)
        self._handed_out: defaultdict[tuple[bytes, str], list[float]] = defaultdict(list)
        for hand_out in view.all(HandedOut):
            self._handed_out[hand_out.handle, hand_out.server].append(hand_out.at)
        self._resets = view.all(LinkReset)
        self._disturbances = view.all(Disturbed)
        self._cuts: defaultdict[str, list[float]] = defaultdict(list)
        cuts: list[WorkerCut | WorkerDied] = [*view.all(WorkerCut), *view.all(WorkerDied)]
        for cut in cuts:
            self._cuts[cut.worker].append(cut.at)

    def repetitions(self) -> Iterator[tuple[RunStarted, RunStarted]]:
        """Each run of a job with the next one of the same job."""
        for runs in self._runs.values():
            if len(runs) > 1:
                yield from pairwise(runs)

    def is_another_promise(self, earlier: RunStarted, later: RunStarted) -> bool:
        """Whether one of the two runs is a foreground job's at one server, and the other its row's at another."""
        return earlier.handle in self._parted and earlier.server != later.server

    def overlapping(self) -> Iterator[tuple[RunStarted, RunStarted]]:
        """All pairs of runs of one job of which the second began before the first had ended."""
        for runs in self._runs.values():
            for place, later in enumerate(runs):
                for earlier in runs[:place]:
                    end = self.ends.get(earlier.run)
                    if end is None or end.at > later.at:
                        yield earlier, later

    def was_cut(self, run: RunStarted, until: float) -> bool:
        """Whether the run's worker died or was cut off between its start and `until`."""
        return any(run.at <= at <= until for at in self._cuts[run.worker])

    def loss(self, run: RunStarted, until: float) -> ServerLost | None:
        """Return the end of the server that handed the run out, if that was before `until`."""
        loss = self._losses.get(run.server)
        return loss if loss is not None and loss.at <= until else None

    def _was_reset(self, earlier: RunStarted, later: RunStarted) -> bool:
        """Whether both sides believed each other gone, and the run has ended soon after or could not be told to."""
        end = self.ends.get(earlier.run)
        until = end.at if end is not None else later.at
        for reset in self._resets:
            if reset.worker == earlier.worker and earlier.at <= reset.at <= later.at:
                is_soon = until <= reset.at + self.promises.refused_within_s
                if is_soon or any(one.at < until and reset.at < one.until for one in self._disturbances):
                    return True
        return False

    def came_late(self, run: RunStarted) -> bool:
        """Whether a worker got its assignment from a lost server, and knew no deadline or the hand-out no commit."""
        loss = self.loss(run, run.at)
        if loss is None or (run.is_resumable and self.was_committed(run)):
            return False
        # One that was fenced may not hand out anything from then on.
        return all(at <= loss.at for at in self._handed_out[run.handle, run.server])

    def was_committed(self, run: RunStarted) -> bool:
        """Whether the server that handed the run out committed that it had; where rows are not watched, it had."""
        if not self._committed:
            return True
        return 0 < run.attempt <= self._committed.get((run.handle, run.server), 0)

    def may_overlap(self, earlier: RunStarted, later: RunStarted) -> bool:
        """Whether the promise excepts that the later run began before the earlier one had ended."""
        loss = self.loss(earlier, later.at)
        if (
            self.is_another_promise(earlier, later)
            or self.came_late(later)
            or (loss is not None and not self.was_committed(earlier))
        ):
            return True
        if earlier.is_resumable:
            return self._was_reset(earlier, later)
        # A fenced server gave its last sign of life a lease before.
        return self.was_cut(earlier, later.at) or (
            loss is not None and (loss.how == FENCED or later.at >= loss.at + self.promises.stock_grace_s)
        )


def runs_do_not_overlap(view: JournalView) -> list[Breach]:
    """I5: two runs of a job are never under way at once.

    Excepted: the earlier one was handed out by a server that was lost before it had committed the hand-out; or
    something in between reset its connection to both sides, and its worker stops as soon as a server can tell it; or
    its worker knew no deadline (a stock worker, a foreground job) and was cut off, or lost its server a grace ago, or
    got the job when that server was lost; or they keep two promises (`JournalView.parted`).
    """
    past = PastRuns(view)
    return [
        Breach("I5", earlier.handle, f"{_named(earlier, past)}, and {_named(later, past)} began meanwhile")
        for earlier, later in past.overlapping()
        if not past.may_overlap(earlier, later)
    ]


def runs_again_for_a_reason(view: JournalView) -> list[Breach]:
    """I6: a job runs again only after its worker was lost, stopped or wants it tried again, or its server was lost."""
    past = PastRuns(view)
    breaches = []
    for earlier, later in past.repetitions():
        end = past.ends.get(earlier.run)
        was_ended = end is not None and end.at <= later.at and end.how in {STOPPED, KILLED, RETRIED}
        was_lost = past.was_cut(earlier, later.at) or past.loss(earlier, later.at) or past.came_late(later)
        if not (was_ended or was_lost or past.is_another_promise(earlier, later)):
            sentence = f"{_named(earlier, past)}, and without a reason {_named(later, past)} began"
            breaches.append(Breach("I6", earlier.handle, sentence))
    return breaches


def runs_are_stopped_for_a_reason(view: JournalView) -> list[Breach]:
    """I6, D2: a worker stops a run at its deadline only when something went wrong meanwhile, or shortly before."""
    past = PastRuns(view)
    troubles = [(event.at, event.until) for event in view.all(Disturbed)]
    losses: list[ServerLost | WorkerCut | LinkReset] = [
        *view.all(ServerLost),
        *view.all(WorkerCut),
        *view.all(LinkReset),
    ]
    troubles += [(loss.at, loss.at) for loss in losses]
    breaches = []
    for run in view.all(RunStarted):
        end = past.ends.get(run.run)
        if end is None or end.how != STOPPED:
            continue
        since = run.at - view.promises.stock_grace_s
        if not any(began_at <= end.at and since <= until for began_at, until in troubles):
            breaches.append(Breach("I6", run.handle, f"{_named(run, past)}, and nothing was wrong"))
    return breaches


def runs_of_survivors_count(view: JournalView) -> list[Breach]:
    """I6, D4: the loss of a server alone repeats no run whose worker can come back with it.

    The job is withheld for a grace; and where a healthy server had it long enough, the worker must have found it.
    """
    past = PastRuns(view)
    breaches = []
    for earlier, later in past.repetitions():
        loss, end = past.loss(earlier, later.at), past.ends.get(earlier.run)
        if loss is None or not earlier.is_resumable or not past.was_committed(earlier):
            continue
        is_given_up = end is not None and end.at <= later.at and end.how != COMPLETED
        if is_given_up or past.was_cut(earlier, later.at) or past.came_late(later):
            continue
        is_too_soon = loss.how != FENCED and later.at < loss.at + view.promises.resume_grace_s
        if is_too_soon or _could_be_resumed(view, loss, later):
            sentence = f"{_named(earlier, past)}, survived the loss of {loss.server}, and {_named(later, past)} began"
            breaches.append(Breach("I6", earlier.handle, sentence))
    return breaches


def _could_be_resumed(view: JournalView, loss: ServerLost, later: RunStarted) -> bool:
    """Whether the server that ran the job again had it, undisturbed and early enough, for its worker to come back."""
    taken_at = next(
        (event.at for event in view.all(RowTaken) if event.handle == later.handle and event.owner == later.server), None
    )
    if taken_at is None or taken_at > loss.at + view.promises.resume_grace_s - view.promises.resume_within_s:
        return False
    until = taken_at + view.promises.resume_within_s
    return not any(event.at < until and taken_at < event.until for event in view.all(Disturbed))


def _named(run: RunStarted, past: PastRuns) -> str:
    end = past.ends.get(run.run)
    over = f"{end.how} at {end.at:.3f}" if end is not None else "still under way"
    name = run.run.decode("ascii", "backslashreplace")
    return f"run {name} (attempt {run.attempt}) of {run.worker} for {run.server} from {run.at:.3f}, {over}"
