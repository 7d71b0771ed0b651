"""Many requests on their way to several servers."""

from __future__ import annotations

import pytest

from gearjobs.client.portions import PORTION, PORTION_BYTES, Portions
from gearjobs.client.requests import job_request
from gearjobs.client.server_walk import Repeat, ServerFailed
from gearjobs.errors import ServerUnavailable
from gearjobs.servers import ServerAddress, ServerList

A, B = ServerAddress("a"), ServerAddress("b")
SERVERS = ServerList([A, B])


def portions_of(
    *uniques: bytes, payload: bytes = b"", servers: ServerList = SERVERS, by_unique: bool = False
) -> Portions:
    requests = [job_request("f", payload, unique=unique) for unique in uniques]
    return Portions(
        requests,
        lambda request: request.unique if by_unique else b"",
        to_try=lambda key: servers.to_try(0.0, key),
        every=servers.addresses,
    )


def failed(address: ServerAddress, repeat: Repeat = Repeat.ANYWHERE) -> ServerFailed:
    return ServerFailed(address, ConnectionRefusedError(111, "Connection refused"), repeat=repeat)


def test_requests_go_to_the_first_server_in_their_order():
    assert list(portions_of(b"1", b"2", b"3")) == [(A, [0, 1, 2])]


def test_no_requests_are_no_portions():
    assert list(portions_of()) == []


def test_portion_is_bounded_in_number():
    sizes = [len(indexes) for _, indexes in portions_of(*[b""] * (PORTION + 1))]

    assert sizes == [PORTION, 1]


def test_portion_is_bounded_in_bytes():
    sizes = [len(indexes) for _, indexes in portions_of(b"", b"", b"", payload=bytes(PORTION_BYTES // 2 + 1))]

    assert sizes == [2, 1]


def test_each_key_has_its_own_server():
    uniques = [b"%d" % number for number in range(20)]

    placed = dict(portions_of(*uniques, by_unique=True))

    assert {
        address: {SERVERS.to_try(0.0, uniques[index])[0] for index in indexes} for address, indexes in placed.items()
    } == {
        A: {A},
        B: {B},
    }


def test_what_a_server_was_to_have_goes_to_the_next_one_when_it_fails():
    portions = portions_of(*[b""] * (PORTION + 1))
    sent = []

    for address, indexes in portions:
        if address == A:
            portions.failed(A, indexes, failed(A))
        else:
            sent += indexes

    assert sent == list(range(PORTION + 1))


def test_portion_that_may_have_been_acted_on_goes_nowhere_else():
    portions = portions_of(b"1")
    address, indexes = next(iter(portions))

    with pytest.raises(ServerUnavailable, match="may or may not have been taken"):
        portions.failed(address, indexes, failed(address, Repeat.NEVER))


def test_when_every_server_has_failed_all_reasons_are_told():
    portions = portions_of(b"1")

    def fail_all() -> None:
        for address, indexes in portions:
            portions.failed(address, indexes, failed(address))

    with pytest.raises(ServerUnavailable, match=r"could be reached: a:4730 \(.*\), b:4730"):
        fail_all()


def test_without_a_server_to_ask_nothing_begins():
    silent = ServerList([A])
    silent.failed(A, now=0.0, is_silent=True, chance=0.5)

    with pytest.raises(ServerUnavailable, match="none answered in time before: a:4730"):
        portions_of(b"1", servers=silent)
