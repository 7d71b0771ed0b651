"""Which job a grabbing worker gets: gearmand 2.0's order over all of its functions."""

from __future__ import annotations

from gearjobs.core.assignment import take_job
from tests.support.core_builders import MAIL, RESIZE, make_peer, make_queue, make_waiting


def take_all(peer):
    return [job.handle for job, _ in iter(lambda: take_job(peer), None)]


def test_worker_without_functions_gets_nothing():
    assert take_job(make_peer()) is None


def test_worker_whose_functions_have_no_jobs_gets_nothing():
    assert take_job(make_peer(1, make_queue(), make_queue(name=MAIL))) is None


def test_job_comes_with_the_ability_it_is_done_by():
    resize, mail = make_queue(make_waiting()), make_queue(name=MAIL)
    peer = make_peer(1, mail, resize)

    taken = take_job(peer)

    assert taken is not None
    assert taken[1].queue is resize


def test_most_urgent_job_of_all_functions_comes_first():
    resize = make_queue(make_waiting(b"normal"))
    mail = make_queue(make_waiting(b"high", MAIL, priority=50), make_waiting(b"low", MAIL, priority=-50), name=MAIL)

    assert take_all(make_peer(1, resize, mail)) == [b"high", b"normal", b"low"]


def test_functions_of_equal_urgency_take_turns():
    resize = make_queue(*(make_waiting(b"resize %d" % number) for number in range(3)))
    mail = make_queue(make_waiting(b"mail 0", MAIL), make_waiting(b"mail 1", MAIL), name=MAIL)

    assert take_all(make_peer(1, resize, mail)) == [b"resize 0", b"mail 0", b"resize 1", b"mail 1", b"resize 2"]


def test_first_of_equally_urgent_functions_is_asked_first():
    peer = make_peer(1, make_queue(make_waiting(b"mail", MAIL), name=MAIL), make_queue(make_waiting(b"resize")))

    assert take_all(peer)[0] == b"mail"


def test_served_function_is_asked_last_next_time():
    peer = make_peer(1, make_queue(make_waiting()), make_queue(name=MAIL))

    take_job(peer)

    assert [ability.queue.name for ability in peer.abilities] == [MAIL, RESIZE]


def test_grab_that_finds_nothing_turns_nothing():
    peer = make_peer(1, make_queue(), make_queue(name=MAIL))

    take_job(peer)

    assert [ability.queue.name for ability in peer.abilities] == [RESIZE, MAIL]


def test_function_at_which_the_worker_pauses_on_the_bench_is_left_out():
    peer = make_peer(1, make_queue(make_waiting(b"resize", priority=50)), make_queue(make_waiting(b"mail"), name=MAIL))
    peer.abilities[0].resumes_at = 1_003.0

    assert take_all(peer) == [b"mail"]
