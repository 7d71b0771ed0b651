"""What is written of a worker into a job's record."""

from __future__ import annotations

import pytest

from tests.support.core_builders import make_peer, make_queue


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


@pytest.mark.parametrize(
    ("pattern", "is_called"),
    [("box-1", True), ("box-*", True), ("*", True), ("box", False), ("box-2", False), ("other*", False)],
)
def test_worker_is_called_by_its_name_or_a_beginning_of_it(pattern, is_called):
    peer = make_peer(1, make_queue())
    peer.client_id = "box-1"

    assert peer.is_worker_called(pattern) is is_called


def test_client_is_no_worker_whatever_it_is_called():
    peer = make_peer()
    peer.client_id = "box-1"

    assert not peer.is_worker_called("*")


def test_worker_that_takes_no_jobs_for_a_while_is_one_all_the_same():
    peer = make_peer()
    peer.client_id, peer.report = "box-1", b"{}"

    assert peer.is_worker_called("box-1")
