"""gearmand's `gearadmin` and `gearman` beside ours: the same words to the same server, the same bytes and exit codes.

Each is compared at a stock gearmand and at our server. Where ours differs on purpose, the test says in which way;
docs/commands.md says why.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.client.in_flight import JobCreated, JobEvent
from gearjobs.errors import JobFailed
from gearjobs.servers import ServerAddress
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.eventually import eventually
from tests.support.gearmand import running_gearmand
from tests.support.job_server import running_memory_server
from tests.support.running_worker import running
from tests.support.terminal_programs import Ran, at, run_ours, run_stock

pytestmark = [pytest.mark.interop, pytest.mark.slow]

SOON_S = 10.0

#: A worker's words, for gearmand's tool and for ours.
COMMANDS = {
    "up": ("-f", "up", "--", "tr", "a-z", "A-Z"),
    "line": ("-f", "line", "-n", "--", "head", "-n", "1"),
    "stripped": ("-f", "stripped", "-N", "--", "head", "-n", "1"),
    "bad": ("-f", "bad", "--", "sh", "-c", "cat; exit 3"),
    "eat": ("-f", "eat"),
}
#: What they are given, each by its function.
JOBS = [*((name, body) for name in COMMANDS for body in (b"one\ntwo\n", b"")), ("up", b"a" * 50_000)]


def upper(job: RunningJob) -> bytes:
    return job.payload.upper()


def talk(job: RunningJob) -> bytes:
    job.send_progress(1, 4)
    job.send_data(b"part\n")
    job.send_warning(b"careful\n")
    return b"done\n"


def fail(job: RunningJob) -> bytes:
    # Else gearmand's own client waits for ever at gearmand: see RunningJob.
    job.fails_plainly = True
    raise ValueError("bad")


@pytest.fixture(scope="module", params=["gearmand", "gearjobs"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """A server of each kind, with a worker of ours at it."""
    with ExitStack() as stack:
        if request.param == "gearmand":
            log = tmp_path_factory.mktemp("gearmand") / "gearmand.log"
            address = stack.enter_context(running_gearmand(log))
        else:
            address = stack.enter_context(running_memory_server()).address
        worker = Worker([address], client_id="ours")
        for run in (upper, talk, fail):
            worker.register(run.__name__, run)
        stack.enter_context(running(worker))
        await_functions(address, {"upper", "talk", "fail"})
        yield address


def await_functions(address: ServerAddress, functions: set[str]) -> None:
    def are_known() -> bool:
        with AdminClient(address) as admin:
            return {name.encode() for name in functions} <= {line.function for line in admin.status() if line.workers}

    eventually(are_known, SOON_S, f"workers of {functions}")


def without_chance(ran: Ran) -> Ran:
    """Leave out what differs from one run to the next: descriptors, process ids of messages, handles."""
    stdout = re.sub(rb"(?m)^\d+ (?=127)", b"FD ", ran.stdout)
    return Ran(ran.code, re.sub(rb"H:[\w.-]+:\w+", b"HANDLE", stdout), ran.stderr)


def both(program: str, words: Sequence[str], stdin: bytes = b"") -> tuple[Ran, Ran]:
    return without_chance(run_ours(program, words, stdin)), without_chance(run_stock(program, words, stdin))


@pytest.mark.parametrize(
    "words",
    [
        ["--status"],
        ["--priority-status"],
        ["--server-version"],
        ["--server-verbose"],
        ["--getpid"],
        ["--show-jobs"],
        ["--show-unique-jobs"],
        ["--cancel-job", "H:nobody:1"],
        ["--cancel-job", ""],
        ["--drop-function", "nothing"],
        ["--drop-function=upper"],
        ["--create-function", "two words"],
        ["--stat"],
        ["--status", "--getpid", "--server-version", "--cancel-job=x", "--show-jobs", "--drop-function=y"],
    ],
    ids=" ".join,
)
def test_gearadmin_prints_the_same_bytes_and_ends_with_the_same_code(server: ServerAddress, words: list[str]):
    ours, stock = both("gearadmin", [*at(server), *words])

    assert ours == stock
    assert ours.code == 0


def test_gearadmin_lists_the_same_workers(server: ServerAddress):
    def are_alike() -> bool:
        # gearmand lists a connection for a moment after its end, and in any order.
        ours, stock = (sorted(ran.stdout.splitlines()) for ran in both("gearadmin", [*at(server), "--workers"]))
        return ours == stock

    eventually(are_alike, SOON_S, "the same list of workers")


@pytest.mark.parametrize("run", [run_ours, run_stock])
def test_gearadmin_makes_a_function_known_by_its_whole_name_and_drops_it(server: ServerAddress, run):
    name = f"made-by-{run.__name__}"

    assert run("gearadmin", [*at(server), "--create-function", name]) == Ran(0, b"OK\n", b"")
    assert f"{name}\t0\t0\t0\n".encode() in run("gearadmin", [*at(server), "--status"]).stdout
    assert run("gearadmin", [*at(server), "--drop-function", name]) == Ran(0, b"OK\n", b"")


@pytest.mark.parametrize("run", [run_ours, run_stock])
def test_gearadmin_takes_back_a_job(server: ServerAddress, run):
    with Client([server]) as client:
        handle = client.submit_background("nobody", b"x")

    assert run("gearadmin", [*at(server), "--cancel-job", handle]) == Ran(0, b"OK\n", b"")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--status=1"],
        ["--unknown"],
        ["--cancel-job"],
        ["--cancel-job="],
        ["--shutdown"],
        ["-p", "no such service", "--status"],
    ],
)
def test_gearadmin_ends_with_1_where_the_words_are_wrong(server: ServerAddress, words: list[str]):
    ours, stock = both("gearadmin", [*at(server)[:2], *words])

    assert (ours.code, stock.code) == (1, 1)
    # On purpose: gearmand's says it on stdout, where a script looks for the answer.
    assert ours.stdout == b""
    assert ours.stderr.startswith(b"gearadmin: ")


def test_gearadmin_ends_with_1_where_nobody_answers():
    ours, stock = both("gearadmin", ["-h", "127.0.0.1", "-p", "1", "--status"])

    assert (ours.code, stock.code) == (1, 1)
    assert b"127.0.0.1:1" in ours.stderr


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (["-f", "upper", "one"], b""),
        (["-f", "upper", "one", "two"], b""),
        (["-f", "upper", "-P", "one", "two"], b""),
        (["-f", "upper"], b"one\ntwo"),
        (["-f", "upper", "-n"], b"one\ntwo"),
        (["-f", "upper", "-N"], b"one\ntwo\n"),
        (["-f", "upper", "-n", "-P"], b"one\ntwo\n"),
        (["-f", "upper", "-s"], b"left alone"),
        (["-f", "upper", "-n"], b""),
        (["-f", "upper", "-I", "-u", "mine", "one"], b""),
        (["-f", "upper", "-L", "--", "-one"], b""),
        (["-f", "upper", "one", "-b"], b""),
        (["-b", "-v", "-f", "upper", "one"], b""),
        (["-f", "talk", "-s"], b""),
        (["-f", "talk", "-s", "-P"], b""),
        (["-f", "fail", "-s"], b""),
        (["-f", "fail", "-P", "one", "two"], b""),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
def test_gearman_prints_the_same_bytes_and_ends_with_the_same_code(
    server: ServerAddress, words: list[str], stdin: bytes
):
    ours, stock = both("gearman", [*at(server), *words], stdin)

    if "fail" in words and b"bad" in ours.stderr:
        # On purpose: our server says why, and so do we.
        ours = Ran(ours.code, ours.stdout, ours.stderr.replace(b": ValueError: bad", b""))
    assert (ours.code, in_any_order(ours.stdout), ours.stderr) == (stock.code, in_any_order(stock.stdout), stock.stderr)


def in_any_order(stdout: bytes) -> list[bytes]:
    # gearmand's tool keeps some of its output until its end.
    return sorted(stdout.splitlines(keepends=True)) if b"Complete" in stdout else [stdout]


def test_gearman_asks_several_functions_at_once(server: ServerAddress):
    ours, stock = both("gearman", [*at(server), "-f", "upper", "-f", "talk", "-P", "one"])

    assert (ours.code, ours.stderr) == (stock.code, stock.stderr) == (0, b"talk: careful\n")
    assert all(b"upper: ONE" in ran.stdout and b"talk: done\n" in ran.stdout for ran in (ours, stock))


@pytest.mark.parametrize("words", [["-x"], ["-f", "upper", "-x"], ["-f"], ["-f", "upper", "--unknown"], ["payload"]])
def test_gearman_ends_with_1_where_the_words_are_wrong(words: list[str]):
    ours, stock = both("gearman", words)

    assert (ours.code, stock.code) == (1, 1)
    assert (ours.stdout, stock.stdout) == (b"", b"")


def test_gearman_ends_with_1_where_nobody_answers_or_the_job_does_not_end(server: ServerAddress):
    # On purpose: gearmand's ends with 0, and a script goes on as if the job were done.
    for functions in (["-f", "upper"], ["-f", "upper", "-f", "talk"], ["-f", "upper", "-b"]):
        lost = run_ours("gearman", ["-h", "127.0.0.1", "-p", "1", *functions, "one"])
        assert (lost.code, lost.stdout) == (1, b"")
        assert b"127.0.0.1:1 (Connection refused)" in lost.stderr
    late = run_ours("gearman", [*at(server), "-f", "nobody", "-t", "50", "one"])
    assert (late.code, late.stdout) == (1, b"")
    assert b"did not end within 0.05 s" in late.stderr


def words_of(name: str, server: ServerAddress, prefix: str, *, count: int) -> list[str]:
    """Return the words of a worker of COMMANDS that ends after so many jobs; 0 for never."""
    _, function, *rest = COMMANDS[name]
    return [*at(server), "-w", "-c", str(count), "-f", prefix + function, *rest]


@contextmanager
def stock_workers(server: ServerAddress) -> Iterator[None]:
    """Run all of COMMANDS with gearmand's tool; its own `-c` counts a failed job twice."""
    run_stock("gearman", ["-H"])
    with ExitStack() as stack:
        for name in COMMANDS:
            words = ["gearman", *words_of(name, server, "their-", count=0)]
            process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            stack.callback(process.wait, SOON_S)
            stack.callback(process.terminate)
        yield


def heard(client: Client, function: str, payload: bytes) -> list[object]:
    """Return all that a client hears of a job, but its handle."""
    events: list[JobEvent] = []
    try:
        end: object = client.do(function, payload, timeout_s=SOON_S, on_event=events.append)
    except JobFailed:
        end = JobFailed
    return [*(getattr(event, "body", None) for event in events if not isinstance(event, JobCreated)), end]


def test_gearmans_worker_tells_clients_the_same_and_ends_after_so_many_jobs(server: ServerAddress):
    def work(name: str) -> Ran:
        count = sum(1 for one, _ in JOBS if one == name)
        return run_ours("gearman", words_of(name, server, "our-", count=count))

    with stock_workers(server), ThreadPoolExecutor(len(COMMANDS)) as threads, Client([server]) as client:
        ends = threads.map(work, COMMANDS)
        await_functions(server, {whose + function for whose in ("our-", "their-") for function in COMMANDS})

        ours, theirs = ([heard(client, whose + name, body) for name, body in JOBS] for whose in ("our-", "their-"))

        assert ours == theirs
        assert [ran.code for ran in ends] == [0] * len(COMMANDS)


def test_gearmans_client_hears_of_a_command_that_failed(server: ServerAddress):
    # It does not ask for exceptions: at gearmand it waited for ever when our worker told the reason.
    words = [*at(server), "-w", "-c", "1", "-f", "our-failing", "--", "sh", "-c", "cat; exit 3"]
    with ThreadPoolExecutor(1) as threads:
        worker = threads.submit(run_ours, "gearman", words)
        await_functions(server, {"our-failing"})

        heard_of_it = run_stock("gearman", [*at(server), "-f", "our-failing", "one"])

        assert heard_of_it == Ran(1, b"one", b"Job failed\n")
        assert b"ended with exit code 3" in worker.result().stderr
