"""From calls put together to stages: which jobs may run at once, and what each stage waits for.

Pure. A stage is a set of jobs that the same must come before. It hands its results to one other stage, in a place among
those that do so too. What several stages are to receive goes by way of one without jobs that releases them; what comes
from groups of groups and chains, by way of one that gathers. The root is the last of these: it receives the value of
the whole. Rows are made of it by `enqueue_group`; that a stage goes on is `records/groups/advance`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gearjobs.tasks.groups.signature import Chain, Part, Signature


@dataclass(slots=True, eq=False)
class Stage:
    """Jobs that may run at the same time, or none."""

    #: Where its results go; None for the root and where it only releases others.
    next_stage: Stage | None = None
    #: Its place among those that go there.
    place: int = 0
    #: The stage without jobs that releases it.
    released_by: Stage | None = None
    #: How many stages must succeed before it.
    waits_for: int = 0
    #: Whether it receives a list of values rather than the only one.
    gathers: bool = False
    #: Whether its results are a list.
    is_list: bool = False
    calls: list[Signature] = field(default_factory=list)


@dataclass(slots=True)
class Plan:
    """The stages of a whole."""

    root: Stage = field(default_factory=Stage)
    #: All others, in the order of the parts; none before one that must come before it.
    stages: list[Stage] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return sum(len(stage.calls) for stage in self.stages)


@dataclass(slots=True)
class _Built:
    """The stages of a part."""

    stages: list[Stage]
    #: Those that nothing of the part comes before.
    entries: list[Stage]


def make_plan(whole: Part) -> Plan:
    """Return the stages of calls that were put together."""
    plan = Plan()
    plan.stages = _build(whole, receiver=plan.root, place=0).stages
    return plan


def _build(part: Part, *, receiver: Stage, place: int) -> _Built:
    """Make the stages of a part whose value goes to `receiver`."""
    if isinstance(part, Chain):
        return _build_chain(part, receiver=receiver, place=place)
    receiver.waits_for += 1
    stage = Stage(receiver, place)
    if isinstance(part, Signature):
        stage.calls = [part]
        return _Built([stage], [stage])
    calls = [one for one in part.parts if isinstance(one, Signature)]
    if calls and len(calls) == len(part.parts):
        stage.calls, stage.is_list = calls, True
        return _Built([stage], [stage])
    # Also a group of nothing, which then has gathered all of it.
    stage.gathers = True
    inner = [_build(one, receiver=stage, place=number) for number, one in enumerate(part.parts)]
    entries = [entry for built in inner for entry in built.entries]
    return _Built([*(one for built in inner for one in built.stages), stage], entries or [stage])


def _build_chain(part: Chain, *, receiver: Stage, place: int) -> _Built:
    # From the last step to the first, since each must know where its value goes.
    *steps, last = part.parts
    after = _build(last, receiver=receiver, place=place)
    for step in reversed(steps):
        relays = _relays(after.entries)
        before = _build(step, receiver=relays[0] if relays else after.entries[0], place=0)
        after = _Built([*before.stages, *relays, *after.stages], before.entries)
    return after


def _relays(entries: list[Stage]) -> list[Stage]:
    """Return the stage that is to release all of these, or none where the only one can receive by itself."""
    if len(entries) == 1 and not entries[0].gathers:
        return []
    relay = Stage()
    for entry in entries:
        entry.released_by = relay
        entry.waits_for += 1
    return [relay]
