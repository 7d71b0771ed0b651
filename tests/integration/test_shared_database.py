"""The real server and the others who write its database: whose lock it waits for, whose rows it takes over."""

from __future__ import annotations

import statistics
import time

from gearjobs.protocol.packets import PacketType
from tests.support.eventually import eventually
from tests.support.job_storm import drain

T = PacketType

#: Seconds within which whoever does not need the database is answered; most of it is the busy machine's.
FAIR_S = 2.0
#: Seconds until an outcome is in the table.
COMMIT_TIMEOUT_S = 20.0
#: Seconds within which a row that nobody told of must be found: three sweeps.
SWEEP_S = 3.0


def test_only_submits_wait_for_a_database_that_is_busy(job_server):
    with job_server.peer() as client, job_server.peer() as worker, job_server.peer() as waiting:
        worker.can_do(b"resize")
        with job_server.write_locked():
            waiting.say(T.SUBMIT_JOB_BG, b"mail", b"", b"photo")
            handle = client.submit(b"resize", b"photo", timeout_s=FAIR_S)
            assert worker.grab() == (handle, b"photo")
            worker.say(T.WORK_COMPLETE, handle, b"done")
            assert client.expect(T.WORK_COMPLETE, timeout_s=FAIR_S) == [handle, b"done"]
            assert worker.ask("status")[-1] == b"mail\t0\t0\t0\n"

        kept = waiting.expect_body(T.JOB_CREATED)
    assert job_server.job(kept)["status"] == "READY"


def test_inserted_row_runs_soon_after_a_nudge(job_server):
    with job_server.peer() as worker, job_server.peer() as client:
        client.use_extensions()
        worker.can_do(b"resize")
        template = job_server.job(client.submit_background(b"template"))
        delays_s = []
        for number in range(7):
            worker.say(T.PRE_SLEEP)
            worker.expect_quiet()
            job_server.insert_row(template, handle=f"H:row:{number}", function="resize")
            began = time.monotonic()
            client.say(T.ADOPT_JOBS)
            worker.expect(T.NOOP, timeout_s=SWEEP_S)
            delays_s.append(time.monotonic() - began)
            assert worker.grab()[0] == b"H:row:%d" % number

    # The machine may be busy with something else now and then.
    assert statistics.median(delays_s) < 0.2


def test_inserted_row_runs_without_a_nudge(job_server):
    with job_server.peer() as worker, job_server.peer() as client:
        worker.can_do(b"resize")
        template = job_server.job(client.submit_background(b"template"))
        worker.say(T.PRE_SLEEP)
        worker.expect_quiet()

        job_server.insert_row(template, handle="H:row:1", function="resize")

        worker.expect(T.NOOP, timeout_s=SWEEP_S)
        handle, payload = worker.grab()
        assert (handle, payload) == (b"H:row:1", b"payload")
        worker.say(T.WORK_COMPLETE, handle, b"done")
        eventually(lambda: job_server.job(handle)["finished_at"], COMMIT_TIMEOUT_S, "the outcome in the table")


def test_row_inserted_while_no_server_runs_is_done_by_the_next(job_server):
    with job_server.peer() as client:
        template = job_server.job(client.submit_background(b"template"))
    job_server.terminate()
    job_server.insert_row(template, handle="H:row:1", function="resize")

    job_server.restart()

    assert drain(job_server) == [b"H:row:1"]
