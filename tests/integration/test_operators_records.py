"""What operators look at, as a real server writes it: figures, groups of failures; and operations it carries out."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from gearjobs.protocol.packets import PacketType
from tests.support.eventually import eventually
from tests.support.job_server import JobServerProcess

SOON_S = 10.0


def fail_a_job(server: JobServerProcess) -> bytes:
    """Submit a job and let its worker fail; return its handle when that is committed."""
    peer = server.peer()
    handle = peer.submit_background(b"resize")
    peer.can_do(b"resize")
    peer.grab()
    peer.say(PacketType.WORK_FAIL, handle)
    eventually(lambda: server.count_jobs("FAILED"), SOON_S, "the failure to be written")
    peer.close()
    return handle


def test_figures_of_the_last_seconds_are_written_when_the_server_stops(job_server: JobServerProcess):
    handle = fail_a_job(job_server)
    fresh = {"finished_at": None, "attempt": 0, "status": "READY", "status_detail": "waiting"}
    job_server.insert_row({**job_server.job(handle), **fresh}, handle="H:inserted:1", function="crop")
    eventually(lambda: job_server.job(b"H:inserted:1")["owner"], SOON_S, "the inserted job to be adopted")

    assert job_server.terminate() == 0

    # A minute may have ended in between.
    sums = "function, sum(enqueued) AS enqueued, sum(failed) AS failed"
    rows = job_server.rows(f"SELECT {sums} FROM gearjobs_functionrollup GROUP BY function ORDER BY function")
    assert [tuple(row.values()) for row in rows] == [("", 2, 1), ("crop", 1, 0), ("resize", 1, 1)]
    (run,) = job_server.rows("SELECT run_counts FROM gearjobs_functionrollup WHERE function = '' AND failed = 1")
    assert sum(json.loads(run["run_counts"])) == 1


def test_failure_is_in_a_group(job_server: JobServerProcess):
    handle = fail_a_job(job_server)

    (group,) = job_server.rows("SELECT * FROM gearjobs_failuregroup")
    assert (group["function"], group["count"], group["ended"], group["last_job"]) == ("resize", 1, 1, handle.decode())
    assert job_server.job(handle)["fingerprint"] == group["fingerprint"]


def test_operation_is_carried_out_beside_the_server(job_server: JobServerProcess):
    fail_a_job(job_server)
    operation = {
        "id": "B:1",
        "verb": "delete",
        "filter": '{"functions": ["resize"]}',
        "cut_off_at": "2100-01-01 00:00:00",
        "asked_at": "2026-01-01 00:00:00",
        "state": "waiting",
        **dict.fromkeys(("runner", "reached", "error", "asked_by"), ""),
        **dict.fromkeys(("expected", "is_more_expected", "done", "refused"), 0),
    }
    columns, marks = ", ".join(f'"{name}"' for name in operation), ", ".join("?" * len(operation))
    with closing(sqlite3.connect(job_server.database, timeout=SOON_S)) as database, database:
        database.execute(f"INSERT INTO gearjobs_bulkoperation ({columns}) VALUES ({marks})", tuple(operation.values()))

    def ended() -> list[dict[str, object]]:
        return job_server.rows("SELECT done, state FROM gearjobs_bulkoperation WHERE state = 'done'")

    assert eventually(ended, SOON_S, "the operation's end") == [{"done": 1, "state": "done"}]
    assert job_server.rows("SELECT handle FROM gearjobs_job") == []
