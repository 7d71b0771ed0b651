"""How long a server may act as the owner of its jobs."""

from __future__ import annotations

import math

from gearjobs.server.commit.store_lease import StoreLease


def lease() -> StoreLease:
    return StoreLease(renew_interval_s=2.5, margin_s=2.0)


def test_lease_that_was_not_given_yet_is_not_held_and_is_due():
    assert not lease().is_held(0.0)
    assert lease().renew_at == -math.inf


def test_lease_is_held_until_a_margin_before_its_end():
    given = lease()
    given.renewed(10.0, asked_at=100.0)

    assert given.is_held(107.9)
    assert not given.is_held(108.0)
    assert given.renew_at == 102.5


def test_short_lease_is_asked_for_sooner():
    # Redis gives ten seconds, whatever --lease-ttl says.
    given = StoreLease(renew_interval_s=15.0, margin_s=2.0)
    given.renewed(10.0, asked_at=100.0)

    assert given.renew_at == 102.5


def test_lease_of_a_store_with_one_server_never_ends():
    given = lease()
    given.renewed(math.inf, asked_at=100.0)
    given.doubt()

    assert given.is_held(1e12)
    assert given.renew_at == math.inf


def test_lease_in_doubt_is_lost_until_it_is_renewed():
    given = lease()
    given.renewed(10.0, asked_at=100.0)
    given.doubt()
    assert not given.is_held(100.1)
    assert given.renew_at < 100.1

    given.renewed(10.0, asked_at=100.2)
    assert given.is_held(100.3)
