"""Every invariant can fail: a journal that breaks it is told, and the same journal put right is not.

The journals are as short as the breach allows, and written by hand; times are seconds.
"""

from __future__ import annotations

import pytest

from tests.support.invariants import CHECKS, breaches_of
from tests.support.journal import (
    COMPLETED,
    DIED,
    FENCED,
    KILLED,
    STOPPED,
    Disturbed,
    ForegroundAsked,
    ForegroundOver,
    HandedOut,
    JournalView,
    LinkReset,
    Promised,
    QuietBegan,
    Ready,
    RolledBack,
    RowAppeared,
    RowChanged,
    RowEnded,
    RowForgotten,
    RowTaken,
    RunEnded,
    RunOver,
    RunStarted,
    ServerBegan,
    ServerLost,
    Told,
    WorkerCut,
    WorkerDied,
)

JOB, OTHER = b"H:1", b"H:2"
SERVER, SECOND = "s1", "s2"


def row(handle=JOB, at=1.0, *, unique=b"", payload=b"p"):
    return RowAppeared(at, handle, b"f", unique, payload)


def promised(handle=JOB, at=2.0, *, unique=b"", payload=b"p"):
    return Promised(at, handle, b"f", unique, payload)


def ran(name, at, *, attempt=1, worker="w1", server=SERVER, is_resumable=True, is_background=True, payload=b"p"):
    return RunStarted(at, name, JOB, attempt, worker, server, is_resumable, is_background, payload)


def changed(at, *, attempt=1, owner=SERVER, is_running=True, crashes=0):
    return RowChanged(at, JOB, owner, attempt, is_running, crashes)


def ended(at, *, attempt=1, owner=SERVER, result=b"", outcome="succeeded", crashes=0, handle=JOB):
    return RowEnded(at, handle, owner, attempt, outcome, result, crashes)


def ready(handle, at, priority, *, function=b"f"):
    return Ready(at, SERVER, handle, function, priority)


def handed(handle, at, *, server=SERVER, is_background=True):
    return HandedOut(at, server, handle, b"f", 1, is_background)


LOST = ServerLost(10.0, SERVER, DIED)
#: Each: the invariant, a journal that breaks it, and one that comes as close without breaking it.
CASES = {
    "promised without a row": ("I1", [promised()], [row(), promised()]),
    "other bytes than submitted": ("I1", [row(payload=b"x"), promised()], [row(), promised()]),
    "joined to another unique": (
        "I1",
        [row(unique=b"u"), promised(unique=b"v")],
        [row(unique=b"u"), promised(unique=b"u", payload=b"x")],
    ),
    "run before its commit": ("I1", [ran(b"a", 1.0)], [row(), ran(b"a", 1.0)]),
    "handle used twice": ("I2", [row(), row(at=2.0)], [row(), RowForgotten(1.5, JOB), row(at=2.0)]),
    "another payload run": ("I2", [row(), ran(b"a", 2.0, payload=b"x")], [row(), ran(b"a", 2.0)]),
    "promised row removed": (
        "I3",
        [row(), promised(), RowForgotten(3.0, JOB)],
        [row(), RowForgotten(3.0, JOB)],
    ),
    "two outcomes": ("I3", [row(), ended(2.0), ended(3.0)], [row(), ended(2.0)]),
    "phantom": ("I3", [row(), RolledBack(1.0, JOB), ran(b"a", 2.0)], [row(), RolledBack(1.0, OTHER), ran(b"a", 2.0)]),
    "written by another server": (
        "I4",
        [row(), changed(2.0), changed(3.0, owner=SECOND)],
        [row(), changed(2.0), RowTaken(2.5, JOB, SERVER, SECOND), changed(3.0, owner=SECOND)],
    ),
    "written after the fence": (
        "I4",
        [row(), ServerLost(2.0, SERVER, FENCED), changed(3.0)],
        [row(), changed(1.5), ServerLost(2.0, SERVER, FENCED)],
    ),
    "outcome of an old attempt": (
        "I4",
        [row(), ran(b"run-a", 2.0), ended(3.0, attempt=2, result=b"run-a")],
        [row(), ran(b"run-a", 2.0), ended(3.0, result=b"run-a")],
    ),
    "outcome of no run": ("I4", [row(), ended(3.0, result=b"run-a")], [row(), ended(3.0)]),
    "two runs at once": (
        "I5",
        [row(), changed(2.0), ran(b"a", 2.0), ran(b"b", 41.0, attempt=2, server=SECOND), RunEnded(50.0, b"a", STOPPED)],
        [row(), changed(2.0), ran(b"a", 2.0), LOST, RunEnded(40.0, b"a", STOPPED), ran(b"b", 41.0, attempt=2)],
    ),
    "hand-out committed by the dead": (
        "I5",
        [row(), changed(2.0), ran(b"a", 2.0), LOST, ran(b"b", 11.0, server=SECOND)],
        [row(), changed(1.0, attempt=0, is_running=False), ran(b"a", 2.0), LOST, ran(b"b", 11.0, server=SECOND)],
    ),
    "stock worker without its grace": (
        "I5",
        [row(), changed(2.0), ran(b"a", 2.0, is_resumable=False), LOST, ran(b"b", 11.0, attempt=2, server=SECOND)],
        [row(), changed(2.0), ran(b"a", 2.0, is_resumable=False), LOST, ran(b"b", 17.0, attempt=2)],
    ),
    "reset worker that goes on": (
        "I5",
        [row(), ran(b"a", 2.0), LinkReset(3.0, "w1"), ran(b"b", 4.0), RunEnded(9.0, b"a", STOPPED)],
        [row(), ran(b"a", 2.0), LinkReset(3.0, "w1"), ran(b"b", 4.0), RunEnded(7.0, b"a", STOPPED)],
    ),
    "again without a reason": (
        "I6",
        [row(), ran(b"a", 2.0), RunEnded(3.0, b"a", COMPLETED), ran(b"b", 4.0)],
        [row(), ran(b"a", 2.0), RunEnded(3.0, b"a", COMPLETED), WorkerCut(3.5, "w1"), ran(b"b", 4.0)],
    ),
    "stopped without a reason": (
        "I6",
        [row(), ran(b"a", 20.0), RunEnded(30.0, b"a", STOPPED)],
        [row(), Disturbed(21.0, 22.0, ""), ran(b"a", 20.0), RunEnded(30.0, b"a", STOPPED)],
    ),
    "survivor's outcome thrown away": (
        "I6",
        [row(), changed(2.0), ran(b"a", 2.0), RunEnded(9.0, b"a", COMPLETED), LOST, ran(b"b", 20.0, server=SECOND)],
        [row(), changed(2.0), ran(b"a", 2.0), RunEnded(9.0, b"a", COMPLETED), LOST, ran(b"b", 50.0, attempt=2)],
    ),
    "survivor not found by a healthy server": (
        "I6",
        [
            *(row(), changed(2.0), ran(b"a", 2.0), RunEnded(9.0, b"a", COMPLETED), LOST),
            *(RowTaken(12.0, JOB, SERVER, SECOND), ran(b"b", 50.0, attempt=2, server=SECOND)),
        ],
        [
            *(row(), changed(2.0), ran(b"a", 2.0), RunEnded(9.0, b"a", COMPLETED), LOST, Disturbed(13.0, 14.0, "w1")),
            *(RowTaken(12.0, JOB, SERVER, SECOND), ran(b"b", 50.0, attempt=2, server=SECOND)),
        ],
    ),
    "killed too often": (
        "I7",
        [row(), *(one for n in range(4) for one in (ran(b"%d" % n, n), RunEnded(n + 0.5, b"%d" % n, KILLED)))],
        [row(), *(one for n in range(3) for one in (ran(b"%d" % n, n), RunEnded(n + 0.5, b"%d" % n, KILLED)))],
    ),
    "crash counted twice": (
        "I7",
        [row(), ran(b"a", 2.0), changed(3.0, crashes=2)],
        [row(), ran(b"a", 2.0), changed(3.0, crashes=1)],
    ),
    "dead too early": (
        "I7",
        [row(), ran(b"a", 2.0), ended(3.0, outcome="dead", crashes=1)],
        [row(), ran(b"a", 2.0), ended(3.0, outcome="dead", crashes=2)],
    ),
    "job that never ends": ("I8", [row(), RunOver(9.0)], [row(), ended(3.0), RunOver(9.0)]),
    "client that waits for ever": (
        "I8",
        [ForegroundAsked(1.0, "c", JOB, SERVER), RunOver(9.0)],
        [ForegroundAsked(1.0, "c", JOB, SERVER), ForegroundOver(2.0, "c", JOB), RunOver(9.0)],
    ),
    "no take-over": (
        "I8",
        [ServerBegan(0.0, SERVER), ServerBegan(0.0, SECOND), *(row(), changed(30.0, is_running=False)),
         ServerLost(31.0, SERVER, DIED), RowTaken(47.0, JOB, SERVER, SECOND)],
        [ServerBegan(0.0, SERVER), ServerBegan(0.0, SECOND), *(row(), changed(30.0, is_running=False)),
         ServerLost(31.0, SERVER, DIED), RowTaken(45.0, JOB, SERVER, SECOND), RunOver(47.0)][:-1],
    ),
    "idle worker not called": (
        "I8",
        [QuietBegan(0.0), HandedOut(60.0, SERVER, JOB, b"f", 1, True, 0.3)],
        [QuietBegan(0.0), HandedOut(60.0, SERVER, JOB, b"f", 1, True, 0.05)],
    ),
    "passed over": (
        "I9",
        [ready(JOB, 1.0, 0), ready(OTHER, 2.0, 0), handed(OTHER, 3.0)],
        [ready(JOB, 1.0, 0), ready(OTHER, 2.0, 5), handed(OTHER, 3.0)],
    ),
    "less urgent first": (
        "I9",
        [ready(JOB, 1.0, 0), ready(OTHER, 2.0, 5), handed(JOB, 3.0)],
        [ready(JOB, 1.0, 0), ready(OTHER, 2.0, 5, function=b"g"), handed(JOB, 3.0)],
    ),
    "changed after its end": ("I10", [row(), ended(2.0), changed(3.0)], [row(), changed(1.5), ended(2.0)]),
    "attempt that goes back": (
        "I10",
        [row(), changed(2.0, attempt=2), changed(3.0, attempt=1)],
        [row(), changed(2.0, attempt=1), changed(3.0, attempt=2)],
    ),
    "told before its row": (
        "I10",
        [row(), Told(2.0, JOB, True), ended(3.0)],
        [row(), ended(2.0), Told(3.0, JOB, True)],
    ),
    "foreground job that moved": (
        "I11",
        [ForegroundAsked(1.0, "c", JOB, SERVER), handed(JOB, 2.0, server=SECOND, is_background=False)],
        [ForegroundAsked(1.0, "c", JOB, SERVER), handed(JOB, 2.0, is_background=False)],
    ),
    "foreground job after its server": (
        "I11",
        [ForegroundAsked(1.0, "c", JOB, SERVER), LOST, handed(JOB, 12.0, is_background=False)],
        [ForegroundAsked(1.0, "c", JOB, SERVER), handed(JOB, 9.0, is_background=False), LOST],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_breach_is_told(name):
    invariant, broken, _ = CASES[name]

    assert invariant in {breach.invariant for breach in breaches_of(JournalView(broken))}


@pytest.mark.parametrize("name", CASES)
def test_what_is_right_is_not_told(name):
    invariant, _, right = CASES[name]

    assert not [str(breach) for breach in breaches_of(JournalView(right)) if breach.invariant == invariant]


def test_two_jobs_of_one_unique_at_once_are_told():
    mine, other = row(unique=b"u"), row(OTHER, 2.0, unique=b"u")
    run = RunStarted(3.0, b"b", OTHER, 1, "w2", SERVER, True, True, b"p")

    told = breaches_of(JournalView([mine, other, ran(b"a", 2.5), run]))

    assert [breach.invariant for breach in told] == ["I2"]


def test_worker_that_died_is_a_reason_to_run_again():
    events = [row(), ran(b"a", 2.0), RunEnded(3.0, b"a", KILLED), WorkerDied(3.0, "w1"), ran(b"b", 4.0, attempt=2)]

    assert not breaches_of(JournalView(events))


def test_every_invariant_is_checked():
    assert {case[0] for case in CASES.values()} == {f"I{number}" for number in range(1, 12)}
    assert len(CHECKS) == len(set(CHECKS))
