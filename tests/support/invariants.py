"""The eleven promises of the durable queue (I1 to I11), each a function from what happened to what broke it.

A check reads a journal (`journal`) and returns every breach it finds, so one list tells all that went wrong in a run.
It is never told which fault was played, and excuses only what the promise itself excepts, in the words of the check.
Simulation, crash tests and kill loops run the same functions; that each of them can fail is tested beside the
simulation. I5, I6 and what belongs to them, which compare runs, stand in `run_invariants`.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from operator import itemgetter
from typing import Final

from tests.support.fate_invariants import (
    cancelled_jobs_do_not_start,
    expired_jobs_do_not_start,
    lost_jobs_do_not_run_twice,
)
from tests.support.journal import (
    DIED,
    KILLED,
    Breach,
    Check,
    Disturbed,
    ForegroundAsked,
    ForegroundOver,
    HandedOut,
    JournalView,
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
    RunSettled,
    RunStarted,
    ServerBegan,
    ServerLost,
    Told,
    UniqueFreed,
)
from tests.support.limit_invariants import limits_are_kept
from tests.support.pause_invariants import paused_functions_rest
from tests.support.run_invariants import (
    runs_again_for_a_reason,
    runs_are_stopped_for_a_reason,
    runs_do_not_overlap,
    runs_of_survivors_count,
)

#: The outcome of a job that lost its worker too often.
DEAD: Final = "dead"


def acknowledged_means_stored(view: JournalView) -> list[Breach]:
    """I1: when a background job is promised or run its row is committed, byte for byte as it was submitted."""
    rows: dict[bytes, RowAppeared] = {}
    breaches = []
    for event in view.events:
        if isinstance(event, RowAppeared):
            rows.setdefault(event.handle, event)
        elif isinstance(event, Promised):
            row = rows.get(event.handle)
            if row is None:
                breaches.append(Breach("I1", event.handle, f"promised at {event.at:.3f} without a committed row"))
            elif (row.function, row.unique) != (event.function, event.unique):
                breaches.append(Breach("I1", event.handle, f"the row says {row}, the submitter {event}"))
            elif not event.unique and row.payload != event.payload:
                breaches.append(Breach("I1", event.handle, f"the row has {row.payload!r}, not {event.payload!r}"))
        elif isinstance(event, RunStarted) and event.is_background and event.handle not in rows:
            breaches.append(Breach("I1", event.handle, f"ran at {event.at:.3f} before its row was committed"))
    return breaches


def handles_name_one_job(view: JournalView) -> list[Breach]:
    """I2: a handle names one job for ever: one row, and one payload in all its runs."""
    payloads: dict[bytes, bytes] = {}
    breaches = []
    for event in view.events:
        if isinstance(event, RowAppeared):
            if event.handle in payloads:
                breaches.append(Breach("I2", event.handle, f"a second row of this handle appeared at {event.at:.3f}"))
            payloads[event.handle] = event.payload
        elif isinstance(event, RowForgotten):
            # Its submitter was refused; whoever submits it again may.
            payloads.pop(event.handle, None)
        elif isinstance(event, RunStarted) and payloads.get(event.handle, event.payload) != event.payload:
            sentence = f"ran payload {event.payload!r}, its row has {payloads[event.handle]!r}"
            breaches.append(Breach("I2", event.handle, sentence))
    return breaches


def uniques_name_one_job(view: JournalView) -> list[Breach]:
    """I2: of two jobs of one function and unique that are unfinished at the same time one is never run."""
    over: list[RowEnded | RowForgotten | UniqueFreed] = [
        *view.all(RowEnded), *view.all(RowForgotten), *reversed(view.all(UniqueFreed))
    ]  # fmt: skip
    # The first of them counts: a unique that was freed when its job started is never that job's again.
    ends = {event.handle: event.at for event in over}
    run = {event.handle for event in view.all(RunStarted)}
    # What a client inserted may repeat a unique until a server owns it.
    owned = {event.handle: event.at for event in reversed(view.all(RowTaken)) if not event.previous}
    lives: defaultdict[tuple[bytes, bytes], list[tuple[float, bytes]]] = defaultdict(list)
    for row in view.all(RowAppeared):
        if row.unique and row.handle in run:
            lives[row.function, row.unique].append((owned.get(row.handle, row.at), row.handle))
    return [
        Breach("I2", later, f"was owned from {began_at:.3f} and ran, while {earlier!r} of its unique did")
        for namesakes in lives.values()
        for (_, earlier), (began_at, later) in pairwise(sorted(namesakes, key=itemgetter(0)))
        if earlier != later and ends.get(earlier, view.ends_at()) > began_at
    ]


def promised_jobs_are_kept(view: JournalView) -> list[Breach]:
    """I3: a promised job is in the store or has exactly one outcome; what was rolled back never runs."""
    ends = Counter(event.handle for event in view.all(RowEnded))
    breaches = [Breach("I3", handle, f"has {count} outcomes") for handle, count in ends.items() if count > 1]
    rows: set[bytes] = set()
    promised: set[bytes] = set()
    for event in view.events:
        if isinstance(event, RowAppeared):
            rows.add(event.handle)
        elif isinstance(event, Promised):
            promised.add(event.handle)
        elif isinstance(event, RowForgotten):
            rows.discard(event.handle)
            if event.handle in promised:
                breaches.append(Breach("I3", event.handle, f"promised, and removed at {event.at:.3f}"))
    breaches += [Breach("I3", handle, "promised, and there is no row of it") for handle in sorted(promised - rows)]
    phantoms = {event.handle for event in view.all(RolledBack)}
    return breaches + [
        Breach("I3", run.handle, f"ran at {run.at:.3f} although its transaction was rolled back")
        for run in view.all(RunStarted)
        if run.handle in phantoms
    ]


def one_owner_completes(view: JournalView) -> list[Breach]:
    """I4: an outcome is that of the row's present attempt, written by its owner; a lost owner writes nothing."""
    runs = {run.run: run for run in view.all(RunStarted)}
    owners: dict[bytes, str] = {}
    lost: set[str] = set()
    breaches = []
    for event in view.events:
        if isinstance(event, RowTaken):
            owners[event.handle] = event.owner
        elif isinstance(event, ServerLost) and event.how != DIED:
            # What a dead one had sent off before it died may still arrive; what a fenced one sends may not.
            lost.add(event.server)
        elif isinstance(event, RowForgotten):
            owners.pop(event.handle, None)
        elif isinstance(event, RowChanged | RowEnded):
            owner = owners.setdefault(event.handle, event.owner)
            if owner != event.owner:
                breaches.append(Breach("I4", event.handle, f"{event.owner} wrote a row of {owner} at {event.at:.3f}"))
            if event.owner in lost:
                breaches.append(Breach("I4", event.handle, f"{event.owner} wrote at {event.at:.3f} after its end"))
            if isinstance(event, RowEnded) and event.result:
                breaches += _of_the_present_run(event, runs.get(event.result))
    return breaches


def _of_the_present_run(end: RowEnded, run: RunStarted | None) -> list[Breach]:
    if run is None or run.handle != end.handle:
        return [Breach("I4", end.handle, f"has the result of {end.result!r}, which is no run of it")]
    if run.attempt and run.attempt != end.attempt:
        return [Breach("I4", end.handle, f"attempt {run.attempt} ended it during attempt {end.attempt}")]
    return []


def crashes_are_counted(view: JournalView) -> list[Breach]:
    """I7: a job that loses its worker `max_crashes` times is dead, and is run no more.

    Crashes whose count was not committed when the job's server was lost are forgotten with it, so that each loss of a
    server may cost as many runs once more.
    """
    limits = {row.handle: row.terms.max_lost or view.promises.max_crashes for row in view.all(RowAppeared)}
    ends = {event.run: event for event in view.all(RunEnded)}
    killed: defaultdict[bytes, list[RunStarted]] = defaultdict(list)
    for run in view.all(RunStarted):
        if run.is_background and run.run in ends and ends[run.run].how == KILLED:
            killed[run.handle].append(run)
    losses = view.all(ServerLost)
    breaches = []
    for handle, runs in killed.items():
        limit = limits.get(handle, view.promises.max_crashes)
        servers = {run.server for run in runs}
        excused = sum(1 for loss in losses if loss.at >= runs[0].at or loss.server in servers)
        if len(runs) > limit * (1 + excused):
            sentence = f"lost its worker {len(runs)} times, {limit} are allowed and {excused} servers forgot theirs"
            breaches.append(Breach("I7", handle, sentence))
    started = Counter(run.handle for run in view.all(RunStarted))
    handed_out = Counter(event.handle for event in view.all(HandedOut))
    in_foreground = Counter(event.handle for event in view.all(HandedOut) if not event.is_background)
    breaches += [
        Breach(
            "I7", change.handle, f"has {change.crashes} crashes on record, and was run {started[change.handle]} times"
        )
        for change in view.all(RowChanged)
        if change.crashes > max(started[change.handle], handed_out[change.handle])
    ]
    breaches += [
        Breach("I7", end.handle, f"is dead after {end.crashes} counted crashes, not {limits[end.handle]}")
        for end in view.all(RowEnded)
        # The last crash may be told by the outcome alone; those of a foreground job stand in no row.
        if end.outcome == DEAD and end.crashes + in_foreground[end.handle] < limits[end.handle] - 1
    ]
    return breaches


def everything_ends(view: JournalView) -> list[Breach]:
    """I8: once nothing goes wrong any more every job comes to its end, and every waiting client hears of it."""
    if not view.all(RunOver):
        return []
    over = {event.handle for event in view.all(RowEnded)} | {event.handle for event in view.all(RowForgotten)}
    breaches = [
        Breach("I8", row.handle, f"its row appeared at {row.at:.3f} and never ended")
        for row in view.all(RowAppeared)
        if row.handle not in over
    ]
    settled = {(event.client, event.handle) for event in view.all(ForegroundOver)}
    return breaches + [
        Breach("I8", asked.handle, f"client {asked.client} waits for ever")
        for asked in view.all(ForegroundAsked)
        if (asked.client, asked.handle) not in settled
    ]


def waiting_jobs_are_taken_over(view: JournalView) -> list[Breach]:
    """I8: the waiting jobs of a dead server are another's within `take_over_s`, where a healthy one is there."""
    breaches = []
    within_s = view.promises.take_over_s
    for loss in view.all(ServerLost):
        until = loss.at + within_s
        if loss.how != DIED or view.ends_at() < until or not _has_healthy_server(view, loss, until):
            continue
        for handle in _waiting_rows(view, loss):
            taken = (event.at for event in view.all(RowTaken) if event.handle == handle and event.at >= loss.at)
            if next(taken, until + 1.0) > until:
                breaches.append(Breach("I8", handle, f"waited for more than {within_s} s after {loss.server} died"))
    return breaches


def _has_healthy_server(view: JournalView, loss: ServerLost, until: float) -> bool:
    # It must have renewed its own lease twice before it may judge another's.
    since = loss.at - view.promises.take_over_s
    gone = {event.server: event.at for event in reversed(view.all(ServerLost))}
    servers = [began.server for began in view.all(ServerBegan) if began.at <= since]
    disturbed = [event for event in view.all(Disturbed) if event.at < until and since < event.until]
    if any(not event.who for event in disturbed):
        return False
    # An incarnation is called by its host's name and a number.
    troubled = {event.who for event in disturbed}
    healthy = [server for server in servers if not troubled & {server, server.partition(".")[0]}]
    return any(gone.get(server, until) >= until for server in healthy)


def _waiting_rows(view: JournalView, loss: ServerLost) -> list[bytes]:
    owners: dict[bytes, str] = {}
    running: set[bytes] = set()
    for event in view.events:
        if event.at > loss.at:
            break
        if isinstance(event, RowTaken):
            owners[event.handle] = event.owner
        elif isinstance(event, RowChanged):
            owners[event.handle] = event.owner
            (running.add if event.is_running else running.discard)(event.handle)
        elif isinstance(event, RowEnded | RowForgotten):
            owners.pop(event.handle, None)
    return [handle for handle, owner in owners.items() if owner == loss.server and handle not in running]


def ready_jobs_start_at_once(view: JournalView) -> list[Breach]:
    """I8: while nothing goes wrong a ready job does not wait where a worker idles."""
    quiet_at = next((event.at for event in view.all(QuietBegan)), None)
    if quiet_at is None:
        return []
    limit_s = view.promises.start_within_s
    return [
        Breach("I8", event.handle, f"waited {event.idle_wait_s:.3f} s for a worker that had nothing to do")
        for event in view.all(HandedOut)
        if event.at - event.idle_wait_s > quiet_at + view.promises.settles_within_s and event.idle_wait_s > limit_s
    ]


def order_is_kept(view: JournalView) -> list[Breach]:
    """I9: a server hands out a function's ready jobs by priority, then first come, first served."""
    ready: defaultdict[tuple[str, bytes], dict[bytes, int]] = defaultdict(dict)
    breaches = []
    for event in view.events:
        if isinstance(event, Ready):
            # One that is wanted sooner stands at the end of its new line.
            ready[event.server, event.function].pop(event.handle, None)
            ready[event.server, event.function][event.handle] = event.priority
        elif isinstance(event, HandedOut):
            line = ready[event.server, event.function]
            passed_over = [] if event.is_resumed else _passed_over(line, event.handle)
            if passed_over:
                breaches.append(Breach("I9", event.handle, f"was handed out at {event.at:.3f} before {passed_over!r}"))
            line.pop(event.handle, None)
        elif isinstance(event, RunSettled):
            # It may have ended without having run: it expired, or was cancelled.
            for (server, _), line in ready.items():
                if server == event.server:
                    line.pop(event.handle, None)
        elif isinstance(event, RowEnded | RowForgotten | RowTaken):
            for line in ready.values():
                line.pop(event.handle, None)
    return breaches


def _passed_over(line: dict[bytes, int], handle: bytes) -> list[bytes]:
    """Return the ready jobs that should have come before this one; none for one that came back from a worker."""
    if handle not in line:
        return []
    priority, is_behind = line[handle], False
    better = []
    for other, its_priority in line.items():
        if other == handle:
            is_behind = True
        elif its_priority > priority or (its_priority == priority and not is_behind):
            better.append(other)
    return better


def rows_never_regress(view: JournalView) -> list[Breach]:
    """I10: an outcome stays, attempts and crashes only grow, and nobody hears of an end before it is in the row."""
    # The client of a foreground job hears of that one's end, whatever becomes of a row that is another server's.
    excused = view.parted()
    ended: set[bytes] = set()
    seen: dict[bytes, RowChanged] = {}
    breaches = []
    for event in view.events:
        if isinstance(event, RowEnded):
            ended.add(event.handle)
        elif isinstance(event, RowChanged):
            last = seen.get(event.handle, event)
            if event.handle in ended:
                breaches.append(Breach("I10", event.handle, f"changed at {event.at:.3f} after its end"))
            if event.attempt < last.attempt or event.crashes < last.crashes:
                breaches.append(Breach("I10", event.handle, f"went back from {last} to {event}"))
            seen[event.handle] = event
        elif isinstance(event, Told) and event.is_durable and event.handle not in ended | excused:
            breaches.append(
                Breach("I10", event.handle, f"its client heard of the end at {event.at:.3f}, before the row")
            )
    return breaches


def foreground_jobs_stay(view: JournalView) -> list[Breach]:
    """I11: a foreground job runs for the server that took it only, and is not handed out after that one's end."""
    homes = {event.handle: event.server for event in view.all(ForegroundAsked)}
    durable = {event.handle for event in view.all(RowAppeared)}
    # A fenced one lost its stored jobs only, and may not know it yet.
    lost = {event.server: event.at for event in view.all(ServerLost) if event.how == DIED}
    breaches = []
    for event in view.all(HandedOut):
        if event.is_background or event.handle in durable:
            continue
        home = homes.get(event.handle, event.server)
        if home != event.server:
            breaches.append(Breach("I11", event.handle, f"was {home}'s, and {event.server} handed it out"))
        elif event.at > lost.get(home, event.at):
            breaches.append(Breach("I11", event.handle, f"was handed out after the end of {home}"))
    return breaches


#: Every check, in the order of the invariants.
CHECKS: Final[tuple[Check, ...]] = (
    acknowledged_means_stored,
    handles_name_one_job,
    uniques_name_one_job,
    promised_jobs_are_kept,
    one_owner_completes,
    runs_do_not_overlap,
    runs_again_for_a_reason,
    runs_are_stopped_for_a_reason,
    runs_of_survivors_count,
    crashes_are_counted,
    everything_ends,
    waiting_jobs_are_taken_over,
    ready_jobs_start_at_once,
    order_is_kept,
    expired_jobs_do_not_start,
    cancelled_jobs_do_not_start,
    lost_jobs_do_not_run_twice,
    rows_never_regress,
    foreground_jobs_stay,
    limits_are_kept,
    paused_functions_rest,
)


def breaches_of(view: JournalView) -> list[Breach]:
    """Return everything in the journal that breaks an invariant."""
    return [breach for check in CHECKS for breach in check(view)]
