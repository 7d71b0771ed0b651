"""One run: a seed becomes a site and faults, time passes, and what happened is held against the invariants.

A run ends with a quiet time in which nothing goes wrong any more and everything must come to its end. The report can be
printed; a failing run can be made smaller by leaving faults out as long as the same invariant breaks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.simulation.faults import Fault, Plan, carry_out, draw_plan
from tests.simulation.site import Habits, Site
from tests.simulation.world import World
from tests.support.invariants import breaches_of
from tests.support.journal import (
    Breach,
    Event,
    JournalView,
    Promises,
    QuietBegan,
    RunOver,
    RunStarted,
    ServerBegan,
    ServerLost,
)

#: Seconds of quiet after which whatever has not ended never will: an orphan's wait, jobs one after the other, pauses;
#: and an hour, for a retry whose time was told by a clock that went wrong by as much.
QUIET_S: Final = 4500.0
#: Seconds that the run goes on when everything has ended, to see that nothing begins again.
AFTERWARDS_S: Final = 0.5


@dataclass(slots=True)
class RunReport:
    """What a run showed."""

    seed: int
    faults: list[Fault]
    breaches: list[Breach]
    journal: list[Event]
    events: int
    seconds: float

    @property
    def is_good(self) -> bool:
        return not self.breaches

    def text(self) -> str:
        """Return what to look at: the breaches, the faults, and the journal of the first breach's job."""
        lines = [f"seed {self.seed}: {len(self.breaches)} breaches"]
        lines += [f"  {breach}" for breach in self.breaches[:10]]
        lines += ["faults:"] + [f"  {fault}" for fault in self.faults]
        if self.breaches:
            handle = self.breaches[0].handle
            lines.append(f"what happened to {handle!r}, to its workers and to servers:")
            lines += [f"  {event}" for event in self._story_of(handle)]
        return "\n".join(lines)

    def _story_of(self, handle: bytes) -> list[Event]:
        runs = [event for event in self.journal if isinstance(event, RunStarted) and event.handle == handle]
        workers, names = {run.worker for run in runs}, {run.run for run in runs}
        return [
            event
            for event in self.journal
            if getattr(event, "handle", None) == handle
            or getattr(event, "run", None) in names
            or getattr(event, "worker", None) in workers
            or isinstance(event, ServerBegan | ServerLost | QuietBegan)
        ]


def run_seed(
    seed: int,
    *,
    new_habits: Callable[[], Habits] = Habits,
    choose: Callable[[Sequence[Fault]], Sequence[Fault]] = list,
) -> RunReport:
    """Run a seed, with all its faults or some of them."""
    plan = draw_plan(seed)
    faults = list(choose(plan.faults))
    world = World(seed)
    site = Site(world, plan.shape, new_habits())
    _arrange(world, site, plan, faults)
    world.run(plan.quiet_at, is_over=_never)
    _begin_quiet(world, site)
    world.run(world.now + QUIET_S, is_over=site.is_done)
    world.run(world.now + AFTERWARDS_S, is_over=_never)
    world.journal.append(RunOver(world.now))
    promises = Promises()
    breaches = breaches_of(JournalView(world.journal, promises))
    return RunReport(seed, faults, breaches, world.journal, world.events_done, world.now)


def shrink(seed: int, *, new_habits: Callable[[], Habits] = Habits) -> RunReport:
    """Return the run with as few of the seed's faults as still break the invariant that breaks first."""
    report = run_seed(seed, new_habits=new_habits)
    if report.is_good:
        return report
    invariant = report.breaches[0].invariant
    kept = list(report.faults)
    for fault in list(kept):
        without = [other for other in kept if other is not fault]
        smaller = run_seed(seed, new_habits=new_habits, choose=_only(without))
        if any(breach.invariant == invariant for breach in smaller.breaches):
            kept, report = without, smaller
    return report


def _only(faults: list[Fault]) -> Callable[[Sequence[Fault]], Sequence[Fault]]:
    return lambda _drawn: faults


def _arrange(world: World, site: Site, plan: Plan, faults: list[Fault]) -> None:
    site.background_jobs = plan.background_jobs
    site.begin()
    for number, submission in enumerate(plan.submissions):
        client = site.clients[number % len(site.clients)]
        world.call_at(submission.at, client, client.submit, submission)
    for fault in faults:
        world.call_at(fault.at, None, carry_out, site, fault)


def _begin_quiet(world: World, site: Site) -> None:
    world.now = max(world.now, 0.0)
    world.journal.append(QuietBegan(world.now))
    site.go_on()


def _never() -> bool:
    return False
