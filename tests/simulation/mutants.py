"""Programs with one fault each: the rules that the simulation must find missing.

A mutant is a site whose parts have one wrong habit: a parameter, or a small subclass of a real or a simulated part;
nothing is patched. Each breaks a rule of the durability design, or undoes the cure of a fault that a seed or a reader
found once. `test_mutants` says within how many seeds each must be caught.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gearjobs.core.job_queue import JobQueue
from gearjobs.server.commit.commit_steps import CommitRules
from gearjobs.server.commit.group_commit import GroupCommit
from gearjobs.server.connection import HeldReply
from gearjobs.worker.holding.held_work import HeldWork
from tests.simulation import fate_mutants, limit_mutants, pause_mutants, server_mutants, table_mutants, worker_mutants
from tests.simulation.server_parts import ServerHabits
from tests.simulation.shared_table import SharedTable
from tests.simulation.simulated_worker import WorkerHabits
from tests.simulation.site import Habits


@dataclass(frozen=True, slots=True)
class Mutant:
    """A site with one fault."""

    name: str
    new_habits: Callable[[], Habits]


def _table(kind: type[SharedTable]) -> Callable[[], Habits]:
    return lambda: Habits(new_table=kind)


def _queue(kind: type[JobQueue]) -> Callable[[], Habits]:
    return lambda: Habits(server=ServerHabits(new_queue=kind))


def _group(kind: type[GroupCommit[HeldReply]]) -> Callable[[], Habits]:
    return lambda: Habits(server=ServerHabits(new_group_commit=kind))


def _work(kind: type[HeldWork]) -> Callable[[], Habits]:
    return lambda: Habits(worker=WorkerHabits(new_held_work=kind))


MUTANTS: Final = (
    # R1: the answer leaves after the commit.
    Mutant("acknowledged before the commit", lambda: Habits(server=ServerHabits(holds_created=False))),
    Mutant("silent commit taken for done", _group(server_mutants.GroupThatTakesSilenceForConsent)),
    Mutant("commit forgotten by the store", _table(table_mutants.TableThatForgetsCommits)),
    Mutant("job run before its commit", _queue(server_mutants.QueueThatRunsEarly)),
    Mutant("end told before its commit", _group(server_mutants.GroupThatTellsAtOnce)),
    # R2: deadlines count from the question.
    Mutant("renewal counted from its answer", _work(worker_mutants.WorkThatCountsFromAnswers)),
    Mutant("assignment counted from its answer", lambda: Habits(worker=WorkerHabits(counts_from_answer=True))),
    # R3: an outcome is taken from whoever has the present attempt only.
    Mutant("completion by handle alone", _queue(server_mutants.QueueThatTrustsHandles)),
    Mutant("any attempt resumed", _queue(server_mutants.QueueThatResumesAnything)),
    Mutant("fence not looked at", _table(table_mutants.TableThatFencesNobody)),
    Mutant("fenced server renewed", _table(table_mutants.TableThatRenewsTheFenced)),
    Mutant("old session heard", _table(table_mutants.TableOfOldSessions)),
    # R4: who comes back has this very run.
    Mutant("refusal ignored by the worker", _work(worker_mutants.WorkThatIgnoresRefusals)),
    # R5: what was done without an answer is found again.
    Mutant("adoption without an answer forgotten", _table(table_mutants.TableThatAdoptsInSilence)),
    Mutant("refused row left behind", _group(server_mutants.GroupThatForgetsGhosts)),
    Mutant("row withdrawn that others rely on", _table(table_mutants.TableThatWithdrawsAnything)),
    Mutant("outcome not tried again", _group(server_mutants.GroupThatDropsOutcomes)),
    Mutant("rows looked for on a nudge only", lambda: Habits(server=ServerHabits(sweeps=False))),
    # R6: nobody is taken for dead who may live.
    Mutant("take-over during the lease", _table(table_mutants.TableThatFencesAtOnce)),
    Mutant("living server taken for dead", _table(table_mutants.TableThatBelievesAnyDeath)),
    Mutant("no take-over at all", _table(table_mutants.TableThatTakesNothingOver)),
    # R7: a lost worker's job waits until that worker has surely stopped.
    Mutant("no grace after a restart", _queue(server_mutants.QueueWithoutGrace)),
    Mutant("no patience after a take-over", _table(table_mutants.TableWithoutPatience)),
    Mutant("connection given up too soon", lambda: Habits(worker=WorkerHabits(keepalive_s=(3.0, 4.0)))),
    Mutant("clock step not noticed", lambda: Habits(server=ServerHabits(heeds_clock=False))),
    # R8: without the lease in hand nothing is handed out and nobody's lease prolonged.
    Mutant("handed out without the lease", lambda: Habits(server=ServerHabits(heeds_lease=False))),
    Mutant("lease believed in for too long", lambda: Habits(server=ServerHabits(CommitRules(lease_margin_s=-20.0)))),
    Mutant("lost lease ignored by the worker", _work(worker_mutants.WorkThatIgnoresHeld)),
    # R9: whoever is silent is lost, to both sides.
    Mutant("vanished worker never given up", lambda: Habits(server=ServerHabits(has_keepalive=False))),
    Mutant("silence borne by the worker", _work(worker_mutants.WorkThatBearsSilence)),
    Mutant("worker without a deadline", lambda: Habits(worker=WorkerHabits(ends_lost_runs=False))),
    Mutant("worker that never renews", _work(worker_mutants.WorkThatNeverRenews)),
    Mutant("outcome not kept by the worker", _work(worker_mutants.WorkThatKeepsNoOutcome)),
    Mutant("orphan never queued again", _queue(server_mutants.QueueThatForgetsOrphans)),
    # What else is promised.
    Mutant("start not recorded", _group(server_mutants.GroupThatRecordsNoStart)),
    Mutant("unique within a server only", _table(table_mutants.TableOfServersOwnUniques)),
    Mutant("joined job run as well", _queue(server_mutants.QueueThatRunsJoinedJobs)),
    Mutant("refused job run", _queue(server_mutants.QueueThatRunsRefusedJobs)),
    Mutant("rolled-back row run", lambda: Habits(keeps_rolled_back=True)),
    Mutant("crashes not counted", _queue(server_mutants.QueueThatCountsNoCrashes)),
    Mutant("last come, first served", _queue(server_mutants.QueueOfLastComers)),
    # Terms and cancels hold, whatever becomes of workers and servers.
    Mutant("expired job started", _queue(fate_mutants.QueueThatExpiresNothing)),
    Mutant("terms forgotten by a restart", _queue(fate_mutants.QueueThatForgetsTerms)),
    Mutant("wish to stop forgotten by a restart", _queue(fate_mutants.QueueThatForgetsCancels)),
    Mutant("stopped job run again", _queue(fate_mutants.QueueThatRunsStoppedJobsAgain)),
    Mutant("wish to stop not recorded", _group(fate_mutants.GroupThatForgetsCancels)),
    Mutant("retry not recorded", _group(fate_mutants.GroupThatForgetsRetries)),
    # Limits hold, and open again.
    Mutant("runs of a key not counted", _queue(limit_mutants.QueueWithoutLimits)),
    Mutant("starts of a key not counted", _queue(limit_mutants.QueueThatForgetsStarts)),
    Mutant("slot never given back", _queue(limit_mutants.QueueThatKeepsSlots)),
    Mutant("rate never opens", _queue(limit_mutants.QueueThatOpensNoRate)),
    # A pause holds, and ends.
    Mutant("pause not heard", _queue(pause_mutants.QueueThatPausesNothing)),
    Mutant("pause that never ends", _queue(pause_mutants.QueueThatNeverGoesOn)),
)
