"""Addresses, fail-over order and pauses: pure, so time and chance are plain numbers here."""

from __future__ import annotations

from collections import Counter

import pytest

from gearjobs.errors import UsageError
from gearjobs.servers import DEFAULT_PORT, ServerAddress, ServerList, parse_server, pause_s

A, B, C = ServerAddress("a"), ServerAddress("b"), ServerAddress("c")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost", ServerAddress("localhost", DEFAULT_PORT)),
        ("localhost:", ServerAddress("localhost", DEFAULT_PORT)),
        (" jobs.example.org:4731 ", ServerAddress("jobs.example.org", 4731)),
        ("10.0.0.7:65535", ServerAddress("10.0.0.7", 65535)),
        ("[::1]", ServerAddress("::1", DEFAULT_PORT)),
        ("[fe80::1]:1", ServerAddress("fe80::1", 1)),
        (" unix:/run/gear:jobs.sock", ServerAddress("", 0, "/run/gear:jobs.sock")),
    ],
)
def test_server_text_is_read(text, address):
    assert parse_server(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":4730",
        "a b",
        "a:x",
        "a:0",
        "a:65536",
        "a:-1",
        "a:٣",
        "a:123456",
        "::1",
        "[::1",
        "[]",
        "[::1]4730",
        "a:1:2",
        "unix:",
        "unix:a",
    ],
)
def test_server_text_that_is_none_is_refused_with_what_came(text):
    with pytest.raises(UsageError) as refusal:
        parse_server(text)

    assert repr(text) in str(refusal.value)


def test_bare_ipv6_address_is_refused_with_the_way_to_write_it():
    with pytest.raises(UsageError, match=r"write \[::1\]:4730"):
        parse_server("::1")


@pytest.mark.parametrize("text", ["jobs:4731", "[::1]:4730", "unix:/run/jobs.sock"])
def test_address_prints_as_it_is_read(text):
    assert str(parse_server(text)) == text


def test_servers_are_tried_in_their_order():
    assert ServerList(["a", B, "c:4730", "a"]).to_try(0.0) == (A, B, C)


@pytest.mark.parametrize("servers", [[], "a:4730"])
def test_servers_that_are_no_list_are_refused(servers):
    with pytest.raises(UsageError):
        ServerList(servers)


def test_refusing_server_is_asked_last_until_its_pause_is_over():
    servers = ServerList([A, B])

    length_s = servers.failed(A, now=10.0, is_silent=False, chance=0.5)

    assert servers.to_try(10.0) == [B, A]
    assert servers.to_try(10.0 + length_s) == [A, B]


def test_silent_server_is_not_asked_until_its_pause_is_over():
    servers = ServerList([A, B])

    length_s = servers.failed(A, now=10.0, is_silent=True, chance=0.5)

    assert servers.to_try(10.0) == [B]
    assert not servers.is_ready(A, 10.0)
    assert servers.retry_at(A) == 10.0 + length_s
    assert servers.to_try(10.0 + length_s) == [A, B]


def test_server_that_answers_again_is_in_good_standing():
    servers = ServerList([A, B])
    servers.failed(A, now=0.0, is_silent=True, chance=0.0)

    servers.succeeded(A)

    assert servers.to_try(0.0) == (A, B)
    assert servers.failed(A, now=0.0, is_silent=True, chance=0.0) == pause_s(1, is_silent=True, chance=0.0)


def test_pauses_grow_with_failures_in_a_row():
    servers = ServerList([A])

    lengths_s = [servers.failed(A, now=0.0, is_silent=False, chance=0.0) for _ in range(3)]

    assert lengths_s == [0.05, 0.1, 0.2]


@pytest.mark.parametrize(("is_silent", "first_s", "longest_s"), [(False, 0.1, 5.0), (True, 1.0, 30.0)])
def test_pauses_double_up_to_the_longest_and_are_spread_over_its_upper_half(is_silent, first_s, longest_s):
    assert pause_s(1, is_silent=is_silent, chance=0.0) == first_s / 2
    assert pause_s(2, is_silent=is_silent, chance=0.0) == first_s
    assert pause_s(10_000, is_silent=is_silent, chance=0.0) == longest_s / 2
    assert longest_s * 0.99 < pause_s(10_000, is_silent=is_silent, chance=0.999) < longest_s


def test_key_has_the_same_servers_in_every_process():
    # As computed once: another order would split the jobs of one unique between old and new clients.
    servers = ServerList([A, B, C])

    assert [servers.to_try(0.0, key)[0] for key in (b"user-1", b"user-2", b"user-3", b"user-4")] == [B, A, C, B]


def test_keys_spread_over_all_servers():
    servers = ServerList([A, B, C])

    counts = Counter(servers.to_try(0.0, b"%d" % number)[0] for number in range(3_000))

    assert all(900 < counts[address] < 1_100 for address in (A, B, C))


def test_keys_of_a_lost_server_spread_over_the_others_and_no_other_key_moves():
    whole, lessened = ServerList([A, B, C]), ServerList([A, C])
    keys = [b"%d" % number for number in range(300)]

    moved = {key for key in keys if whole.to_try(0.0, key)[0] != lessened.to_try(0.0, key)[0]}

    assert moved == {key for key in keys if whole.to_try(0.0, key)[0] == B}
    assert {lessened.to_try(0.0, key)[0] for key in moved} == {A, C}


def test_failed_server_is_passed_over_for_its_keys():
    servers = ServerList([A, B])
    key = next(b"%d" % number for number in range(100) if servers.to_try(0.0, b"%d" % number)[0] == A)

    servers.failed(A, now=0.0, is_silent=False, chance=0.5)

    assert servers.to_try(0.0, key) == [B, A]
