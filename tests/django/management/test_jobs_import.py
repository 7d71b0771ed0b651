"""`jobs_import`: gearmand's queues become rows of the Job table, each record once."""

from __future__ import annotations

import io
import logging
import re
import shlex
import sqlite3
import subprocess
from contextlib import closing

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from gearjobs.core.changes import JobDetails, Requeued
from gearjobs.core.terms import JobTerms, write_terms
from gearjobs.management.commands.jobs_import import Command
from gearjobs.models import Job
from gearjobs.records.job_queries import all_jobs
from tests.support.database_servers import ROOT
from tests.support.gearmand import running_gearmand
from tests.support.queue_houses import queue_options, queue_store
from tests.support.queue_servers import require_program
from tests.support.store_houses import ACCEPTED_AT, accepted, new_handle, started
from tests.support.wire_peer import T, WirePeer

pytestmark = pytest.mark.django_db(transaction=True)

#: function, unique, priority, time, data
RECORDS = [
    (b"resize", b"u1", 1, 0, b"one"),
    (b"resize", b"u2", 0, 0, b"\0\xff"),
    (b"make-sheet", b"u1", 2, 2_000_000_000, b""),
]
ROWS = [
    ("make-sheet", "u1", -50, 2e9, b""),
    ("resize", "u1", 0, 0.0, b"one"),
    ("resize", "u2", 50, 0.0, b"\0\xff"),
]


def said(*arguments: object) -> list[str]:
    out = io.StringIO()
    call_command("jobs_import", *map(str, arguments), stdout=out)
    return out.getvalue().splitlines()


def rows() -> list[tuple[object, ...]]:
    found = all_jobs().filter(owner="", finished_at=None)
    return sorted(
        (
            job.function,
            job.unique,
            job.priority,
            job.run_at.timestamp() if job.run_at else 0.0,
            bytes(job.payload),
        )
        for job in found
    )


@pytest.fixture
def sqlite_queue(tmp_path):
    """A file as gearmand's libsqlite3 module makes it."""
    file = tmp_path / "queue.sqlite3"
    with closing(sqlite3.connect(file)) as session, session:
        session.execute(
            "CREATE TABLE gearman_queue (unique_key TEXT, function_name TEXT, priority INTEGER, data BLOB,"
            " when_to_run INTEGER, PRIMARY KEY (unique_key, function_name))"
        )
        session.executemany(
            "INSERT INTO gearman_queue VALUES (?, ?, ?, ?, ?)",
            [(unique.decode(), function.decode(), lane, data, at) for function, unique, lane, at, data in RECORDS],
        )
    return file


@pytest.fixture(params=["tch", "tcb"])
def tokyo_queue(request, tmp_path):
    """A file as gearmand's libtokyocabinet module makes it."""
    file, manager = tmp_path / f"queue.{request.param}", f"{request.param}mgr"
    require_program(manager, "tokyocabinet-bin")

    def run(*words: str) -> None:
        subprocess.run([manager, *words], check=True, timeout=30)

    run("create", str(file))
    for function, unique, lane, at, data in RECORDS:
        value = b"%b\0%b\0%d%d\0%b" % (function, unique, lane, at, data)
        run("put", "-sx", str(file), (function + b"-" + unique).hex(), value.hex())
    return file


def test_file_of_sqlite_is_imported_once(sqlite_queue):
    assert said("--from", sqlite_queue) == [
        "       1 make-sheet",
        "       2 resize",
        "3 jobs imported, 0 were there already",
    ]
    assert rows() == ROWS
    assert said("--from", sqlite_queue) == ["0 jobs imported, 3 were there already"]
    assert rows() == ROWS


def test_file_of_tokyo_cabinet_is_imported_once(tokyo_queue):
    assert said("--from", tokyo_queue)[-1] == "3 jobs imported, 0 were there already"
    assert rows() == ROWS
    assert said("--from", tokyo_queue) == ["0 jobs imported, 3 were there already"]


def test_dry_run_tells_and_does_nothing(sqlite_queue):
    assert said("--from", sqlite_queue, "--dry-run")[-1] == "3 jobs would be imported, 0 were there already"
    assert Job.objects.count() == 0


def test_job_that_has_ended_since_is_not_imported_again(sqlite_queue):
    said("--from", sqlite_queue)
    Job.objects.all().update(finished_at="2026-01-01T00:00Z", status="SUCCESSFUL")

    assert said("--from", sqlite_queue) == ["0 jobs imported, 3 were there already"]
    assert rows() == []


def test_record_of_tokyo_cabinet_that_is_no_job_is_left_out(tmp_path, caplog):
    require_program("tchmgr", "tokyocabinet-bin")
    file = tmp_path / "queue.tch"
    for words in (["create", str(file)], ["put", str(file), "key", "no job"]):
        subprocess.run(["tchmgr", *words], check=True, timeout=30)

    assert said("--from", file) == ["0 jobs imported, 0 were there already"]
    assert [record.args for record in caplog.records if record.levelno == logging.WARNING] == [(b"key",)]


def test_record_that_cannot_be_a_job_keeps_no_other_from_being_imported(sqlite_queue, caplog):
    with closing(sqlite3.connect(sqlite_queue)) as session, session:
        session.execute("INSERT INTO gearman_queue VALUES (?, 'resize', 1, x'', 0)", ("a\0b",))

    assert said("--from", sqlite_queue)[-1] == "3 jobs imported, 0 were there already"
    assert "must not contain a NUL" in caplog.text
    assert rows() == ROWS


def test_queue_that_gearmand_has_in_redis_is_imported(request, tmp_path):
    options = queue_options("redis", request)
    where = [f"--redis-port={options.redis_port}", f"--redis-prefix={options.redis_prefix}"]
    with running_gearmand(tmp_path / "log", "--queue-type=redis", *where) as address, WirePeer(address) as peer:
        peer.say(T.SUBMIT_JOB_LOW_BG, b"resize", b"u1", b"one")
        peer.expect(T.JOB_CREATED)

    assert said("--queue-type", "REDIS", *where) == ["       1 resize", "1 jobs imported, 0 were there already"]
    assert rows() == [("resize", "u1", -50, 0.0, b"one")]


@pytest.mark.parametrize("name", ["redis", "libsqlite3"])
def test_what_our_own_store_knows_of_a_job_is_kept(name, request):
    options = queue_options(name, request)
    store, handle = queue_store(name, options), new_handle()
    store.load()
    details = JobDetails(terms=write_terms(JobTerms(max_attempts=5)))
    store.commit([accepted(handle, unique=b"", priority=7, details=details, reducer=b"sum"), started(handle, 2)])
    store.commit([Requeued(handle, True, ACCEPTED_AT, 1, lost=1)])
    store.close()
    where = (
        ["--redis-port", options.redis_port, "--redis-prefix", options.redis_prefix]
        if name == "redis"
        else ["--libsqlite3-db", options.libsqlite3_db, "--libsqlite3-table", options.libsqlite3_table]
    )

    said("--queue-type", name, *where)

    job = Job.objects.get(handle=handle.decode())
    kept = (job.unique, job.priority, job.reducer, job.attempt, job.crashes, job.lost, job.terms, job.owner)
    assert kept == ("", 7, "sum", 2, 1, 1, {"max_attempts": 5}, "")
    assert job.enqueued_at.timestamp() == pytest.approx(ACCEPTED_AT)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "say either --from FILE or --queue-type TYPE"),
        (["--from", "x", "--queue-type", "redis"], "say either"),
        (["--from", "{tmp}/missing"], "No such file"),
        (["--from", "{tmp}/text"], "must be a file of SQLite or of Tokyo Cabinet, and is neither"),
        (["--from", "{tmp}/table.tct"], r"must be a hash \(.tch\) or a B\+ tree"),
        (["--queue-type", "builtin"], "--queue-type must be one of libsqlite3"),
        (["--queue-type", "libsqlite3", "--libsqlite3-db", "{tmp}/missing"], "there is no file"),
        (["--queue-type", "redis", "--redis-port", "1"], "could not open the queue: ConnectionError"),
        (["--queue-type", "redis", "--redis-port", "many"], "expected a whole number"),
    ],
)
def test_queue_that_cannot_be_read_is_said(words, reason, tmp_path):
    (tmp_path / "text").write_text("no queue")
    (tmp_path / "table.tct").write_bytes(b"ToKyO CaBiNeT\n1.0:911\n".ljust(32, b"\0") + b"\3" + b"\0" * 200)

    with pytest.raises(CommandError, match=reason):
        said(*(word.format(tmp=tmp_path) for word in words))
    assert Job.objects.count() == 0


def test_job_table_that_cannot_be_reached_is_said(sqlite_queue):
    def refuse(*_arguments):
        raise OperationalError("the server has gone away")

    with connection.execute_wrapper(refuse), pytest.raises(CommandError, match=r"not to its end: .* has gone away"):
        said("--from", sqlite_queue)


def test_lines_of_the_page_can_be_typed():
    page = (ROOT / "docs" / "stores.md").read_text(encoding="utf-8")
    lines = re.findall(r"^ *manage\.py jobs_import (.*)$", page, re.MULTILINE)

    parser = Command().create_parser("manage.py", "jobs_import")
    typed = [parser.parse_args(shlex.split(line)) for line in lines]

    assert len(typed) >= 4
    assert all((one.file is None) != (one.queue_type is None) for one in typed)
