"""How long a run may go on, whatever its worker hears or does not hear."""

from __future__ import annotations

import math

import pytest

from gearjobs.worker.holding.run_lease import RENEW_EVERY_S, RunLease, RunVerdict


@pytest.fixture
def lease() -> RunLease:
    """Of a job grabbed at 100 s; its server may stay silent for 8 s and be gone for 28."""
    return RunLease(100.0, lease_s=8.0, resume_s=28.0)


def test_run_of_a_silent_server_ends_with_its_patience(lease):
    assert lease.deadline == 108.0
    assert lease.verdict(107.9) is RunVerdict.GOES_ON
    assert lease.verdict(108.0) is RunVerdict.EXPIRED


def test_renewal_counts_from_when_it_was_asked_for(lease):
    lease.renewal_sent(103.0)
    lease.renewed(103.0, is_held=True)

    assert lease.deadline == 111.0


def test_answer_that_comes_late_and_out_of_order_shortens_nothing(lease):
    lease.renewed(106.0, is_held=True)
    lease.renewed(103.0, is_held=True)

    assert lease.deadline == 114.0


def test_server_whose_host_still_answers_is_waited_for_as_one_that_is_gone(lease):
    for sent_at in (105.0, 110.0, 115.0, 120.0, 125.0):
        lease.heard(sent_at)

    assert lease.deadline == 128.0
    assert lease.final_deadline == 128.0


def test_old_sign_of_life_shortens_nothing(lease):
    lease.heard(106.0)
    lease.heard(103.0)

    assert lease.deadline == 114.0


def test_server_that_has_not_answered_for_its_patience_is_not_the_only_one_asked(lease):
    lease.renewal_sent(107.9)
    assert not lease.seeks_server

    lease.renewal_sent(108.0)
    assert lease.seeks_server

    lease.renewed(108.0, is_held=True)
    assert not lease.seeks_server


def test_renewal_is_due_a_while_after_the_last_one(lease):
    assert lease.renewal_due_at == 100.0 + RENEW_EVERY_S

    lease.renewal_sent(103.0)

    assert lease.renewal_due_at == 103.0 + RENEW_EVERY_S


def test_impatient_server_is_asked_more_often():
    assert RunLease(100.0, lease_s=0.8, resume_s=2.8).renewal_due_at == 100.25


def test_server_that_does_not_own_the_job_gives_no_more_time(lease):
    for sent_at in (105.0, 110.0, 115.0, 120.0, 125.0):
        lease.renewed(sent_at, is_held=False)

    assert lease.seeks_server
    assert lease.deadline == 128.0


def test_server_that_owns_the_job_again_gives_time_again(lease):
    lease.renewed(110.0, is_held=False)
    lease.renewed(112.0, is_held=True)

    assert not lease.seeks_server
    assert lease.deadline == 120.0


def test_run_whose_connection_was_closed_goes_on_for_longer(lease):
    lease.broke(is_silent=False)

    assert lease.seeks_server
    assert lease.deadline == 128.0
    assert lease.renewal_due_at == math.inf


def test_run_whose_connection_was_given_up_in_silence_gains_nothing(lease):
    lease.broke(is_silent=True)

    assert lease.seeks_server
    assert lease.deadline == 108.0


def test_resumed_run_is_renewed_at_once_and_gains_the_servers_patience(lease):
    lease.broke(is_silent=False)
    lease.resumed(115.0)

    assert not lease.seeks_server
    assert lease.renewal_due_at == -math.inf
    assert lease.deadline == 123.0


def test_being_resumed_does_not_say_that_the_server_owns_the_job(lease):
    lease.broke(is_silent=False)
    lease.resumed(127.0)

    assert lease.deadline == 128.0


def test_refused_run_is_over_at_once(lease):
    lease.refused()

    assert lease.verdict(100.0) is RunVerdict.REFUSED
