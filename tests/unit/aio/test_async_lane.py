"""One run of an asyncio worker: its limits, its cancel, and how it outlives a connection."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress

import pytest

from gearjobs.errors import JobCancelled, SoftTimeout
from gearjobs.protocol.attributes import CANCELLED, TIMED_OUT, AssignAttributes, decode_failure, encode
from gearjobs.protocol.codec import encode_response
from tests.support.async_workers import (
    HANDLE,
    Played,
    T,
    assign,
    assign_ext,
    expect_farewell,
    let_sleep,
    play,
    worker_of,
    working,
)
from tests.support.event_loop import with_asyncio
from tests.support.scripted_server import ScriptedServer


@with_asyncio
async def test_outcome_of_a_job_whose_server_broke_off_is_lost_and_said_so(caplog):
    noticed, played = Played(), Played()

    async def run(_job):
        await noticed.wait()
        return b""

    def breaking(peer):
        peer.negotiate_worker()
        assign(peer)

    def good(peer):
        peer.negotiate_worker()
        noticed.reached()
        let_sleep(peer)
        played.reached()
        expect_farewell(peer)

    with ScriptedServer(breaking, good) as server:
        async with working(worker_of(server.address, run=run)):
            await played.wait()

    assert "Lost the outcome with the job server" in caplog.text


@with_asyncio
async def test_cancelled_job_is_told_then_interrupted():
    seen = []

    async def run(job):
        try:
            await asyncio.Event().wait()
        except JobCancelled:
            seen.append(job.is_cancel_asked)
            raise

    def script(peer):
        assign_ext(peer)
        peer.say(T.CANCEL_NOTICE, HANDLE, b"0")
        assert decode_failure(peer.expect(T.WORK_FAIL_EXT)[1]).outcome == CANCELLED

    await play(script, has_extensions=True, run=run, cancel_grace_s=0.05)

    assert seen == [True]


@with_asyncio
async def test_soft_timeout_is_raised_where_the_coroutine_awaits():
    async def run(_job):
        await asyncio.Event().wait()

    def script(peer):
        assign_ext(peer)
        report = decode_failure(peer.expect(T.WORK_FAIL_EXT)[1])
        assert (report.outcome, report.class_path) == (TIMED_OUT, "gearjobs.errors.SoftTimeout")

    await play(script, has_extensions=True, run=run, limits={"soft_timeout_s": 0.05})


@with_asyncio
async def test_soft_timeout_is_raised_in_a_thread():
    def run(_job):
        while True:
            threading.Event().wait(0.005)

    def script(peer):
        assign_ext(peer)
        assert decode_failure(peer.expect(T.WORK_FAIL_EXT)[1]).outcome == TIMED_OUT

    await play(script, has_extensions=True, run=run, limits={"soft_timeout_s": 0.05})


@with_asyncio
async def test_coroutine_that_overruns_is_ended_and_its_server_left(caplog):
    played = Played()

    async def run(_job):
        while True:
            try:
                await asyncio.Event().wait()
            except SoftTimeout:
                continue

    def overrun(peer):
        peer.negotiate_worker(has_extensions=True)
        assign_ext(peer)
        assert decode_failure(peer.expect(T.WORK_FAIL_EXT)[1]).outcome == TIMED_OUT
        expect_farewell(peer)

    def good(peer):
        peer.negotiate_worker(has_extensions=True)
        let_sleep(peer, T.GRAB_JOB_EXT)
        played.reached()
        expect_farewell(peer)

    with ScriptedServer(overrun, good) as server:
        worker = worker_of(server.address, run=run, limits={"run_timeout_s": 0.1, "soft_timeout_s": 0.05})
        async with working(worker):
            await played.wait()


@with_asyncio
async def test_resumable_run_outlives_its_connection_and_its_outcome_is_kept_until_settled(caplog):
    begun, resumed = asyncio.Event(), Played()

    async def run(_job):
        begun.set()
        await resumed.wait()
        return b"done"

    def breaking(peer):
        peer.negotiate_worker(has_extensions=True)
        assign_ext(peer, lease_s=8.0, resume_s=30.0)

    def taking(peer):
        peer.negotiate_worker(has_extensions=True)
        assert peer.expect(T.RESUME_JOB) == (HANDLE, b"1")
        peer.say(T.RESUME_RES, HANDLE, b"1", b"accepted")
        peer.expect(T.RENEW_JOBS)
        peer.say(T.RENEW_RES, b"1")
        resumed.reached()
        assert peer.expect(T.WORK_COMPLETE) == (HANDLE, b"done")

    def settling(peer):
        peer.negotiate_worker(has_extensions=True)
        assert peer.expect(T.RESUME_JOB) == (HANDLE, b"1")
        peer.say(T.RESUME_RES, HANDLE, b"1", b"accepted")
        assert peer.expect(T.WORK_COMPLETE) == (HANDLE, b"done")
        peer.say(T.OUTCOME_SETTLED, HANDLE)
        expect_farewell(peer)

    with ScriptedServer(breaking, taking, settling) as server:
        async with working(worker_of(server.address, run=run)):
            await begun.wait()
            await resumed.wait()


@with_asyncio
async def test_run_that_a_server_refuses_is_stopped_and_its_outcome_dropped(caplog):
    ended, played = [], Played()

    async def run(_job):
        try:
            await asyncio.Event().wait()
        except JobCancelled as error:
            ended.append(str(error))
            raise

    def breaking(peer):
        peer.negotiate_worker(has_extensions=True)
        assign_ext(peer, lease_s=8.0, resume_s=30.0)

    def refusing(peer):
        peer.negotiate_worker(has_extensions=True)
        peer.expect(T.RESUME_JOB)
        peer.say(T.RESUME_RES, HANDLE, b"1", b"refused")
        let_sleep(peer, T.GRAB_JOB_EXT)
        played.reached()
        expect_farewell(peer)

    with ScriptedServer(breaking, refusing) as server:
        async with working(worker_of(server.address, run=run)):
            await played.wait()

    assert ended == ["the run was lost: another server has it run again, or has ended it"]
    assert "Dropped the outcome of a lost run" in caplog.text


@with_asyncio
async def test_run_that_was_handed_over_too_late_is_given_back(caplog):
    played = Played()

    def late(peer):
        peer.negotiate_worker(has_extensions=True)
        assign_ext(peer, lease_s=1e-9, resume_s=1e-9)
        expect_farewell(peer)

    def good(peer):
        peer.negotiate_worker(has_extensions=True)
        let_sleep(peer, T.GRAB_JOB_EXT)
        played.reached()
        expect_farewell(peer)

    with ScriptedServer(late, good) as server:
        async with working(worker_of(server.address)):
            await played.wait()

    assert "it assigned job H:a:1 too late" in caplog.text


@with_asyncio
async def test_run_whose_cancel_is_forced_ends_whatever_it_does(caplog):
    played = Played()

    async def run(_job):
        while True:
            with suppress(JobCancelled):
                await asyncio.Event().wait()

    def forcing(peer):
        peer.negotiate_worker(has_extensions=True)
        assign_ext(peer)
        peer.say(T.CANCEL_NOTICE, HANDLE, b"1")
        assert decode_failure(peer.expect(T.WORK_FAIL_EXT)[1]).outcome == CANCELLED
        expect_farewell(peer)

    def good(peer):
        peer.negotiate_worker(has_extensions=True)
        let_sleep(peer, T.GRAB_JOB_EXT)
        played.reached()
        expect_farewell(peer)

    with ScriptedServer(forcing, good) as server:
        async with working(worker_of(server.address, run=run)):
            await played.wait()


@with_asyncio
async def test_job_that_was_cancelled_before_it_began_is_not_run():
    ran = []

    async def run(job):
        ran.append(job)
        return b""

    def script(peer):
        # In one write, so that both are there when the worker looks.
        peer.expect(T.GRAB_JOB_EXT)
        job = encode_response(T.JOB_ASSIGN_EXT, HANDLE, b"f", b"", encode(AssignAttributes()), b"p")
        peer.socket.sendall(job + encode_response(T.CANCEL_NOTICE, HANDLE, b"0"))
        assert decode_failure(peer.expect(T.WORK_FAIL_EXT)[1]).outcome == CANCELLED

    await play(script, has_extensions=True, run=run)

    assert not ran


@pytest.mark.slow
@with_asyncio
async def test_coroutine_that_goes_on_after_its_end_does_not_keep_the_worker(caplog):
    played, released = Played(), asyncio.Event()

    async def run(_job):
        while not released.is_set():
            with suppress(asyncio.CancelledError):
                await released.wait()
        return b"too late"

    def overrun(peer):
        peer.negotiate_worker(has_extensions=True)
        assign_ext(peer)
        assert decode_failure(peer.expect(T.WORK_FAIL_EXT)[1]).outcome == TIMED_OUT
        expect_farewell(peer)

    def good(peer):
        peer.negotiate_worker(has_extensions=True)
        let_sleep(peer, T.GRAB_JOB_EXT)
        played.reached()
        expect_farewell(peer)

    with ScriptedServer(overrun, good) as server:
        async with working(worker_of(server.address, run=run, limits={"run_timeout_s": 0.05})):
            await played.wait()
            released.set()

    assert "Left a function that goes on" in caplog.text
