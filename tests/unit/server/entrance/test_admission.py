"""Places for connections: how many there are, and who may take one."""

from __future__ import annotations

import resource

import pytest

from gearjobs.server.entrance.admission import UNPROVEN_LIMIT, Admission, TurnedAway, connection_limit

FAR = "10.0.0.7"


def admission_with(*hosts: str, limit: int = 10, source_limit: int = 0) -> Admission:
    admission = Admission(limit, source_limit=source_limit)
    for number, host in enumerate(hosts):
        admission.enter(number, host)
    return admission


def test_nobody_enters_when_all_places_are_taken():
    admission = admission_with(*["127.0.0.1"] * 10)

    assert admission.reason_to_refuse("127.0.0.1") is TurnedAway.FULL


def test_place_of_one_who_left_is_free_again():
    admission = admission_with(*["127.0.0.1"] * 10)
    admission.leave(3)

    assert admission.reason_to_refuse(FAR) is None


def test_one_host_takes_half_of_the_places_at_most():
    admission = admission_with(*[FAR] * 5)

    assert admission.reason_to_refuse(FAR) is TurnedAway.HOST_FULL
    assert admission.reason_to_refuse("10.0.0.8") is None


def test_bound_of_one_host_can_be_chosen():
    assert admission_with(FAR, FAR, source_limit=2).reason_to_refuse(FAR) is TurnedAway.HOST_FULL


def test_host_may_come_back_in_the_place_that_it_left():
    admission = admission_with(FAR, FAR, source_limit=2)
    admission.leave(0)

    assert admission.reason_to_refuse(FAR) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1"])
def test_this_machine_may_take_all_places(host):
    assert admission_with(*[host] * 9, source_limit=1).reason_to_refuse(host) is None


def test_whoever_has_no_place_leaves_none():
    admission = admission_with(*["::1"] * 10)
    admission.leave("somebody else")

    assert admission.reason_to_refuse("::1") is TurnedAway.FULL


def strangers_from(*hosts: str) -> Admission:
    """Return the places of a crowded server where all have yet to show who they are."""
    admission = Admission(10_000)
    for number, host in enumerate(hosts):
        admission.enter(number, host, must_prove=True)
    return admission


def test_strangers_take_a_few_places_only_be_they_of_this_machine():
    admission = strangers_from(*["127.0.0.1"] * UNPROVEN_LIMIT)

    assert admission.reason_to_refuse("127.0.0.1", must_prove=True) is TurnedAway.UNPROVEN_FULL
    assert admission.reason_to_refuse(FAR, must_prove=True) is TurnedAway.UNPROVEN_FULL
    assert admission.reason_to_refuse("127.0.0.1") is None


def test_one_host_takes_half_of_the_places_for_strangers_at_most():
    admission = strangers_from(*[FAR] * (UNPROVEN_LIMIT // 2))

    assert admission.reason_to_refuse(FAR, must_prove=True) is TurnedAway.HOST_FULL
    assert admission.reason_to_refuse("10.0.0.8", must_prove=True) is None


@pytest.mark.parametrize("step", [Admission.prove, Admission.leave])
def test_stranger_that_is_known_or_gone_takes_no_place_for_strangers(step):
    admission = strangers_from(*["127.0.0.1"] * UNPROVEN_LIMIT)
    step(admission, 3)
    step(admission, 3)

    assert admission.unproven == UNPROVEN_LIMIT - 1
    assert admission.reason_to_refuse("127.0.0.1", must_prove=True) is None


@pytest.mark.parametrize(
    ("files", "wanted", "places"),
    [
        (1024, 0, 960),
        (1024, 100, 100),
        (1024, 5000, 960),
        (64, 0, 32),
        (1, 0, 1),
        (resource.RLIM_INFINITY, 0, 1_000_000),
        (resource.RLIM_INFINITY, 7, 7),
    ],
)
def test_places_are_bounded_by_the_open_files(files, wanted, places, monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))

    assert connection_limit(wanted) == places
