"""What supervisors tell of lost workers before the loss is noticed."""

from __future__ import annotations

from gearjobs.core.loss_causes import LossCauses
from tests.support.core_builders import make_running


def test_cause_of_a_run_is_kept_until_it_is_asked_for():
    causes, job = LossCauses(), make_running()
    causes.note(job, "killed by SIGSEGV")

    assert (causes.take(job), causes.take(job)) == ("killed by SIGSEGV", "")


def test_nothing_is_known_of_another_job():
    causes = LossCauses()
    causes.note(make_running(b"H:1"), "killed by SIGSEGV")

    assert causes.take(make_running(b"H:2")) == ""


def test_cause_of_an_earlier_run_is_forgotten():
    causes = LossCauses()
    causes.note(make_running(attempt=1), "killed by SIGSEGV")

    assert causes.take(make_running(attempt=2)) == ""
    assert causes.take(make_running(attempt=1)) == ""
