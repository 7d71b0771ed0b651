"""What is written of a worker into a job's record."""

from __future__ import annotations

import pytest

from tests.support.core_builders import make_peer


def test_worker_is_written_down_by_the_id_it_gave():
    peer = make_peer()
    peer.client_id = "web-1/pool-3"

    assert (peer.worker_id, peer.is_named) == ("web-1/pool-3", True)


@pytest.mark.parametrize("client_id", ["-", ""])
def test_worker_that_gave_no_id_is_written_down_by_its_address(client_id):
    peer = make_peer()
    peer.client_id = client_id

    assert (peer.worker_id, peer.is_named) == (peer.address, False)


def test_connection_that_gave_no_id_shows_a_dash():
    assert make_peer().client_id == "-"
