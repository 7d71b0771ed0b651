"""What gearmand's own test suite expects of the server it is run against, seen with libgearman, as that suite does.

The suite starts the server with the options of `OPTIONS`, each of its servers as if it were alone. The C program says
what libgearman saw. Every expectation holds for gearmand 1.1.20 with `--round-robin`, too.
"""

from __future__ import annotations

import http.client
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gearjobs.protocol.packets import PacketType as T
from tests.support.foreign_peers import FOREIGN_PEERS, missing
from tests.support.gearmand import free_port
from tests.support.job_server import JobServerProcess

pytestmark = [pytest.mark.interop, pytest.mark.slow]

OPTIONS = ("--job-retries=30", "--round-robin", "--exceptions", "--verbose=INFO")
#: Seconds an expectation may take: gearmand needs one, and a worker that is held back would take minutes.
SOON_S = 20.0

#: What gearadmin's options end with; `test` is no job's handle, and yet no failure.
GEARADMIN_CODES = {
    "--server-version": 0,
    "--server-verbose": 0,
    "--status": 0,
    "--workers": 0,
    "--show-jobs": 0,
    "--show-unique-jobs": 0,
    "--getpid": 0,
    "--cancel-job=test": 0,
    "--create-function=made": 0,
    "--drop-function=made": 0,
    "--unknown": 1,
}

See = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def server(migrated_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobServerProcess]:
    """One job server for all: each expectation's functions are its own."""
    server = JobServerProcess(tmp_path_factory.mktemp("expectations"), *OPTIONS)
    shutil.copy(migrated_database, server.database)
    server.start()
    yield server
    server.clean_up()


@pytest.fixture(scope="module")
def see(server: JobServerProcess, tmp_path_factory: pytest.TempPathFactory) -> See:
    """Runs the C program with an expectation, and returns the lines it printed."""
    libgearman = FOREIGN_PEERS["libgearman"]
    libgearman.require()
    command = libgearman.command("expectations", tmp_path_factory.mktemp("programs"))

    def run(expectation: str) -> list[str]:
        address = [server.address.host, str(server.address.port)]
        done = subprocess.run([*command, *address, expectation], capture_output=True, text=True, timeout=SOON_S)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run


def test_only_worker_may_answer_a_hundred_clients_jobs_with_exceptions(see: See):
    # In the suite: a task for each of 100 exceptions, all from one worker.
    assert see("exceptions") == ["100 exceptions"]


def test_job_that_always_errs_runs_as_often_as_job_retries_says(see: See):
    assert see("errors") == ["GEARMAN_WORK_FAIL after 30 runs"]


def test_worker_that_drops_its_connection_gets_the_job_again_at_once(see: See):
    # 276 lost connections in all: each wait of a tenth of a second would be half a minute.
    assert see("errors-then-success") == ["24 successes"]


def test_job_ends_whatever_its_worker_returns(see: See):
    assert see("codes") == ["all ended"]


def test_payload_comes_back_whole_and_byte_by_byte(see: See):
    assert see("payloads") == [
        "3145728 bytes GEARMAN_SUCCESS and the same",
        "3072 bytes GEARMAN_SUCCESS and the same",
    ]


def test_functions_take_turns_and_the_newest_comes_first(see: See):
    # libgearman 1.1.20 registers the functions in the reverse of the order they were added in.
    assert see("round-robin") == ["1032547698"]


def test_job_that_is_due_in_an_hour_blocks_none_of_its_function(see: See):
    assert see("later-and-now") == ["GEARMAN_SUCCESS 4"]


def test_partitioned_job_is_aggregated(see: See):
    (line,) = see("partition")

    # The order is libgearman's: the last word first up to 1.1.
    assert line in {"GEARMAN_SUCCESS huntnotdoesdogthis", "GEARMAN_SUCCESS thisdogdoesnothunt"}


def test_tools_end_with_the_exit_codes_that_the_suite_demands(server: JobServerProcess):
    if shutil.which("gearadmin") is None:
        missing("gearadmin is not installed (Debian: gearman-tools), so its exit codes were not tested")

    codes = {option: run_gearadmin(server, option) for option in GEARADMIN_CODES}

    assert codes == GEARADMIN_CODES


def run_gearadmin(server: JobServerProcess, option: str) -> int:
    command = ["gearadmin", f"--host={server.address.host}", f"--port={server.address.port}", option]
    return subprocess.run(command, capture_output=True, timeout=SOON_S).returncode


def test_http_header_in_quotation_marks_is_ignored(new_job_server: Callable[..., JobServerProcess]):
    # What the suite's curl sends: its quoting went wrong, and gearmand minds nothing that it does not know.
    http_port = free_port()
    server = new_job_server("--protocol=http", f"--http-port={http_port}")
    server.start()
    with server.peer() as worker, closing(http.client.HTTPConnection("127.0.0.1", http_port)) as connection:
        worker.can_do(b"httpd_worker")
        worker.say(T.PRE_SLEEP)
        connection.putrequest("GET", "/httpd_worker")
        connection.putheader('"X-Gearman-Unique', 'mine"')
        connection.endheaders()
        worker.expect(T.NOOP)
        handle, _ = worker.grab()
        worker.say(T.WORK_COMPLETE, handle, b"")
        response = connection.getresponse()

        assert (response.status, response.read()) == (200, b"")
