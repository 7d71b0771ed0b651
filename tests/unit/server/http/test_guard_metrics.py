"""What a scrape shows of who was kept out, and of the memory that connections hold."""

from __future__ import annotations

import pytest
from prometheus_client.core import Metric

from gearjobs.core.job_queue import JobQueue, QueueRules
from gearjobs.server.entrance.admission import TurnedAway
from gearjobs.server.entrance.refusal_log import Failure
from gearjobs.server.http.guard_metrics import Guards, guard_metrics, take_guard_figures
from gearjobs.server.memory_budget import Strain
from tests.support.guards import make_guards


@pytest.fixture
def guards():
    return make_guards(JobQueue(QueueRules(has_store=False)))


def shown(guards: Guards) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and the values of its labels."""
    families: list[Metric] = list(guard_metrics(take_guard_figures(guards)))
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@pytest.mark.parametrize("reason", list(TurnedAway))
def test_connections_that_were_turned_away_are_counted_by_reason(guards, reason):
    assert shown(guards)["gearjobs_connections_turned_away_total", reason] == 0

    guards.admission.turned_away[reason] += 2

    assert shown(guards)["gearjobs_connections_turned_away_total", reason] == 2


@pytest.mark.parametrize("failure", list(Failure))
def test_failures_to_show_who_one_is_are_counted_by_reason(guards, failure):
    assert shown(guards)["gearjobs_authentication_failures_total", failure] == 0

    guards.failures.note(failure, "no", address="10.0.0.7:1")

    assert shown(guards)["gearjobs_authentication_failures_total", failure] == 1


def test_refused_requests_are_counted_by_reason_and_verb(guards):
    guards.gatekeeper.refused["ACCESS_DENIED", "submit"] += 3
    guards.operator.refused = 4

    samples = shown(guards)

    assert samples["gearjobs_requests_refused_total", "access_denied", "submit"] == 3
    assert samples["gearjobs_requests_refused_total", "not_allowed", "admin"] == 4


def test_strangers_are_counted(guards):
    guards.admission.enter("a", "10.0.0.7", must_prove=True)
    guards.admission.enter("b", "10.0.0.7")

    assert shown(guards)["gearjobs_connections_unproven",] == 1


def test_memory_is_shown_with_its_limit_and_what_is_done_about_it(guards):
    guards.budget.strain = Strain.REFUSING
    guards.budget.submits_refused, guards.budget.cut_off = 5, 6

    samples = shown(guards)

    assert samples["gearjobs_buffered_bytes",] == 0
    assert samples["gearjobs_buffer_budget_bytes",] == 1_000_000
    assert samples["gearjobs_buffer_strain",] == 2
    assert samples["gearjobs_connections_held_off",] == 0
    assert samples["gearjobs_buffer_submits_refused_total",] == 5
    assert samples["gearjobs_buffer_connections_cut_off_total",] == 6
