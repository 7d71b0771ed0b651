"""Hundreds of peers that send garbage, truncated and forged packets: the server lives on and meets no bug."""

from __future__ import annotations

import logging
import random
import struct
from collections.abc import Callable
from contextlib import suppress

import pytest

from gearjobs.protocol.packets import PacketType
from tests.support.job_server import running_memory_server
from tests.support.wire_peer import WirePeer, frame

PEERS = 600
#: Odd pieces of packets' arguments.
PIECES = (b"", b"f", b"\xff\xfe", b"-1", b"99999999999999999999", b"H:nobody:1", b"a\tb\nc", b"\r\n.\n", b"x" * 5000)
LINES = (
    b"status",
    b"workers",
    b"show jobs",
    b"maxqueue f -1",
    b"cancel job x",
    b"drop function f",
    b"create",
    b"verbose",
)


def random_bytes(chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(200))


def random_packet(chance: random.Random) -> bytes:
    """Return a packet of any type with arguments of any shape and number."""
    arguments = chance.choices(PIECES, k=chance.randrange(7))
    return frame(chance.randrange(140), *arguments, magic=chance.choice((b"\0REQ", b"\0REQ", b"\0RES", b"\0XXX")))


def truncated_packet(chance: random.Random) -> bytes:
    packet = random_packet(chance)
    return packet[: chance.randrange(len(packet))]


def lying_header(chance: random.Random) -> bytes:
    """Return a packet whose length is not its length."""
    return struct.pack(">4sII", b"\0REQ", chance.choice(list(PacketType)), chance.randrange(2**32)) + random_bytes(
        chance
    )


def random_line(chance: random.Random) -> bytes:
    return chance.choice(LINES) + b" " + chance.choice(PIECES) + b"\n"


SHAPES: tuple[Callable[[random.Random], bytes], ...] = (
    random_bytes,
    random_packet,
    random_packet,
    truncated_packet,
    lying_header,
    random_line,
)


def babble(peer: WirePeer, chance: random.Random) -> None:
    """Say a few odd things, read what comes back for a moment, and go."""
    with suppress(OSError):
        for _ in range(chance.randrange(1, 8)):
            peer.say_raw(chance.choice(SHAPES)(chance))
        peer.socket.settimeout(0.001)
        peer.socket.recv(65536)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_server_outlives_garbage_without_meeting_a_bug(seed, caplog):
    chance = random.Random(seed)
    with caplog.at_level(logging.ERROR), running_memory_server() as server:
        for _ in range(PEERS):
            with server.peer() as peer:
                babble(peer, chance)

        with server.peer() as peer:
            peer.expect_quiet()

    assert caplog.messages == []
