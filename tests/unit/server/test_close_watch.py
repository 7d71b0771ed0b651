"""Kernel options for peers whose vanishing must be noticed soon."""

from __future__ import annotations

import socket
from contextlib import closing

from gearjobs.server.close_watch import set_close_watch
from tests.support.fake_transport import FakeTransport, make_connection
from tests.support.time_travel import travelling


def test_vanished_host_is_noticed_within_twelve_seconds():
    with closing(socket.socket()) as sock:
        set_close_watch(sock)

        names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        idle_s, interval_s, count, unacknowledged_ms = (sock.getsockopt(socket.IPPROTO_TCP, name) for name in names)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert idle_s + count * interval_s <= 12
    assert unacknowledged_ms <= 12_000


def test_unix_socket_has_no_such_options():
    with closing(socket.socket(socket.AF_UNIX)) as sock:
        set_close_watch(sock)


@travelling
async def test_connection_is_watched_once_it_was_asked_for():
    connection, transport = make_connection()
    options = transport.get_extra_info("socket").options
    assert isinstance(transport, FakeTransport)
    assert options == []

    connection.watch_closely()
    set_once = list(options)
    connection.watch_closely()

    assert set_once
    assert options == set_once
