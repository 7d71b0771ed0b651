"""A Unix socket's file: made with its permissions, taken over from a server that was killed, removed at the end."""

from __future__ import annotations

import socket
import stat
from contextlib import closing
from pathlib import Path

import pytest

from gearjobs.errors import UsageError
from gearjobs.server.entrance.unix_listener import UnixListener


def listen(path: Path, *, mode: int = 0o660) -> UnixListener:
    return UnixListener(str(path), mode=mode, backlog=5)


@pytest.mark.parametrize("mode", [0o660, 0o600, 0o666])
def test_file_has_the_permissions_that_are_asked_for(socket_path, mode):
    with closing(listen(socket_path, mode=mode)):
        found = socket_path.stat().st_mode

    assert (stat.S_ISSOCK(found), stat.S_IMODE(found)) == (True, mode)


def test_peer_is_taken(socket_path):
    with closing(listen(socket_path)) as listener, socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(5.0)
        peer.connect(str(socket_path))
        taken, _ = listener.accept()
        with taken:
            taken.sendall(b"hello")

        assert peer.recv(10) == b"hello"


def test_file_is_removed_at_the_end(socket_path):
    listener = listen(socket_path)
    listener.close()
    listener.close()

    assert not socket_path.exists()


def test_file_of_a_server_that_was_killed_is_taken_over(socket_path):
    with closing(socket.socket(socket.AF_UNIX)) as killed:
        killed.bind(str(socket_path))

    with closing(listen(socket_path)), closing(socket.socket(socket.AF_UNIX)) as peer:
        assert peer.connect_ex(str(socket_path)) == 0


def test_two_servers_do_not_share_a_socket(socket_path):
    with closing(listen(socket_path)):
        with pytest.raises(UsageError, match=f"cannot listen on unix:{socket_path}: another job server listens there"):
            listen(socket_path)

        assert socket_path.exists()


def test_socket_of_another_program_is_left_alone(socket_path):
    with closing(socket.socket(socket.AF_UNIX)) as other:
        other.bind(str(socket_path))
        other.listen()
        with pytest.raises(UsageError, match=f"cannot listen on unix:{socket_path}: Address already in use"):
            listen(socket_path)

        assert socket_path.exists()


def test_file_that_is_no_socket_is_left_alone(socket_path):
    socket_path.write_text("precious")

    with pytest.raises(UsageError, match="Address already in use"):
        listen(socket_path)

    assert socket_path.read_text() == "precious"


def test_lock_that_is_a_link_is_not_followed(socket_path):
    Path(f"{socket_path}.lock").symlink_to(socket_path.parent / "elsewhere")

    with pytest.raises(UsageError, match="cannot listen on"):
        listen(socket_path)

    assert not (socket_path.parent / "elsewhere").exists()


def test_directory_that_is_not_there_is_told(socket_path):
    with pytest.raises(UsageError, match=r"cannot listen on .*: No such file or directory"):
        listen(socket_path.parent / "nowhere" / "jobs.sock")


def test_path_that_is_too_long_is_told(socket_path):
    with pytest.raises(UsageError, match="AF_UNIX path too long"):
        listen(socket_path.parent / ("x" * 120))


def test_file_that_another_program_put_there_is_not_removed(socket_path):
    listener = listen(socket_path)
    socket_path.rename(socket_path.with_suffix(".old"))
    socket_path.write_text("another's")
    listener.close()

    assert socket_path.read_text() == "another's"


def test_file_that_somebody_removed_is_no_reason_to_fail(socket_path):
    listener = listen(socket_path)
    socket_path.unlink()
    listener.close()

    with closing(listen(socket_path)):
        assert socket_path.exists()
