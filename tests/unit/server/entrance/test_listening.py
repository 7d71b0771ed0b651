"""The sockets a server listens on: which addresses, which port, and what it says when it cannot."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from gearjobs.errors import UsageError
from gearjobs.server.config import ServerConfig
from gearjobs.server.entrance.listening import open_sockets


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


@pytest.fixture
def opened() -> Iterator[list[socket.socket]]:
    """What the test opened, to be closed."""
    sockets: list[socket.socket] = []
    yield sockets
    for sock in sockets:
        sock.close()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 that another program listens on."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        yield other.getsockname()[1]


@pytest.fixture
def resolve(monkeypatch):
    """Give a name several addresses."""

    def let(name: str, *addresses: tuple[int, str]) -> None:
        real = socket.getaddrinfo

        def fake(host, port, **options):
            if host != name:
                return real(host, port, **options)
            return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in addresses]

        monkeypatch.setattr(socket, "getaddrinfo", fake)

    return let


def addresses_of(sockets: list[socket.socket]) -> list[tuple[str, int]]:
    return [sock.getsockname()[:2] for sock in sockets]


def test_free_port_is_chosen_by_the_system(opened):
    opened += open_sockets(ServerConfig(listen=("127.0.0.1",), port=0))

    ((host, port),) = addresses_of(opened)
    assert host == "127.0.0.1"
    assert port > 0
    socket.create_connection((host, port), timeout=5).close()


def test_free_port_is_the_same_for_every_address(opened):
    opened += open_sockets(ServerConfig(listen=("127.0.0.1", "127.0.0.2"), port=0))

    (first, second) = addresses_of(opened)
    assert (first[0], second[0]) == ("127.0.0.1", "127.0.0.2")
    assert first[1] == second[1]


def test_free_port_is_the_same_for_every_address_of_a_name(opened, resolve):
    # Each address of a name had a port of its own.
    resolve("jobs.test", (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "127.0.0.2"))

    opened += open_sockets(ServerConfig(listen=("jobs.test",), port=0))

    (first, second) = addresses_of(opened)
    assert first[1] == second[1]


@needs_ipv6
def test_both_loopbacks_share_a_port(opened):
    opened += open_sockets(ServerConfig(listen=("127.0.0.1", "::1"), port=0))

    assert [host for host, _ in addresses_of(opened)] == ["127.0.0.1", "::1"]
    assert len({port for _, port in addresses_of(opened)}) == 1


@needs_ipv6
def test_every_address_of_one_kind_leaves_the_other_kind_free(opened):
    opened += open_sockets(ServerConfig(listen=("::", "0.0.0.0"), port=0))

    assert [host for host, _ in addresses_of(opened)] == ["::", "0.0.0.0"]


def test_port_that_is_taken_is_told_with_the_remedy(taken):
    with pytest.raises(UsageError) as refusal:
        open_sockets(ServerConfig(listen=("127.0.0.1",), port=taken))

    assert str(refusal.value) == (
        f"cannot listen on 127.0.0.1 port {taken}: Address already in use; another program uses the port "
        "(stop it, or choose another with --port; 0 takes a free one)"
    )


def test_nothing_stays_open_where_one_address_fails(taken):
    with pytest.raises(UsageError):
        open_sockets(ServerConfig(listen=("127.0.0.2", "127.0.0.1"), port=taken))

    with socket.socket() as probe:
        probe.bind(("127.0.0.2", taken))


def test_nothing_stays_open_where_one_address_of_a_name_fails(taken, resolve):
    resolve("jobs.test", (socket.AF_INET, "127.0.0.2"), (socket.AF_INET, "127.0.0.1"))

    with pytest.raises(UsageError, match=r"cannot listen on jobs\.test port"):
        open_sockets(ServerConfig(listen=("jobs.test",), port=taken))

    with socket.socket() as probe:
        probe.bind(("127.0.0.2", taken))


@needs_ipv6
def test_taken_ipv6_port_is_not_passed_over():
    # It was: clients that try ::1 first reached the other program.
    with socket.socket(socket.AF_INET6) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(UsageError, match=r"cannot listen on ::1 port .* another program uses the port"):
            open_sockets(ServerConfig(listen=("127.0.0.1", "::1"), port=port))


def test_ipv6_address_that_this_machine_has_not_is_passed_over(opened, caplog):
    caplog.set_level(logging.INFO, "gearjobs.server")

    opened += open_sockets(ServerConfig(listen=("127.0.0.1", "2001:db8::7"), port=0))

    assert [host for host, _ in addresses_of(opened)] == ["127.0.0.1"]
    assert "skip address=2001:db8::7" in caplog.text


def test_server_without_any_address_is_refused():
    with pytest.raises(UsageError, match="none of the addresses 2001:db8::7 can be listened on"):
        open_sockets(ServerConfig(listen=("2001:db8::7",), port=0))


def test_ipv4_address_that_this_machine_has_not_is_refused():
    with pytest.raises(UsageError) as refusal:
        open_sockets(ServerConfig(listen=("127.0.0.1", "192.0.2.7"), port=0))

    assert str(refusal.value).startswith("cannot listen on 192.0.2.7 port")
    assert str(refusal.value).endswith(": Cannot assign requested address")


def test_name_that_nobody_knows_is_refused(monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(UsageError, match=r"cannot listen on jobs\.test port 4730: Name or service not known"):
        open_sockets(ServerConfig(listen=("jobs.test",)))


def test_port_that_a_starting_program_only_holds_is_taken_over(opened):
    # As gearmand's own tests do: they choose a port, keep it bound, and start a server on it.
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))

        opened += open_sockets(ServerConfig(listen=("127.0.0.1",), port=holder.getsockname()[1]))

        socket.create_connection(addresses_of(opened)[0], timeout=5).close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells what a socket's backlog is")
def test_backlog_is_the_one_that_is_chosen(opened):
    opened += open_sockets(ServerConfig(listen=("127.0.0.1",), port=0, backlog=17))

    # struct tcp_info of linux/tcp.h: of a listening socket, tcpi_sacked is the longest its queue may be.
    told = opened[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    assert int.from_bytes(told[28:32], sys.byteorder) == 17


def test_silent_hosts_are_noticed(opened):
    opened += open_sockets(ServerConfig(listen=("127.0.0.1",), port=0))

    with socket.create_connection(addresses_of(opened)[0], timeout=5):
        accepted, _ = opened[0].accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
