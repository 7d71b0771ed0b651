"""What a schedule does at a moment: which of its due times fire, which were missed, and when it is looked at next.

Pure: times come in as unix seconds. Three policies meet here. Jitter moves a firing to somewhere after its due time,
the same for everybody who asks. Catch-up says what becomes of due times that nobody was there for. Overlap says what
becomes of a firing while the job of the last one has not ended.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Final

from gearjobs.timetable.due_times import DueTimes, latest_due_times

#: Due times that are caught up, or noted as missed, at a time; older ones are forgotten. A day of every quarter hour.
CATCH_UP_LIMIT: Final = 100
#: Seconds after which a firing is late enough to be left out by CatchUp.NONE: more than a server's restart takes.
LATE_S: Final = 60.0
#: Longest jitter in seconds: a day.
JITTER_LIMIT_S: Final = 86_400

_DIGEST_RANGE: Final = 2.0**64


class Overlap(StrEnum):
    """What becomes of a firing while the job of the last one has not ended."""

    #: It is left out.
    SKIP = "skip"
    #: It fires all the same.
    QUEUE = "queue"
    #: It is left to the last job where that has not started yet, and fires where it has: one job waits at most.
    COALESCE = "coalesce"
    #: The last job is cancelled, and it fires.
    REPLACE = "replace"


class CatchUp(StrEnum):
    """What becomes of due times that passed while no server was there to fire."""

    #: They are left out.
    NONE = "none"
    #: The last one fires.
    LAST = "last"
    #: All fire, the last CATCH_UP_LIMIT at most.
    ALL = "all"


class LastJob(Enum):
    """How far the job of the last firing is."""

    #: There is none, or it has ended.
    ENDED = "ended"
    #: It was not started yet.
    WAITING = "waiting"
    #: It was started.
    RUNNING = "running"


class Verdict(Enum):
    """What a firing does."""

    FIRE = "fire"
    SKIP = "skip"
    #: The last job stands for this one.
    JOIN = "join"
    #: The last job is cancelled first.
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class FiringRules:
    """What a schedule says beside its due times."""

    #: Name of the schedule.
    key: str
    catch_up: CatchUp = CatchUp.LAST
    #: Seconds within which a firing comes after its due time.
    jitter_s: float = 0.0


@dataclass(slots=True)
class FiringPlan:
    """What is to be done now."""

    #: Due times that fire, the oldest first.
    fired: list[float] = field(default_factory=list)
    #: Due times that do not.
    missed: list[float] = field(default_factory=list)
    #: The first due time that is still to come; None when there is none.
    next_due_at: float | None = None


def plan_firing(times: DueTimes, rules: FiringRules, *, due_at: float, now: float) -> FiringPlan:
    """Return what becomes of the due times from `due_at`, the first that nobody dealt with, until now."""
    passed = latest_due_times(times, since=due_at, until=now, most=CATCH_UP_LIMIT)
    ripe = _ripe(passed, rules, now)
    next_due_at = passed[len(ripe)] if len(ripe) < len(passed) else times.next_after(max(now, due_at - 1.0))
    fired = _fired(ripe, rules, now)
    return FiringPlan(fired, ripe[: len(ripe) - len(fired)], next_due_at)


def fire_at(rules: FiringRules, due_at: float) -> float:
    """Return when a due time fires: the same moment whoever asks, and however often."""
    if rules.jitter_s <= 0:
        return due_at
    digest = hashlib.sha256(f"{due_at:.0f} {rules.key}".encode("utf-8", "surrogatepass")).digest()
    return due_at + rules.jitter_s * int.from_bytes(digest[:8]) / _DIGEST_RANGE


def judge_overlap(overlap: Overlap, last_job: LastJob) -> Verdict:
    """Return what a firing does beside the job of the last one."""
    if last_job is LastJob.ENDED or overlap is Overlap.QUEUE:
        return Verdict.FIRE
    if overlap is Overlap.REPLACE:
        return Verdict.REPLACE
    if overlap is Overlap.COALESCE:
        return Verdict.JOIN if last_job is LastJob.WAITING else Verdict.FIRE
    return Verdict.SKIP


def _ripe(passed: list[float], rules: FiringRules, now: float) -> list[float]:
    """Return the due times up to the first whose jitter is not over: they fire in their order."""
    for index, due_at in enumerate(passed):
        if fire_at(rules, due_at) > now:
            return passed[:index]
    return passed


def _fired(ripe: list[float], rules: FiringRules, now: float) -> list[float]:
    if rules.catch_up is CatchUp.ALL:
        return ripe
    last = ripe[-1:]
    if rules.catch_up is CatchUp.NONE and last and now - fire_at(rules, last[0]) > LATE_S:
        return []
    return last
