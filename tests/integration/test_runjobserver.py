"""`manage.py runjobserver` as its operators meet it: Debian's programs at its port, its start, its stop, its refusals.

What it answers to which packet stands in the dialogues; what survives a kill in `test_server_crashes`.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gearjobs.protocol.packets import PacketType
from tests.support.eventually import eventually
from tests.support.job_server import JobServerProcess
from tests.support.job_storm import drain

T = PacketType

MakeServer = Callable[..., JobServerProcess]

#: Seconds a program of Debian's may take for what takes milliseconds.
PROGRAM_TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def programs() -> dict[str, str]:
    """Paths of Debian's command line tools."""
    found = {name: shutil.which(name) for name in ("gearman", "gearadmin")}
    if None in found.values():
        pytest.skip("gearman and gearadmin are not installed (Debian: gearman-tools), so nothing was tested with them")
    return {name: str(path) for name, path in found.items()}


@pytest.fixture
def gearman(job_server, programs) -> Callable[..., str]:
    """Run Debian's client with these options and this payload; return what it prints."""

    def run(*options: str, payload: str = "") -> str:
        return run_program([programs["gearman"], *server_options(job_server), *options], payload=payload)

    return run


@pytest.fixture
def upper_worker(job_server, programs) -> Iterator[None]:
    """Debian's worker, which lets `tr` do the function `upper`."""
    command = [programs["gearman"], *server_options(job_server), "-w", "-f", "upper", "--", "tr", "a-z", "A-Z"]
    worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with job_server.peer() as asking:
            eventually(lambda: asking.ask("status") == [b"upper\t0\t0\t1\n"], PROGRAM_TIMEOUT_S, "Debian's worker")
        yield
    finally:
        worker.kill()
        worker.wait(PROGRAM_TIMEOUT_S)


def server_options(server: JobServerProcess) -> list[str]:
    return ["-h", server.address.host, "-p", str(server.address.port)]


def run_program(command: list[str], *, payload: str = "") -> str:
    done = subprocess.run(command, input=payload, capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S, check=True)
    return done.stdout


@pytest.mark.interop
def test_debians_client_gets_the_result_of_debians_worker(gearman, upper_worker):
    assert gearman("-f", "upper", payload="photo") == "PHOTO"


@pytest.mark.interop
def test_result_of_debians_background_job_is_in_the_table(job_server: JobServerProcess, gearman, upper_worker):
    gearman("-b", "-f", "upper", payload="photo")

    def ended() -> list[dict[str, Any]]:
        return job_server.rows("SELECT * FROM gearjobs_job WHERE finished_at IS NOT NULL")

    (row,) = eventually(ended, PROGRAM_TIMEOUT_S, "the outcome in the table")
    assert (row["function"], bytes(row["payload"]), bytes(row["result"])) == ("upper", b"photo", b"PHOTO")
    assert (row["status"], row["status_detail"], row["attempt"]) == ("SUCCESSFUL", "succeeded", 1)


@pytest.mark.interop
def test_debians_admin_program_reads_the_lists(job_server, programs, upper_worker):
    def ask(option: str) -> str:
        return run_program([programs["gearadmin"], *server_options(job_server), option])

    with job_server.peer() as client:
        handle = client.submit_background(b"resize", unique=b"photo7").decode()
        assert ask("--status").splitlines() == ["upper\t0\t0\t1", "resize\t1\t0\t0", "."]
        assert " : upper\n" in ask("--workers")
        assert handle in ask("--show-jobs")
        assert ask("--show-unique-jobs").splitlines()[0] == "photo7"
        assert ask("--getpid").strip() == str(job_server.pid)
        assert ask("--server-version").strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_server_in_peace(job_server, number):
    address = job_server.address
    with job_server.peer() as idle:
        assert job_server.terminate(number) == 0
        idle.expect_end()

    assert not job_server.pid_file.exists()
    # As a server binds: what is left of the closed connections does not count.
    socket.create_server((address.host, address.port)).close()


def test_stop_commits_what_was_reported(job_server):
    with job_server.peer() as client, job_server.peer() as worker:
        worker.can_do(b"resize")
        handles = [client.submit_background(b"resize") for _ in range(20)]
        for _ in handles:
            worker.grab()
        for handle in handles:
            worker.say(T.WORK_STATUS, handle, b"1", b"3")
            worker.say(T.WORK_STATUS, handle, b"2", b"3")
            worker.say(T.WORK_COMPLETE, handle, b"done")
        worker.expect_quiet()

        assert job_server.terminate() == 0

    assert job_server.count_jobs("SUCCESSFUL") == 20
    assert {job_server.job(handle)["progress_numerator"] for handle in handles} == {2.0}


def test_stopped_server_comes_back_on_its_port(job_server):
    with job_server.peer() as client:
        handle = client.submit_background(b"resize")

    job_server.terminate()
    job_server.restart()

    assert drain(job_server) == [handle]


def test_pid_file_names_the_process(job_server):
    assert job_server.pid_file.read_text() == f"{job_server.pid}\n"


def test_life_of_the_server_is_in_its_log(job_server):
    job_server.terminate()

    log = job_server.log_file.read_text()
    assert f"listen address=127.0.0.1 port={job_server.address.port} pid={job_server.pid}" in log
    assert f"stop pid={job_server.pid}" in log


def test_taken_port_is_refused_with_the_remedy(job_server, new_job_server: MakeServer):
    port = job_server.address.port

    refused = new_job_server().run("--port", str(port))

    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: Address already in use" in refused.stderr
    assert "choose another with --port" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_second_server_of_a_database_is_refused_with_the_owners_pid(job_server):
    refused = job_server.run("--port", "0")

    assert refused.returncode == 1
    assert f"has a job server already (pid {job_server.pid})" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert job_server.pid_file.read_text() == f"{job_server.pid}\n"


def test_database_without_tables_is_refused_with_the_remedy(job_server, new_job_server: MakeServer):
    server = new_job_server()
    server.database.unlink()

    refused = server.run("--port", "0")

    assert refused.returncode == 1
    assert "manage.py migrate" in refused.stderr
