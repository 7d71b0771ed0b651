"""How fast jobs come and go lately."""

from __future__ import annotations

import pytest

from gearjobs.core.flow_rates import FlowRate, FlowRates
from tests.support.core_builders import NOW, RESIZE, make_queue, make_waiting


@pytest.fixture
def rates():
    return FlowRates()


def flow(queue, *, entered=0, taken=0):
    queue.entered += entered
    queue.taken += taken


def read(rates, queue, *, until):
    """Take readings once a second up to a time after the beginning."""
    for second in range(until + 1):
        rates.read({RESIZE: queue}, NOW + second)


def test_function_that_was_never_read_has_no_rate(rates):
    assert rates.rate(make_queue(make_waiting()), NOW) == FlowRate()


def test_function_has_no_rate_in_the_moment_of_its_first_reading(rates):
    queue = make_queue()
    read(rates, queue, until=0)

    assert rates.rate(queue, NOW) == FlowRate()


def test_rate_is_what_came_a_second(rates):
    queue = make_queue()
    read(rates, queue, until=0)
    flow(queue, entered=40, taken=20)

    assert rates.rate(queue, NOW + 10) == FlowRate(entered=4.0, taken=2.0)


def test_what_came_more_than_a_minute_ago_counts_no_more(rates):
    queue = make_queue()
    read(rates, queue, until=0)
    flow(queue, entered=1000, taken=1000)
    read(rates, queue, until=60)

    assert rates.rate(queue, NOW + 61) == FlowRate()


def test_rate_goes_by_half_a_minute_at_least(rates):
    queue = make_queue()
    read(rates, queue, until=60)
    flow(queue, entered=31)

    assert rates.rate(queue, NOW + 61) == FlowRate(entered=1.0)


def test_function_that_was_dropped_and_came_again_begins_anew(rates):
    old = make_queue()
    flow(old, entered=500)
    read(rates, old, until=70)
    new = make_queue(make_waiting())
    rates.read({RESIZE: new}, NOW + 71)

    assert rates.rate(new, NOW + 72) == FlowRate(entered=1.0)


def test_function_that_is_gone_is_forgotten(rates):
    queue = make_queue()
    read(rates, queue, until=0)
    rates.read({}, NOW + 1)

    assert rates.rate(queue, NOW + 2) == FlowRate()


def test_clock_that_was_set_changes_no_rate(rates):
    queue = make_queue()
    read(rates, queue, until=0)
    flow(queue, entered=40)

    rates.move(-500.0)

    assert rates.rate(queue, NOW - 490) == FlowRate(entered=4.0)


def test_what_came_before_the_first_reading_is_no_flood(rates):
    queue = make_queue()
    rates.read({}, NOW)
    flow(queue, entered=3)
    rates.read({RESIZE: queue}, NOW + 1)

    assert rates.rate(queue, NOW + 1.001) == FlowRate(entered=3.0)


def test_what_stood_there_when_the_server_began_did_not_come(rates):
    queue = make_queue()
    flow(queue, entered=1_000_000)
    rates.read({RESIZE: queue}, NOW)

    assert rates.rate(queue, NOW + 2) == FlowRate()
