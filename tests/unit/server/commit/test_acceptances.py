"""By when submitters must be answered, and which rows must go because they were not."""

from __future__ import annotations

from gearjobs.core.jobs import JobHandle
from gearjobs.server.commit.acceptances import GHOST_LIMIT, GIVE_UP_LIMIT, Acceptances, GhostRows
from tests.support.troubled_store import accepted

JOB = accepted(b"H:1")
OTHER = accepted(b"H:2")


def test_submitters_are_due_in_the_order_of_their_coming():
    acceptances = Acceptances(2.0)
    assert (bool(acceptances), acceptances.next_due()) == (False, None)
    acceptances.expect(JOB, has_room=True, now=10.0)
    acceptances.expect(OTHER, has_room=True, now=11.0)

    assert (bool(acceptances), acceptances.next_due()) == (True, 12.0)
    assert acceptances.overdue(11.9) == []
    assert acceptances.overdue(12.0) == [JOB]
    assert acceptances.overdue(13.0) == [JOB, OTHER]


def test_one_that_comes_without_room_is_due_at_once():
    acceptances = Acceptances(2.0)
    acceptances.expect(JOB, has_room=True, now=10.0)
    acceptances.expect(OTHER, has_room=False, now=10.0)

    assert (acceptances.next_due() or 0) <= 10.0
    assert acceptances.overdue(10.0) == [OTHER]
    assert acceptances.next_due() == 12.0


def test_one_without_room_that_was_settled_meanwhile_is_passed_over():
    acceptances = Acceptances(2.0)
    acceptances.expect(JOB, has_room=False, now=10.0)
    assert acceptances.forget(JOB.handle) is JOB

    assert acceptances.overdue(10.0) == []
    assert acceptances.forget(JOB.handle) is None


def test_only_so_many_are_answered_in_one_go():
    acceptances = Acceptances(2.0)
    for number in range(GIVE_UP_LIMIT + 5):
        acceptances.expect(accepted(b"H:%d" % number), has_room=number % 2 == 0, now=10.0)

    assert len(acceptances.overdue(12.0)) == GIVE_UP_LIMIT


def test_one_adrift_has_no_deadline_until_somebody_listens():
    acceptances = Acceptances(2.0)
    acceptances.expect(JOB, has_room=True, now=10.0)
    acceptances.set_adrift(JOB)
    assert (acceptances.next_due(), JOB.handle in acceptances, bool(acceptances)) == (None, True, False)
    assert acceptances.is_doubtful(JOB.handle)

    acceptances.heed(JOB.handle, now=20.0)
    acceptances.heed(OTHER.handle, now=20.0)

    assert acceptances.next_due() == 22.0
    assert acceptances.forget(JOB.handle) is JOB
    assert not acceptances.is_doubtful(JOB.handle)


def test_ghosts_leave_in_their_order_a_few_at_a_time():
    ghosts = GhostRows()
    for number in range(3):
        ghosts.add(JobHandle(b"H:%d" % number))
    ghosts.discard(JobHandle(b"H:1"))

    assert ghosts.take(1) == [b"H:0"]
    assert ghosts.is_leaving(JobHandle(b"H:0"))
    ghosts.rest()
    assert not ghosts.is_leaving(JobHandle(b"H:0"))
    assert (bool(ghosts), ghosts.take(9), bool(ghosts)) == (True, [b"H:2"], False)


def test_first_ghosts_of_an_outage_are_remembered():
    ghosts = GhostRows()
    for number in range(GHOST_LIMIT + 1):
        ghosts.add(JobHandle(b"H:%d" % number))

    assert len(ghosts.take(GHOST_LIMIT * 2)) == GHOST_LIMIT
