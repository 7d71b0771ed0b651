"""The job server as a process: what programs that start a gearmand expect of it.

How its packets are answered is tested elsewhere; here are its start, its signals, its files and its end. Jobs are kept
in its memory, so that no database is needed.
"""

from __future__ import annotations

import os
import pwd
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from tests.support.eventually import eventually
from tests.support.wire_peer import WirePeer, frame

pytestmark = pytest.mark.slow

T = PacketType
ROOT = Path(__file__).resolve().parent.parent.parent
#: Seconds a start or an end may take on a busy machine.
TIMEOUT_S = 20.0
#: Seconds of processor time a start may take, imports of the project included: on an idle machine it takes no longer.
START_CPU_S = 1.0


class ServerProcess:
    """One server in a directory of its own, which it knows by relative paths only.

    Args:
        directory: its working directory.
        options: of its command line.
        port: where it is to listen; left out of the command line when None.
        environment: all there is in its environment.
        popen_options: what else is said to Popen.
    """

    def __init__(
        self,
        directory: Path,
        *options: str,
        port: int | None = 0,
        environment: dict[str, str] | None = None,
        **popen_options: Any,
    ) -> None:
        self.pid_file = directory / "server.pid"
        self.log_file = directory / "server.log"
        django = ["--settings=tests.support.settings", "--pythonpath", str(ROOT)]
        files = ["-P", "server.pid", *([] if "-l" in options else ["-l", "server.log"])]
        ports = [] if port is None else ["-p", str(port)]
        self.command = [
            sys.executable,
            "-m",
            "django",
            "runjobserver",
            *django,
            "-q",
            "builtin",
            *files,
            *ports,
            *options,
        ]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **popen_options}
        # Nothing but what the measuring of coverage needs, where it is measured.
        measured = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}
        self.process = subprocess.Popen(self.command, env={**measured, **(environment or {})}, cwd=directory, **pipes)

    def wait_until_it_listens(self) -> None:
        eventually(lambda: self.pid_file.exists() or self.process.poll() is not None, TIMEOUT_S, "the pid file")
        assert self.pid_file.exists(), self.process.stdout.read() if self.process.stdout else "it ended"

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    @cached_property
    def address(self) -> ServerAddress:
        """Where it listens, as its log says."""
        found = eventually(self._logged_ports, TIMEOUT_S, "the port in the log")
        return ServerAddress("127.0.0.1", int(found[-1]))

    def peer(self) -> WirePeer:
        return WirePeer(self.address)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(TIMEOUT_S)

    def _logged_ports(self) -> list[str]:
        return re.findall(r"listen address=127\.0\.0\.1 port=(\d+)", self.log_file.read_text())


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start servers; what still runs at the end of the test is killed."""
    servers: list[ServerProcess] = []

    def start(*options: str, **others: Any) -> ServerProcess:
        servers.append(ServerProcess(tmp_path, *options, **others))
        servers[-1].wait_until_it_listens()
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait(TIMEOUT_S)
        if server.process.stdout is not None:
            server.process.stdout.close()


def test_server_answers_when_the_pid_file_is_there(started):
    server = started()

    with server.peer() as peer:
        assert peer.ask("version")[0].startswith(b"OK ")
    assert server.pid_file.read_text() == f"{server.pid}\n"


def test_server_in_the_foreground_keeps_its_pid(started):
    server = started()

    assert server.pid == server.process.pid
    with server.peer() as peer:
        assert peer.ask("getpid") == [b"OK %d\n" % server.process.pid]


def test_chosen_port_is_printed(started):
    server = started()
    server.end()

    assert f"listening on 127.0.0.1:{server.address.port}".encode() in server.process.stdout.read()


def test_start_is_quick(started):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started().end()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < START_CPU_S


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_ends_with_0_closes_connections_and_removes_the_pid_file(started, number):
    server = started()

    with server.peer() as peer:
        peer.expect_quiet()
        assert server.end(number) == 0
        peer.expect_end()
    assert not server.pid_file.exists()


def test_nothing_is_left_on_the_port(started):
    server = started()
    port = server.address.port
    server.end()

    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_sigusr1_closes_the_port_and_waits_for_the_last_connection(started):
    server = started()

    with server.peer() as peer:
        peer.expect_quiet()
        server.process.send_signal(signal.SIGUSR1)
        eventually(lambda: not connects(server.address), TIMEOUT_S, "the port to be closed")
        peer.expect_quiet()
    assert server.process.wait(TIMEOUT_S) == 0


def test_signal_without_a_meaning_ends_the_server_at_once(started):
    assert started().end(signal.SIGUSR2) == -signal.SIGUSR2


def test_sighup_begins_a_new_log_file(started, tmp_path: Path):
    server = started()
    address, old = server.address, tmp_path / "server.log.1"
    server.log_file.rename(old)
    server.process.send_signal(signal.SIGHUP)
    eventually(server.log_file.exists, TIMEOUT_S, "the new log file")

    with WirePeer(address) as peer:
        peer.expect_quiet()
    assert server.end() == 0
    assert "stop pid=" in server.log_file.read_text()
    assert "stop pid=" not in old.read_text()


def test_background_server_listens_when_the_command_returns(started):
    server = started("--daemon", "--verbose=NOTICE")
    assert server.process.wait(TIMEOUT_S) == 0
    try:
        port = re.search(rb"127\.0\.0\.1:(\d+)", server.process.stdout.read())
        assert port is not None
        with WirePeer(ServerAddress("127.0.0.1", int(port[1]))) as peer:
            assert peer.ask("verbose") == [b"OK NOTICE\n"]
        assert server.pid != server.process.pid
        assert os.getsid(server.pid) == server.pid
    finally:
        os.kill(server.pid, signal.SIGTERM)
    eventually(lambda: not server.pid_file.exists(), TIMEOUT_S, "the end of the server")


def test_full_pipes_that_nobody_reads_are_no_hindrance(started):
    reader, writer = full_pipe()
    server = started("--verbose=DEBUG", stdout=writer, stderr=writer)

    for _ in range(50):
        with server.peer() as peer:
            peer.expect_quiet()
    assert server.end() == 0
    os.close(reader)
    os.close(writer)


def test_full_stderr_that_blocks_is_no_hindrance_to_the_log(started, tmp_path: Path):
    reader, writer = full_pipe()
    os.set_blocking(writer, True)
    address = ServerAddress("127.0.0.1", free_port())
    server = started("-l", "stderr", "--verbose=DEBUG", port=address.port, stdout=writer, stderr=writer)

    with WirePeer(address) as peer:
        peer.expect_quiet()
    assert server.end() == 0
    os.close(reader)
    os.close(writer)


def test_server_starts_without_standard_files(tmp_path: Path, started):
    def close_standard_files() -> None:
        for standard in (0, 1, 2):
            os.close(standard)

    server = started(preexec_fn=close_standard_files, stdout=None, stderr=None)

    with server.peer() as peer:
        peer.expect_quiet()
    assert server.end() == 0


def test_port_may_still_be_bound_by_who_chose_it(started):
    with socket.socket() as chooser:
        chooser.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        chooser.bind(("127.0.0.1", 0))
        server = started("-L", "127.0.0.1", port=chooser.getsockname()[1])

        assert server.address.port == chooser.getsockname()[1]


def test_killed_server_comes_back_on_its_port_at_once(started):
    server = started()
    port = server.address.port
    with server.peer() as peer:
        peer.expect_quiet()
        server.end(signal.SIGKILL)
        peer.expect_end()
    server.pid_file.unlink()

    again = started(port=port)

    with again.peer() as peer:
        peer.expect_quiet()


def test_port_in_use_ends_the_second_server_with_1_and_leaves_the_first_alone(started, tmp_path: Path):
    first = started()
    folder = tmp_path / "second"
    folder.mkdir()
    second = ServerProcess(folder, port=first.address.port)
    said, _ = second.process.communicate(timeout=TIMEOUT_S)

    assert second.process.returncode == 1
    assert b"another program uses the port" in said
    assert not second.pid_file.exists()
    with first.peer() as peer:
        peer.expect_quiet()


@pytest.fixture
def nobodys_server() -> Iterator[ServerProcess]:
    """A server of the user nobody in a folder of root, with files that are made ready for it, as an installer does."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    user = pwd.getpwnam("nobody")
    # pytest's own folders can be entered by root alone.
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        for name in ("server.pid", "server.log"):
            (Path(folder) / name).touch()
            os.chown(Path(folder) / name, user.pw_uid, user.pw_gid)
        server = ServerProcess(Path(folder), "--user=nobody", stdout=None)
        eventually(server.pid_file.read_text, TIMEOUT_S, "the pid file")
        yield server
        server.process.kill()
        server.process.wait(TIMEOUT_S)


def test_server_becomes_the_user_that_is_named(nobodys_server):
    uid = pwd.getpwnam("nobody").pw_uid

    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in Path(f"/proc/{nobodys_server.pid}/status").read_text()


def test_server_that_may_not_remove_its_pid_file_ends_well(nobodys_server):
    assert nobodys_server.end() == 0


def test_log_file_that_cannot_be_made_anew_is_kept(nobodys_server):
    old = nobodys_server.log_file.with_suffix(".1")
    nobodys_server.log_file.rename(old)
    nobodys_server.process.send_signal(signal.SIGHUP)
    eventually(lambda: "reload" in old.read_text(), TIMEOUT_S, "the log to go on")


def test_file_limit_is_the_one_given(started):
    server = started("-f", "200")

    limits = Path(f"/proc/{server.pid}/limits").read_text()
    assert re.search(r"Max open files +200 ", limits)


def test_core_file_may_be_left_where_that_is_asked_for(started):
    server = started("--coredump")

    limits = Path(f"/proc/{server.pid}/limits").read_text()
    soft, hard = re.findall(r"Max core file size +(\S+) +(\S+)", limits)[0]
    assert soft == hard


def test_configuration_file_is_read_from_the_working_directory(started, tmp_path: Path):
    (tmp_path / "gearmand.conf").write_text("--job-handle-prefix mine --verbose=DEBUG\n")
    server = started("--config-file=gearmand.conf")

    with server.peer() as peer:
        assert peer.ask("verbose") == [b"OK DEBUG\n"]
        assert peer.submit_background(b"f").startswith(b"mine:")


def test_port_comes_from_the_environment_where_it_is_not_given(started):
    port = free_port()
    server = started(port=None, environment={"GEARMAND_PORT": str(port)})

    assert server.address.port == port


def test_keepalive_numbers_hold_for_accepted_connections(started):
    server = started("--keepalive-idle=33", "--keepalive-interval=7", "--keepalive-count=4")

    with server.peer() as peer:
        peer.expect_quiet()
        timer, left = keepalive_timer(server.address.port, peer.socket.getsockname()[1])

    assert timer == "keepalive"
    assert 20 < left <= 33


def test_worker_whose_host_is_silent_is_probed_within_half_a_minute_by_default(started):
    server = started()

    with server.peer() as peer:
        peer.expect_quiet()
        timer, left = keepalive_timer(server.address.port, peer.socket.getsockname()[1])

    assert timer == "keepalive"
    assert 20 < left <= 30


def test_pipelined_echoes_and_large_payloads_come_back_whole(started):
    server = started()

    with server.peer() as peer:
        peer.say_raw(frame(T.ECHO_REQ, b"e" * 2048) * 1000)
        for _ in range(1000):
            assert peer.expect_body(T.ECHO_RES) == b"e" * 2048
        peer.say(T.ECHO_REQ, b"x" * 3 * 1024 * 1024)
        assert len(peer.expect_body(T.ECHO_RES)) == 3 * 1024 * 1024


def test_ten_thousand_background_jobs_one_round_trip_at_a_time(started):
    server = started()

    with server.peer() as peer:
        handles = {peer.submit_background(b"f") for _ in range(10_000)}
        assert len(handles) == 10_000
        assert peer.ask("status") == [b"f\t10000\t0\t0\n"]


def connects(address: ServerAddress) -> bool:
    try:
        WirePeer(address).close()
    except OSError:
        return False
    return True


def keepalive_timer(server_port: int, peer_port: int) -> tuple[str, float]:
    """Return which timer the kernel runs for the server's end of a connection, and the seconds until it rings."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, _, timer, *_ = line.split()
        if local.endswith(f":{server_port:04X}") and remote.endswith(f":{peer_port:04X}"):
            kind, left = timer.split(":")
            return {"02": "keepalive"}.get(kind, kind), int(left, 16) / 100
    raise AssertionError(f"no connection from port {peer_port} to port {server_port}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def full_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for piece in (b"x" * 4096, b"x"):
        try:
            while True:
                os.write(writer, piece)
        except BlockingIOError:
            pass
    return reader, writer
