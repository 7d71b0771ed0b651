"""Who counts as a peer on this machine."""

from __future__ import annotations

import pytest

from gearjobs.server.entrance.admin_rights import may_administer
from tests.support.fake_transport import QuietHandler, make_connection


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_peer_on_this_machine_may_administer(host):
    connection, _ = make_connection(QuietHandler(), number=1, peer=(host, 4000))

    assert may_administer(connection)


@pytest.mark.parametrize("host", ["10.0.0.9", "2001:db8::1", "fe80::1%eth0", "::ffff:10.0.0.9"])
def test_peer_elsewhere_may_not(host):
    connection, _ = make_connection(QuietHandler(), number=1, peer=(host, 4000))

    assert not may_administer(connection)


def test_peer_of_unknown_place_may_not():
    connection, _ = make_connection(QuietHandler(), number=1, peer=None)

    assert not may_administer(connection)
