"""What the store is asked next, and who is told what: decided without a thread, on a clock that the test moves.

The same with the thread, the loop and real connections is in `test_durability`.
"""

from __future__ import annotations

import pytest

from gearjobs.core.changes import (
    CancelAsked,
    Finished,
    Forgotten,
    JobFailure,
    Outcome,
    Progressed,
    Rescheduled,
    Retried,
    Started,
    StoredJob,
)
from gearjobs.core.jobs import FunctionName, JobHandle
from gearjobs.errors import StoreError
from gearjobs.server.commit.acceptances import GIVE_UP_LIMIT
from gearjobs.server.commit.batch_commit import Verdict, commit_batch
from gearjobs.server.commit.commit_steps import AdoptStep, CommitRules, CommitStep
from gearjobs.server.commit.group_commit import (
    ADOPT_LIMIT,
    BATCH_BYTES,
    BATCH_CHANGES,
    PROBE_CHANGES,
    RETRY_LAST_S,
    RETRY_SUBMIT_S,
)
from tests.support.commit_desk import JOB, CommitDesk, HeldText, acceptances
from tests.support.troubled_store import OUTAGE, accepted

OTHER = JobHandle(b"H:2")
GHOST = Forgotten(JOB, was_refused=True)


def started(handle: JobHandle = JOB) -> Started:
    return Started(handle, 1, ["press"], 1_000.0)


def finished(handle: JobHandle = JOB, result: bytes = b"done") -> Finished:
    return Finished(handle, Outcome.SUCCEEDED, result, 1_000.0)


def progressed(numerator: float, handle: JobHandle = JOB) -> Progressed:
    return Progressed(handle, numerator, 10.0, "", 1_000.0)


def desk_in_outage() -> CommitDesk:
    """Return a desk whose store has just failed, with the end of a run to be kept."""
    desk = CommitDesk()
    desk.store.commit([accepted(JOB)])
    desk.store.failure = OUTAGE
    desk.record(finished())
    desk.go()
    return desk


def test_submit_is_committed_and_answered():
    desk = CommitDesk()
    desk.submit()
    desk.go()

    assert desk.said == [b"created H:1"]
    assert desk.committed() == [accepted(JOB)]


def test_one_step_at_a_time_and_what_comes_meanwhile_is_the_next_batch():
    desk = CommitDesk()
    desk.submit()
    batch = desk.begin_commit()
    desk.submit(OTHER)
    assert desk.group.next_step(desk.now) is None

    desk.end(Verdict(committed=batch))

    assert acceptances(desk.begin_commit()) == [OTHER]


@pytest.mark.parametrize(("size_bytes", "expected"), [(1, BATCH_CHANGES), (BATCH_BYTES // 4, 3)])
def test_batch_is_bounded(size_bytes, expected):
    desk = CommitDesk()
    payload = b"x" * size_bytes
    for number in range(expected + 1):
        desk.submit(b"H:%d" % number, payload=payload)

    assert len(desk.begin_commit()) == expected


def test_adoption_and_commit_take_turns():
    desk = CommitDesk()
    steps = []
    for number in range(4):
        desk.submit(b"H:%d" % number)
        desk.group.want_adoption()
        step = desk.begin()
        steps.append(type(step))
        if isinstance(step, CommitStep):
            desk.end(Verdict(committed=step.batch))
        else:
            desk.group.adopted([])

    assert steps == [AdoptStep, CommitStep, AdoptStep, CommitStep]


def test_adoption_that_found_its_limit_goes_on():
    desk = CommitDesk()
    desk.group.want_adoption()
    desk.begin()

    desk.group.adopted([StoredJob(JOB, FunctionName(b"resize"), b"", b"", 0, 0.0, 0.0)] * ADOPT_LIMIT)

    assert isinstance(desk.begin(), AdoptStep)


def test_submitter_hears_error_when_the_store_does_not_answer_in_time():
    desk = CommitDesk()
    desk.submit()
    desk.begin()
    desk.pass_time(1.9)
    assert desk.said == []

    desk.pass_time(0.1)

    assert (desk.said, desk.refused()) == ([b"error"], [JOB])


def test_submitter_that_waits_behind_a_hanging_commit_hears_error_and_its_job_is_never_committed():
    desk = CommitDesk()
    desk.submit()
    batch = desk.begin_commit()
    desk.submit(OTHER)
    desk.pass_time(2.0)

    desk.end(Verdict(committed=batch))
    desk.go()

    assert desk.refused() == [JOB, OTHER]
    assert not any(change.handle == OTHER for batch in desk.store.batches for change in batch)


def test_row_of_a_job_whose_submitter_heard_error_is_removed():
    desk = CommitDesk()
    desk.submit()
    batch = desk.begin_commit()
    desk.pass_time(2.0)

    desk.store.commit(batch)
    desk.end(Verdict(committed=batch))
    assert desk.committed() == []
    desk.go()

    assert desk.store.batches[-1] == [GHOST]
    assert desk.said == [b"error"]


def test_job_that_was_refused_in_time_leaves_nothing_to_remove():
    desk = CommitDesk()
    desk.submit()
    desk.begin()
    desk.pass_time(2.0)

    desk.end(Verdict(refused=[accepted(JOB)], error=StoreError("too long", is_outage=False)))

    assert desk.group.next_step(desk.now) is None
    assert (desk.said, desk.refused()) == ([b"error"], [JOB])


def test_job_submitted_again_under_its_handle_takes_the_late_row():
    desk = CommitDesk()
    desk.submit()
    batch = desk.begin_commit()
    desk.pass_time(2.0)
    desk.submit()

    desk.end(Verdict(committed=batch))

    assert desk.said == [b"error", b"created H:1"]
    assert desk.committed() == [accepted(JOB)]
    assert desk.group.next_step(desk.now) is None


def test_outage_refuses_submitters_and_removes_what_may_have_been_committed():
    # A commit whose answer was lost left a row that nobody knew, and whose unique was taken for ever.
    desk = CommitDesk()
    desk.submit()
    desk.store.failure = OUTAGE
    desk.go()
    assert (desk.said, desk.refused()) == ([b"error"], [JOB])

    desk.store.failure = None
    desk.pass_time(0.1)
    desk.go()

    assert desk.store.batches[-1] == [GHOST]


def test_ghost_that_could_not_be_removed_is_removed_later():
    desk = CommitDesk()
    desk.submit()
    desk.store.failure = OUTAGE
    desk.go()
    for _ in range(3):
        desk.pass_time(10)
        desk.go()

    assert desk.store.batches[1:] == [[GHOST]] * 3


def test_ghost_that_is_submitted_again_lives():
    desk = CommitDesk()
    desk.submit()
    desk.store.failure = OUTAGE
    desk.go()
    desk.pass_time(0.1)
    batch = desk.begin_commit()
    assert batch == [GHOST]
    desk.submit()

    desk.end(Verdict(postponed=batch, error=OUTAGE))
    desk.store.failure = None
    desk.pass_time(1)
    desk.go()

    assert desk.store.batches[-1] == [accepted(JOB)]
    assert desk.said[-1] == b"created H:1"


def test_ghost_that_its_client_inserted_and_this_server_adopted_lives():
    desk = CommitDesk()
    desk.submit()
    desk.store.failure = OUTAGE
    desk.go()
    desk.store.failure = None
    desk.pass_time(1)
    desk.group.want_adoption()
    desk.begin()

    desk.group.adopted([StoredJob(JOB, FunctionName(b"resize"), b"", b"", 0, 0.0, 0.0)])

    assert desk.group.next_step(desk.now) is None


def test_job_nobody_listens_for_is_not_given_up_while_it_may_be_committed():
    # Its client may count on the row it found when it wanted to insert it itself.
    desk = CommitDesk()
    reply = desk.submit()
    batch = desk.begin_commit()
    reply.is_wanted = False
    desk.pass_time(9)

    desk.end(Verdict(committed=batch))

    assert desk.refused() == []
    assert desk.committed() == batch


def test_job_nobody_listens_for_is_committed_again_after_an_outage():
    desk = CommitDesk()
    desk.submit().is_wanted = False
    desk.store.failure = OUTAGE
    desk.go()
    desk.pass_time(9)

    desk.store.failure = None
    desk.go()

    assert desk.refused() == []
    assert desk.committed() == [accepted(JOB)]


def test_job_nobody_listened_for_that_was_joined_is_answered_in_time():
    desk = CommitDesk()
    desk.submit().is_wanted = False
    desk.store.failure = OUTAGE
    desk.go()
    desk.group.hold_created(JOB, HeldText(b"created H:1"), now=desk.now)

    desk.pass_time(2)

    assert (desk.said, desk.refused()) == ([b"error"], [JOB])
    desk.store.failure = None
    desk.go()
    assert desk.store.batches[-1] == [GHOST]


def test_joined_job_is_answered_with_the_handle_of_the_job_that_the_store_had():
    desk = CommitDesk()
    desk.submit()
    batch = desk.begin_commit()
    desk.record(started())
    desk.group.hold_ended(JOB, end := HeldText(b"fail H:1"))

    ruling = desk.end(Verdict(joined=[(accepted(JOB), OTHER)]))

    assert batch == [accepted(JOB)]
    assert desk.said == [b"created H:2"]
    assert (ruling.joined, ruling.renamed_ends) == ([(accepted(JOB), OTHER)], [(end, OTHER)])
    assert desk.group.next_step(desk.now) is None


def test_job_whose_submitter_heard_error_and_that_was_joined_leaves_nothing():
    desk = CommitDesk()
    desk.submit()
    desk.begin()
    desk.pass_time(2)

    ruling = desk.end(Verdict(joined=[(accepted(JOB), OTHER)]))

    assert (ruling.joined, desk.said) == ([], [b"error"])


def test_what_was_recorded_of_a_job_after_it_was_given_up_is_void():
    desk = CommitDesk()
    desk.submit()
    batch = desk.begin_commit()
    batch.append(started())
    desk.pass_time(2)

    desk.end(Verdict(postponed=batch, error=OUTAGE))
    desk.pass_time(1)

    assert desk.begin_commit() == [GHOST]


def test_outcome_is_kept_and_told_when_the_store_is_back():
    desk = desk_in_outage()
    desk.group.hold_ended(JOB, desk.submit(OTHER))

    desk.store.failure = None
    desk.pass_time(RETRY_SUBMIT_S)
    desk.go()

    assert desk.store.finished[JOB] == finished()
    assert b"created H:2" in desk.said


def test_pauses_grow_while_only_what_was_done_waits():
    desk = desk_in_outage()
    pauses = []
    for _ in range(8):
        pauses.append((desk.group.next_due() or 0) - desk.group.failed_at)
        desk.group.backlog.unbound()
        due = desk.group.next_due()
        assert due is not None
        pauses[-1] = due - desk.group.failed_at
        desk.pass_time(pauses[-1])
        desk.go()

    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, RETRY_LAST_S, RETRY_LAST_S])


def test_store_is_tried_soon_when_somebody_submits():
    desk = desk_in_outage()
    for _ in range(9):
        desk.pass_time(RETRY_LAST_S)
        desk.go()
    desk.submit(OTHER)
    assert desk.group.next_step(desk.now) is None

    desk.store.failure = None
    desk.pass_time(RETRY_SUBMIT_S)
    desk.go()

    assert desk.said == [b"created H:2"]


def test_store_that_is_down_is_tried_with_little():
    desk = desk_in_outage()
    for number in range(PROBE_CHANGES):
        desk.record(finished(JobHandle(b"H:w%d" % number)))
    desk.store.failure = None
    desk.pass_time(1)

    sizes = []
    while (step := desk.group.next_step(desk.now)) is not None:
        assert isinstance(step, CommitStep)
        sizes.append(len(step.batch))
        desk.end(Verdict(committed=step.batch))

    assert sizes == [PROBE_CHANGES, 1]


def test_backlog_of_a_store_in_trouble_stops_the_handing_out_and_drops_progress_but_no_outcome():
    desk = CommitDesk(CommitRules(max_changes=10))
    desk.store.failure = OUTAGE
    desk.record(finished())
    desk.go()
    assert desk.group.may_hand_out(desk.now)
    for number in range(20):
        desk.record(progressed(1, JobHandle(b"H:%d" % number)))
        if number == 4:
            assert not desk.group.may_hand_out(desk.now)
    for number in range(20):
        desk.record(finished(JobHandle(b"H:%d" % number)))

    assert (len(desk.group.backlog), desk.group.backlog.dropped) == (21, 20)


def test_submits_beyond_the_backlog_are_turned_away_at_once():
    desk = CommitDesk(CommitRules(max_changes=4))
    desk.store.failure = OUTAGE
    desk.record(finished())
    desk.go()
    for number in range(5):
        desk.submit(b"H:s%d" % number)
    desk.pass_time(0)

    assert desk.refused() == [b"H:s3", b"H:s4"]


def test_many_overdue_submitters_are_answered_bit_by_bit():
    desk = CommitDesk()
    desk.record(finished())
    desk.begin()
    for number in range(GIVE_UP_LIMIT + 1):
        desk.submit(b"H:s%d" % number)
    desk.pass_time(2)
    assert len(desk.refused()) == GIVE_UP_LIMIT
    assert (desk.group.next_due() or 0) <= desk.now

    desk.pass_time(0)

    assert len(desk.refused()) == GIVE_UP_LIMIT + 1


def test_answer_to_a_wish_to_stop_waits_for_its_commit():
    desk = CommitDesk()
    desk.store.commit([accepted(JOB)])
    desk.record(CancelAsked(JOB, 1_000.0))
    was_asking = desk.group.is_asking(JOB)
    desk.group.hold_asked(JOB, HeldText(b"asked"))
    before = list(desk.said)

    desk.go()

    assert (was_asking, before, desk.said, desk.group.is_asking(JOB)) == (True, [], [b"asked"], False)


def test_answer_to_a_wish_to_stop_is_kept_through_an_outage():
    desk = desk_in_outage()
    desk.record(CancelAsked(JOB, 1_000.0))
    desk.group.hold_asked(JOB, HeldText(b"asked"))
    desk.pass_time(RETRY_LAST_S)
    desk.go()
    before = list(desk.said)
    desk.store.failure = None

    desk.pass_time(RETRY_LAST_S)
    desk.store.unfinished[JOB] = StoredJob(JOB, FunctionName(b"resize"), b"", b"photo", 0, 0.0, 1_000.0)
    desk.go()

    assert (before, desk.said[-1:]) == ([], [b"asked"])


def test_answer_to_each_change_of_a_jobs_place_waits_for_its_own_commit():
    desk = CommitDesk()
    desk.store.commit([accepted(JOB)])
    record_change(desk, 1)
    batch = desk.begin_commit()
    record_change(desk, 2)
    before = list(desk.said)

    desk.end(commit_batch(desk.store, batch))
    after_one = list(desk.said)
    desk.go()

    assert (before, after_one, desk.said) == ([], [b"changed 1"], [b"changed 1", b"changed 2"])


def record_change(desk, number):
    desk.record(Rescheduled(JOB, number, 0.0, 1_000.0))
    desk.group.hold_changed(JOB, HeldText(b"changed %d" % number))


def test_progress_of_a_run_that_failed_is_not_recorded_after_it():
    desk = CommitDesk(CommitRules(progress_interval_s=1.0))
    desk.store.commit([accepted(JOB), started()])
    desk.record(progressed(1.0))
    desk.record(progressed(2.0))
    desk.record(Retried(JOB, 1, JobFailure(message="no paper"), 1_060.0, 1_000.0))

    desk.pass_time(2.0)
    desk.go()

    assert [type(change) for change in desk.committed()] == [Progressed, Retried]


def test_ends_that_an_outage_put_back_are_tried_as_soon_as_the_store_is():
    desk = desk_in_outage()
    desk.store.failure = None
    desk.now += RETRY_LAST_S

    assert desk.begin_commit() == [finished()]
