"""Access rules at a real server: what peers may do by them, and what of others' jobs they learn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.guarded_peers import WEB, WORKER, config_of, known_by_unique, known_of, prove, refusal_of
from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.wire_peer import T

RULES = """
key:web     submit,status  resize mail.*
key:worker  work           resize
key:ops     cancel,admin   *
local       status         *
"""


@pytest.fixture
def ruled_server(tmp_path: Path) -> Iterator[MemoryServer]:
    """A server with secrets and RULES."""
    secrets = f"{WEB}\n{WORKER}\nops:{'o' * 32}\n"
    with running_memory_server(config_of(tmp_path, rules=RULES, secrets=secrets)) as server:
        yield server


def test_rules_decide_what_each_key_may_do(ruled_server):
    with ruled_server.peer() as web, ruled_server.peer() as worker:
        prove(web, WEB)
        prove(worker, WORKER)

        handle = web.submit_background(b"resize")
        web.say(T.CAN_DO, b"resize")
        assert web.expect(T.ERROR) == [b"ACCESS_DENIED", b"key:web,local may not work resize"]
        worker.say(T.SUBMIT_JOB, b"resize", b"", b"")
        assert refusal_of(worker) == "ACCESS_DENIED"
        worker.can_do(b"resize")
        assert worker.grab() == (handle, b"payload")
        worker.say(T.WORK_COMPLETE, handle, b"done")
        worker.expect_quiet()


@pytest.mark.parametrize(
    "packet",
    [
        (T.SUBMIT_JOB, b"resize-evil", b"", b""),
        (T.SUBMIT_JOB_HIGH_BG, b"mail", b"", b""),
        (T.SUBMIT_JOB_EPOCH, b"pay", b"", b"0", b""),
        (T.SUBMIT_REDUCE_JOB, b"resize", b"", b"pay", b"0", b""),
        (T.SUBMIT_JOB_SCHED, b"pay", b"", b"*", b"*", b"*", b"*", b"*", b""),
        (T.CAN_DO_TIMEOUT, b"resize", b"1"),
        (T.GRAB_JOB,),
    ],
)
def test_what_no_rule_grants_is_refused(ruled_server, packet):
    with ruled_server.peer() as web:
        prove(web, WEB)
        web.say(*packet)

        assert refusal_of(web) == "ACCESS_DENIED"


def test_extension_names_its_function_second(ruled_server):
    with ruled_server.peer() as web:
        prove(web, WEB)
        web.use_extensions()
        web.say(T.SUBMIT_JOB_EXT, b"resize", b"pay", b"", b"{}", b"")

        assert refusal_of(web) == "ACCESS_DENIED"


def test_peer_with_a_lesser_grant_is_told_to_prove_a_secret(ruled_server):
    # `local` may ask for status, so it is admitted; what a secret would grant is not refused for good.
    with ruled_server.peer() as peer:
        assert peer.ask("status") == []
        peer.say(T.SUBMIT_JOB, b"resize", b"", b"")

        assert refusal_of(peer) == "AUTH_REQUIRED"


def test_job_of_a_function_one_may_not_ask_about_is_unknown(tmp_path):
    rules = "key:web submit *\nkey:web status mail.*\n"
    with running_memory_server(config_of(tmp_path, rules=rules)) as server, server.peer() as peer:
        prove(peer, WEB)
        shown = peer.submit_background(b"mail.send", unique=b"a")
        hidden = peer.submit_background(b"resize", unique=b"b")

        assert [known_of(peer, handle) for handle in (shown, hidden)] == [b"1", b"0"]
        assert [known_by_unique(peer, unique) for unique in (b"a", b"b")] == [b"1", b"0"]


OPS = f"ops:{'o' * 32}"


@pytest.fixture
def shared_server(tmp_path: Path) -> Iterator[MemoryServer]:
    """A server where `web` and `worker` may ask about one function each, and `ops` administers the first."""
    rules = "key:web submit,status mail.*\nkey:worker submit,status,work mail.*\nkey:ops admin mail.*\nlocal status x\n"
    secrets = f"{WEB}\n{WORKER}\n{OPS}\n"
    with running_memory_server(config_of(tmp_path, rules=rules, secrets=secrets)) as server:
        yield server


def test_job_that_another_submitted_is_unknown(shared_server):
    with shared_server.peer() as web, shared_server.peer() as again, shared_server.peer() as worker:
        for peer, secret in ((web, WEB), (again, WEB), (worker, WORKER)):
            prove(peer, secret)
        handle = web.submit_background(b"mail.send", unique=b"u")

        known = [(known_of(peer, handle), known_by_unique(peer, b"u")) for peer in (web, again, worker)]
        assert known == [(b"1", b"1"), (b"1", b"1"), (b"0", b"0")]
        assert shared_server.server._gatekeeper.refused == {("ACCESS_DENIED", "status"): 2}


def test_job_that_another_submitted_is_known_to_the_worker_that_runs_it(shared_server):
    with shared_server.peer() as web, shared_server.peer() as worker:
        prove(web, WEB)
        prove(worker, WORKER)
        handle = web.submit_background(b"mail.send")
        worker.can_do(b"mail.send")
        worker.grab()

        assert known_of(worker, handle) == b"1"


def test_job_that_another_submitted_is_known_to_whoever_administers_its_function(shared_server):
    with shared_server.peer() as web, shared_server.peer() as ops:
        prove(web, WEB)
        prove(ops, OPS)

        assert known_of(ops, web.submit_background(b"mail.send")) == b"1"


def test_job_that_another_submitted_is_known_to_whoever_may_ask_about_every_function(tmp_path):
    rules = "key:web submit,status mail.*\nkey:worker status *\n"
    with running_memory_server(config_of(tmp_path, rules=rules)) as server, server.peer() as web, server.peer() as all_:
        prove(web, WEB)
        prove(all_, WORKER)

        assert known_of(all_, web.submit_background(b"mail.send")) == b"1"


def test_job_is_known_to_everybody_who_joined_it(shared_server):
    with shared_server.peer() as web, shared_server.peer() as worker:
        prove(web, WEB)
        prove(worker, WORKER)
        handle = web.submit_background(b"mail.send", unique=b"u")

        assert worker.submit_background(b"mail.send", unique=b"u") == handle
        assert known_of(worker, handle) == b"1"


def test_repeating_a_handle_makes_nobody_its_submitter(shared_server):
    with shared_server.peer() as web, shared_server.peer() as worker:
        prove(web, WEB)
        prove(worker, WORKER)
        handle = web.submit_background(b"mail.send")
        worker.use_extensions()
        worker.say(T.SUBMIT_JOB_EXT, handle, b"mail.send", b"", b"{}", b"")
        worker.expect(T.JOB_CREATED)

        assert known_of(worker, handle) == b"0"


def test_job_out_of_the_store_whose_submitter_nobody_knows_is_known_by_its_function(shared_server):
    shared_server.insert(b"H:stored:1", function=b"mail.send")
    with shared_server.peer() as worker:
        prove(worker, WORKER)

        eventually(lambda: known_of(worker, b"H:stored:1") == b"1", 5.0, "the adopted job")


def test_refusals_are_counted_by_what_was_needed(ruled_server):
    with ruled_server.peer() as stranger, ruled_server.peer() as web:
        stranger.say(T.GRAB_JOB)
        assert refusal_of(stranger) == "AUTH_REQUIRED"
        prove(web, WEB)
        web.say(T.SUBMIT_JOB, b"pay", b"", b"")
        assert refusal_of(web) == "ACCESS_DENIED"
        web.ask("cancel job H:a:1")
        web.ask("shutdown")
        web.ask("status")

    assert ruled_server.server._gatekeeper.refused == {
        ("AUTH_REQUIRED", "work"): 1,
        ("ACCESS_DENIED", "submit"): 1,
        ("ACCESS_DENIED", "cancel"): 1,
        ("ACCESS_DENIED", "admin"): 1,
    }


def test_lines_need_what_they_show_or_change(ruled_server):
    with ruled_server.peer() as web, ruled_server.peer() as ops:
        prove(web, WEB)
        prove(ops, f"ops:{'o' * 32}")
        handle = web.submit_background(b"resize").decode()

        assert web.ask("version")[0].startswith(b"OK ")
        for line in (f"cancel job {handle}", "maxqueue resize 1", "drop function resize", "shutdown", "nonsense"):
            assert web.ask(line)[0].startswith(b"ERR ACCESS_DENIED "), line
        assert ops.ask("maxqueue resize 1")[0].startswith(b"OK")
        assert ops.ask(f"cancel job {handle}")[0].startswith(b"OK")


def test_cancel_and_maxqueue_may_be_granted_for_some_functions(tmp_path):
    rules = "key:web submit *\nkey:web cancel,admin mail.*\n"
    with running_memory_server(config_of(tmp_path, rules=rules)) as server, server.peer() as peer:
        prove(peer, WEB)
        own, other = (peer.submit_background(name).decode() for name in (b"mail.send", b"resize"))

        answers = [peer.ask(line)[0][:6] for line in (f"cancel job {other}", f"cancel job {own}", "cancel", "status")]
        assert answers == [b"ERR AC", b"OK\r\n", b"ERR AC", b"ERR AC"]
        assert peer.ask("maxqueue resize 1")[0].startswith(b"ERR ACCESS_DENIED")
        assert peer.ask("maxqueue mail.send 1")[0].startswith(b"OK")


def test_run_of_a_function_that_is_not_granted_is_unknown(tmp_path):
    rules = "key:web submit *\nkey:worker work resize\n"
    with running_memory_server(config_of(tmp_path, rules=rules)) as server:
        with server.peer() as web, server.peer() as worker:
            prove(web, WEB)
            prove(worker, WORKER)
            worker.use_extensions()
            for function in (b"resize", b"pay"):
                handle = web.submit_background(function)
                worker.say(T.RESUME_JOB, handle, b"1")
                granted = b"accepted" if function == b"resize" else b"unknown"
                assert worker.expect(T.RESUME_RES) == [handle, b"1", granted]
            worker.say(T.RESUME_JOB, b"H:nobody", b"1")
            assert worker.expect(T.RESUME_RES) == [b"H:nobody", b"1", b"unknown"]
            worker.say(T.RENEW_JOBS)
            assert worker.expect(T.RENEW_RES) == [b"1"]
            web.use_extensions()
            web.say(T.RENEW_JOBS)
            assert refusal_of(web) == "ACCESS_DENIED"

        assert server.server._gatekeeper.refused[("ACCESS_DENIED", "work")] == 2


def test_who_may_cancel_a_functions_jobs_may_cancel_each(ruled_server):
    with ruled_server.peer() as web, ruled_server.peer() as ops:
        prove(web, WEB)
        handle = web.submit_background(b"resize")
        prove(ops, f"ops:{'o' * 32}")
        ops.use_extensions()
        ops.say(T.CANCEL_JOB, handle, b"0")

        assert ops.expect(T.CANCEL_RES) == [handle, b"cancelled"]


def test_who_may_ask_about_a_job_but_not_cancel_it_is_refused(ruled_server):
    with ruled_server.peer() as web:
        prove(web, WEB)
        web.use_extensions()
        handle = web.submit_background(b"resize")
        web.say(T.CANCEL_JOB, handle, b"0")

        assert web.expect(T.ERROR) == [b"ACCESS_DENIED", b"key:web,local may not cancel resize"]


def test_who_may_not_ask_about_a_job_learns_nothing_by_cancelling_it(shared_server):
    with shared_server.peer() as web, shared_server.peer() as worker:
        prove(web, WEB)
        handle = web.submit_background(b"mail.send")
        prove(worker, WORKER)
        worker.use_extensions()
        for name in (handle, b"H:nobody"):
            worker.say(T.CANCEL_JOB, name, b"0")

            assert worker.expect(T.CANCEL_RES) == [name, b"unknown"]


def test_who_may_not_run_a_job_cannot_tell_what_became_of_its_run(ruled_server):
    # What it says would stand in the record of somebody else's job.
    with ruled_server.peer() as web, ruled_server.peer() as worker:
        prove(web, WEB)
        handles = [web.submit_background(function) for function in (b"mail.send", b"resize")]
        prove(worker, WORKER)
        worker.use_extensions()
        for handle in (*handles, b"H:nobody"):
            worker.say(T.LOSS_REPORT, handle, b"1", b"killed")
        worker.say(T.ECHO_REQ, b"heard")

        assert worker.expect(T.ECHO_RES) == [b"heard"]
        assert ruled_server.server._gatekeeper.refused == {("ACCESS_DENIED", "work"): 1}


def test_peer_that_may_become_more_is_told_to_before_it_may_cancel(ruled_server):
    with ruled_server.peer() as web, ruled_server.peer() as stranger:
        prove(web, WEB)
        handle = web.submit_background(b"resize")
        stranger.use_extensions()
        stranger.say(T.CANCEL_JOB, handle, b"0")

        assert refusal_of(stranger) == "AUTH_REQUIRED"


def test_peer_that_is_not_admitted_may_cancel_nothing(tmp_path):
    with running_memory_server(config_of(tmp_path, rules="key:web submit *\n")) as server, server.peer() as stranger:
        stranger.use_extensions()
        stranger.say(T.CANCEL_JOB, b"H:nobody", b"0")

        assert refusal_of(stranger) == "AUTH_REQUIRED"
        assert server.server._gatekeeper.refused == {("AUTH_REQUIRED", "cancel"): 1}


def test_who_administers_every_function_may_tell_workers(ruled_server):
    with ruled_server.peer() as ops, ruled_server.peer() as web:
        prove(ops, f"ops:{'o' * 32}")
        prove(web, WEB)
        for peer in (ops, web):
            peer.use_extensions()
            peer.say(T.CONTROL_WORKERS, b"*", b"quiet")

        assert ops.expect(T.CONTROL_RES) == [b"0"]
        assert refusal_of(web) == "ACCESS_DENIED"


def test_who_administers_some_functions_may_not_tell_workers(shared_server):
    with shared_server.peer() as ops:
        prove(ops, f"ops:{'o' * 32}")
        ops.use_extensions()
        ops.say(T.CONTROL_WORKERS, b"*", b"stop")

        assert refusal_of(ops) == "ACCESS_DENIED"


def test_reason_gives_nobody_a_right_to_cancel(ruled_server):
    with ruled_server.peer() as web, ruled_server.peer() as ops:
        prove(web, WEB)
        prove(ops, f"ops:{'o' * 32}")
        handle = web.submit_background(b"resize")
        for peer in (web, ops):
            peer.use_extensions()
            peer.say(T.CANCEL_FOR_REASON, handle, b"0", b"it is wrong")

        assert refusal_of(web) == "ACCESS_DENIED"
        assert ops.expect(T.CANCEL_RES) == [handle, b"cancelled"]


def test_who_may_cancel_a_job_may_change_it_and_moves_it_only_where_they_may_submit(tmp_path):
    rules = "key:web submit,status resize\nkey:ops cancel *\nkey:ops submit resize mail\n"
    config = config_of(tmp_path, rules=rules, secrets=f"{WEB}\nops:{'o' * 32}\n")
    with running_memory_server(config) as server, server.peer() as web, server.peer() as ops:
        prove(web, WEB)
        prove(ops, f"ops:{'o' * 32}")
        handle = web.submit_background(b"resize")
        for peer in (web, ops):
            peer.use_extensions()
        for peer, function in ((web, b""), (ops, b"pay")):
            peer.say(T.CHANGE_JOB, handle, b"7", b"", function, b"")
            assert refusal_of(peer) == "ACCESS_DENIED"

        ops.say(T.CHANGE_JOB, handle, b"7", b"", b"mail", b"")
        assert ops.expect(T.CHANGE_RES) == [handle, b"changed"]


def test_others_do_not_learn_that_there_is_a_job_to_change(tmp_path):
    rules = "key:web submit,status resize\nkey:ops submit,status mail\n"
    config = config_of(tmp_path, rules=rules, secrets=f"{WEB}\nops:{'o' * 32}\n")
    with running_memory_server(config) as server, server.peer() as web, server.peer() as ops:
        prove(web, WEB)
        prove(ops, f"ops:{'o' * 32}")
        handle = web.submit_background(b"resize")
        ops.use_extensions()
        for word in (handle, b"H:nobody"):
            ops.say(T.CHANGE_JOB, word, b"7", b"", b"", b"")

            assert ops.expect(T.CHANGE_RES) == [word, b"unknown"]


@pytest.mark.parametrize("verb", ["pause", "resume", "clear"])
def test_who_administers_a_function_may_pause_and_clear_it_and_no_other(tmp_path, verb):
    config = config_of(tmp_path, rules="key:web admin resize\n")
    with running_memory_server(config) as server, server.peer() as operator:
        prove(operator, WEB)

        assert operator.ask(f"{verb} resize")[0].startswith(b"OK")
        assert operator.ask(f"{verb} resize-evil")[0].startswith(b"ERR ACCESS_DENIED")
        assert operator.ask(verb)[0].startswith(b"ERR ACCESS_DENIED")


def test_who_may_submit_may_say_that_queues_changed(ruled_server):
    with ruled_server.peer() as web, ruled_server.peer() as worker:
        for peer, secret in ((web, WEB), (worker, WORKER)):
            prove(peer, secret)
            peer.use_extensions()
            peer.say(T.QUEUES_CHANGED)

        assert refusal_of(worker) == "ACCESS_DENIED"
        web.expect_quiet()
