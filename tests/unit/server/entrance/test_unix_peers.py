"""Who is at the other end of a Unix socket, as the kernel says."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket

import pytest

from gearjobs.server.entrance import unix_peers
from gearjobs.server.entrance.unix_peers import UnixPeer, find_unix_peer

OWN_NAME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture(autouse=True)
def _forget_names():
    unix_peers._name_of.cache_clear()
    yield
    unix_peers._name_of.cache_clear()


def find() -> UnixPeer:
    """Return who this process is."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        return asyncio.run(find_unix_peer(ours))


def test_peer_is_known_by_its_user():
    assert find() == UnixPeer(frozenset({f"unix:{OWN_NAME}", f"uid:{os.getuid()}"}), f"unix:{OWN_NAME}:{os.getpid()}")


def test_user_without_a_name_is_known_by_number(monkeypatch):
    def nobody(_):
        raise KeyError("no such user")

    monkeypatch.setattr(pwd, "getpwuid", nobody)

    assert find() == UnixPeer(frozenset({f"uid:{os.getuid()}"}), f"unix:{os.getuid()}:{os.getpid()}")


def test_peer_is_local_and_no_more_where_the_system_cannot_say(monkeypatch):
    monkeypatch.delattr(socket, "SO_PEERCRED")

    assert find() == UnixPeer(frozenset(), "unix")
