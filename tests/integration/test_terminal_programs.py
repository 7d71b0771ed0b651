"""`gearadmin` and `gearman` as processes: without a project, and as commands of one that has its own job server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.server.admin_commands import VERSION_TEXT
from gearjobs.servers import ServerAddress, parse_server
from gearjobs.terminal.__main__ import run as run_named
from gearjobs.worker.worker import Worker
from tests.support.certificates import Authority
from tests.support.eventually import eventually
from tests.support.guarded_peers import WEB, config_of
from tests.support.job_server import ROOT, MemoryServer, running_memory_server
from tests.support.running_site import RunningSite
from tests.support.running_worker import running
from tests.support.terminal_programs import Ran, at, run_ours

pytestmark = pytest.mark.slow

SOON_S = 20.0
PROGRAMS = (sys.executable, "-m", "gearjobs.terminal")


@pytest.fixture(scope="module")
def server() -> Iterator[MemoryServer]:
    with running_memory_server() as server:
        yield server


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSite]:
    """A project with a job server."""
    with RunningSite(tmp_path_factory.mktemp("site")) as site:
        yield site


def run(words: Sequence[str], *, stdin: bytes = b"") -> Ran:
    done = subprocess.run([*PROGRAMS, *words], cwd=ROOT, input=stdin, capture_output=True, timeout=SOON_S)
    return Ran(done.returncode, done.stdout, done.stderr)


@contextmanager
def command_worker(server: ServerAddress, function: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker as a process; the server knows it."""
    command = [*PROGRAMS, "gearman", *at(server), "-w", "-f", function, *words]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        await_worker(server, function)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=SOON_S)


def await_worker(server: ServerAddress, function: str) -> None:
    def is_there() -> bool:
        with AdminClient(server) as admin:
            return any(line.function == function.encode() and line.workers for line in admin.status())

    eventually(is_there, SOON_S, f"a worker of {function}")


def children_of(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def test_programs_need_no_django():
    code = (
        "import sys, gearjobs.terminal.__main__, gearjobs.terminal.gearadmin_program; "
        "import gearjobs.terminal.gearman_program; "
        "sys.exit(any(name.startswith('django') for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=SOON_S).returncode == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--version"], 0, b"gearjobs "),
        (["--help"], 0, b"Usage: gearjobs gearadmin"),
        (["gearadmin", "--help"], 0, b"usage: gearadmin [options]"),
        (["gearman", "-H"], 0, b"Usage: gearman -f FUNCTION"),
        ([], 1, b""),
        (["unknown"], 1, b""),
    ],
)
def test_program_is_named_by_the_first_word(words: list[str], code: int, said: bytes, capsysbinary):
    assert run_named(words) == code

    stdout, stderr = capsysbinary.readouterr()
    assert stdout[: len(said)] == said
    assert bool(stderr) == (code == 1)


def test_job_goes_through_two_processes(server: MemoryServer):
    payload = bytes(range(256)) * 1000
    reverse = "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"
    with command_worker(server.address, "reverse", "-c", "1", "--", sys.executable, "-c", reverse) as worker:
        ran = run(["gearman", *at(server.address), "-f", "reverse"], stdin=payload)
        worker.communicate(timeout=SOON_S)

    assert worker.returncode == 0
    assert ran == Ran(0, payload[::-1], b"")


def test_reader_that_goes_away_ends_the_program_without_a_traceback(server: MemoryServer):
    reader, writer = os.pipe()
    os.close(reader)

    words = [*PROGRAMS, "gearadmin", *at(server.address), "--status"]
    done = subprocess.run(words, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, timeout=SOON_S)

    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_term_lets_the_running_command_end_first(server: MemoryServer, tmp_path: Path):
    begun, may_end = tmp_path / "begun", tmp_path / "may-end"
    script = f"touch {begun}; until [ -e {may_end} ]; do sleep 0.02; done; echo done"
    with Client([server.address]) as client, command_worker(server.address, "late", "--", "sh", "-c", script) as worker:
        handle = client.submit_background("late", b"").encode()
        eventually(begun.exists, SOON_S, "the command to begin")
        worker.send_signal(signal.SIGTERM)
        may_end.touch()

        assert worker.wait(SOON_S) == 0
        outcome = server.outcome(handle)
        assert outcome is not None
        assert outcome.result == b"done\n"


def test_cancelled_job_ends_its_command_with_all_it_started(server: MemoryServer, tmp_path: Path):
    begun = tmp_path / "begun"
    script = f"sleep 300 & touch {begun}; wait"
    words = ("--", "sh", "-c", script)
    with Client([server.address]) as client, command_worker(server.address, "endless", *words) as worker:
        handle = client.submit_background("endless", b"")
        eventually(begun.exists, SOON_S, "the command to begin")

        client.cancel(handle)

        eventually(lambda: server.outcome(handle.encode()), SOON_S, "the end of the job")
        assert not children_of(worker.pid)
        assert worker.poll() is None


@pytest.mark.parametrize("functions", [["slow"], ["slow", "slower"]])
def test_interrupt_ends_a_client_that_waits(server: MemoryServer, functions: list[str]):
    words = [word for function in functions for word in ("-f", function)]
    command = [*PROGRAMS, "gearman", *at(server.address), *words, "-v", "-s"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in functions:
            assert process.stdout.readline().startswith(b"Task created: ")

        process.send_signal(signal.SIGINT)

        assert process.communicate(timeout=SOON_S) == (b"", b"")
    assert process.returncode == 1


def test_worker_goes_into_the_background_with_its_process_id_in_a_file(server: MemoryServer, tmp_path: Path):
    pid_file = tmp_path / "worker.pid"
    words = ["gearman", *at(server.address), "-w", "-d", "-i", str(pid_file), "-f", "behind", "-c", "1", "--", "cat"]

    assert run(words).code == 0

    await_worker(server.address, "behind")
    assert Path(f"/proc/{pid_file.read_text().strip()}").exists()
    with Client([server.address]) as client:
        assert client.do("behind", b"x", timeout_s=SOON_S) == b"x"
    eventually(lambda: not pid_file.exists(), SOON_S, "the worker's end")


def test_silence_counts_as_a_job():
    with running_memory_server() as server:
        assert run_ours("gearman", [*at(server.address), "-w", "-f", "f", "-c", "2", "-t", "20", "cat"]) == Ran(
            0, b"", b""
        )


def test_worker_whose_command_is_missing_does_not_begin(server: MemoryServer):
    ran = run_ours("gearman", [*at(server.address), "-w", "-f", "f", "no-such-command"])

    assert ran == Ran(1, b"", b"gearman: there is no command 'no-such-command' to run for each job\n")


def test_payload_is_printed_where_there_is_no_command(server: MemoryServer):
    with Client([server.address]) as client:
        client.submit_background("print", b"\xff\0one")
        client.submit_background("print", b"two")

    ran = run_ours("gearman", [*at(server.address), "-w", "-f", "print", "-c", "2"])

    assert ran == Ran(0, b"\xff\0onetwo", b"")


def test_worker_whose_reader_goes_away_ends_and_gives_its_job_back(server: MemoryServer):
    with Client([server.address]) as client:
        handle = client.submit_background("unread", b"x")
        command = [*PROGRAMS, "gearman", *at(server.address), "-w", "-f", "unread"]
        reader, writer = os.pipe()
        os.close(reader)
        done = subprocess.run(command, cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, timeout=SOON_S)
        os.close(writer)

        assert (done.returncode, done.stderr) == (1, b"")
        assert client.get_status(handle).known


def test_worker_in_the_background_fails_to_start_with_a_word():
    ran = run(["gearman", "-w", "-d", "-f", "f", "no-such-command"])

    assert ran == Ran(1, b"", b"gearman: there is no command 'no-such-command' to run for each job\n")


def test_job_of_a_command_that_dies_of_a_signal_says_so(server: MemoryServer):
    words = ["-w", "-v", "-f", "dies", "-c", "1", "--", "sh", "-c", "kill -9 $$"]
    with Client([server.address]) as client:
        handle = client.submit_background("dies", b"")

        ran = run_ours("gearman", [*at(server.address), *words])

    outcome = server.outcome(handle.encode())
    assert outcome is not None
    assert outcome.failure is not None
    assert outcome.failure.message == "the command 'sh' ended with signal 9"
    assert ran.stdout == f"Job {handle} of dies\n".encode()


def test_refusal_is_said_and_the_next_job_is_submitted_all_the_same(server: MemoryServer):
    with AdminClient(server.address) as admin:
        admin.command("create function full")
        admin.command("maxqueue full 1")

    ran = run_ours("gearman", [*at(server.address), "-f", "full", "-b", "-P", "one", "two", "three"])

    assert (ran.code, ran.stdout) == (1, b"")
    assert ran.stderr.splitlines() == [b"full: gearman: the job server answered QUEUE_ERROR: Job queue is full"] * 2


def test_secret_and_certificates_are_options(tmp_path: Path):
    authority = Authority.make(tmp_path / "ca")
    shown, own = authority.sign("server", alternative="IP:127.0.0.1"), authority.sign("me")
    config = config_of(
        tmp_path,
        ssl=True,
        ssl_ca_file=str(authority.certificate),
        ssl_certificate=str(shown.certificate),
        ssl_key=str(shown.key),
    )
    files = [f"--ssl-ca-file={authority.certificate}", f"--ssl-certificate={own.certificate}", f"--ssl-key={own.key}"]
    (tmp_path / "mine").write_text(WEB)
    with running_memory_server(config) as server:
        words = [*at(server.address), *files, f"--secret-file={tmp_path / 'mine'}"]

        assert run_ours("gearadmin", [*words, "--status"]) == Ran(0, b".\n", b"")
        assert run_ours("gearman", [*words, "-f", "f", "-b", "x"]) == Ran(0, b"", b"")
        assert run_ours("gearadmin", [*at(server.address), "--status", "--timeout", "5"]).code == 1


def test_json_has_every_answer_and_a_refusal_is_1(server: MemoryServer):
    ours = run_ours(
        "gearadmin", [*at(server.address), "--json", "--drop-function", "none", "--server-version", "--getpid"]
    )

    assert ours.code == 1
    assert json.loads(ours.stdout) == {
        "getpid": os.getpid(),
        "drop-function": {"error": "function not found"},
        "server-version": VERSION_TEXT,
    }
    assert run_ours("gearadmin", [*at(server.address), "--json", "--getpid"]).code == 0


def test_limit_is_set(server: MemoryServer):
    run_ours("gearadmin", [*at(server.address), "--create-function=narrow"])

    assert run_ours("gearadmin", [*at(server.address), "--max-queue", "narrow=1"]) == Ran(0, b"OK\n", b"")

    words = [*at(server.address), "-f", "narrow", "-b", "one", "two"]
    assert run_ours("gearman", words).code == 1


def test_function_is_paused_cleared_and_resumed(server: MemoryServer):
    words = [*at(server.address)]
    run_ours("gearman", [*words, "-f", "a pause", "-b", "one", "two"])

    assert run_ours("gearadmin", [*words, "--pause-function", "a pause"]) == Ran(0, b"OK\n", b"")
    shown = json.loads(run_ours("gearadmin", [*words, "--json", "--snapshot"]).stdout)["snapshot"]
    assert [one["is_paused"] for one in shown["functions"] if one["name"] == "a pause"] == [True]
    assert run_ours("gearadmin", [*words, "--clear-function=a pause"]) == Ran(0, b"2\n", b"")
    assert run_ours("gearadmin", [*words, "--resume-function=a pause"]) == Ran(0, b"OK\n", b"")


def test_commands_of_a_project_go_to_its_job_server_and_jobs_are_in_its_table(site: RunningSite):
    submitted = site.manage(["gearman", "-b", "-v", "-f", "shout", "hello"])
    listed = site.manage(["gearadmin", "--status", "--traceback"])
    worked = site.manage(["gearman", "-w", "-c", "1", "-f", "shout", "--", "tr", "a-z", "A-Z"])

    assert (submitted.returncode, worked.returncode, listed.stdout) == (0, 0, "shout\t1\t0\t0\n.\n")
    row = site.await_row(submitted.stdout.split()[-1], status_detail="succeeded")
    assert (row["function"], row["payload"], row["result"]) == ("shout", b"hello", b"HELLO")


def test_failed_command_is_in_the_job_table_with_its_exit_code(site: RunningSite):
    words = at(parse_server(site.address))
    handle = run_ours("gearman", [*words, "-b", "-v", "-f", "breaks", "x"]).stdout.split()[-1].decode()

    run_ours("gearman", [*words, "-w", "-c", "1", "-f", "breaks", "--", "sh", "-c", "exit 3"])

    row = site.await_row(handle, status_detail="failed")
    assert row["error_message"] == "the command 'sh' ended with exit code 3"


def test_worker_of_ours_may_be_asked_from_a_terminal(server: MemoryServer):
    def fail(job: object) -> bytes:
        raise ValueError("bad")

    worker = Worker([server.address], client_id="w")
    worker.register("failing", fail)
    with running(worker):
        await_worker(server.address, "failing")
        ran = run_ours("gearman", [*at(server.address), "-f", "failing", "x"])

    assert ran == Ran(1, b"", b"Job failed: ValueError: bad\n")
