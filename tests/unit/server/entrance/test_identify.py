"""Secrets and access rules at a real server: what peers hear who have neither, and what those may do who have them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.client.client import Client
from gearjobs.errors import ServerError, ServerUnavailable, UsageError
from gearjobs.guarded_socket import make_security
from gearjobs.protocol.auth import AUTH_OPTION, Secret
from gearjobs.server.config import ServerConfig
from gearjobs.server.entrance import identify
from gearjobs.server.entrance.admission import TurnedAway
from gearjobs.server.entrance.refusal_log import Failure
from tests.support.eventually import eventually
from tests.support.guarded_peers import WEB, WORKER, config_of, exchange_of, prove, refusal_of
from tests.support.job_server import MemoryServer, running_memory_server
from tests.support.wire_peer import T


@pytest.fixture
def guarded_server(tmp_path: Path) -> Iterator[MemoryServer]:
    """A server that wants a secret, and has no rules."""
    with running_memory_server(config_of(tmp_path)) as server:
        yield server


def test_server_without_secrets_knows_the_option_as_little_as_gearmand(memory_server):
    with memory_server.peer() as peer:
        peer.say(T.OPTION_REQ, exchange_of(WEB).challenge())

        assert peer.expect(T.ERROR) == [b"UNKNOWN_OPTION", b"Server does not recognize given option"]


@pytest.mark.parametrize(
    "packet",
    [
        (T.SUBMIT_JOB_BG, b"resize", b"", b"photo"),
        (T.CAN_DO, b"resize"),
        (T.GRAB_JOB,),
        (T.GET_STATUS, b"H:a:1"),
        (T.GET_STATUS_UNIQUE, b"u"),
        (T.WORK_COMPLETE, b"H:a:1", b""),
        (T.SET_CLIENT_ID, b"me"),
        (T.ADOPT_JOBS,),
    ],
)
def test_peer_that_proved_nothing_hears_what_is_wanted(guarded_server, packet):
    with guarded_server.peer() as peer:
        peer.say(*packet)

        assert peer.expect(T.ERROR) == [b"AUTH_REQUIRED", b"This server wants a secret to be proven first"]


def test_peer_that_proved_nothing_may_echo_and_set_options(guarded_server):
    with guarded_server.peer() as peer:
        peer.use_extensions()
        peer.say(T.OPTION_REQ, b"exceptions")
        peer.expect(T.OPTION_RES)
        peer.expect_quiet()


@pytest.mark.parametrize("line", ["status", "workers", "version", "shutdown", "cancel job H:a:1", "nonsense"])
def test_peer_that_proved_nothing_learns_nothing_by_lines(guarded_server, line):
    with guarded_server.peer() as peer:
        assert peer.ask(line)[0].startswith(b"ERR AUTH_REQUIRED ")


def test_peer_that_proved_a_secret_is_served(guarded_server):
    with guarded_server.peer() as peer:
        prove(peer, WORKER)

        peer.submit_background(b"resize")
        assert peer.ask("status") == [b"resize\t1\t0\t0\n"]


def test_third_wrong_proof_ends_the_connection_and_is_told_in_the_log(guarded_server, caplog):
    with guarded_server.peer() as peer:
        for _ in range(3):
            peer.say(T.OPTION_REQ, b"gearjobs/proof/1:" + b"0" * 64)
            assert refusal_of(peer) == "AUTH_FAILED"
        peer.expect_end()

    assert caplog.text.count("refuse identity peer=127.0.0.1") == 3
    assert guarded_server.server._identification.failures.counts == {Failure.PROOF: 3}


def test_secret_itself_is_never_logged(guarded_server, caplog):
    caplog.set_level(logging.DEBUG)
    with guarded_server.peer() as peer:
        prove(peer, WEB)

    assert "key:web" in caplog.text
    assert "wwww" not in caplog.text


def test_peer_that_proves_nothing_in_time_is_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(identify, "PROOF_LIMIT_S", 1.0)
    with running_memory_server(config_of(tmp_path)) as server, server.peer() as silent, server.peer() as peer:
        prove(peer, WEB)

        silent.expect_end(timeout_s=5.0)
        peer.expect_quiet()


def test_client_and_admin_client_prove_their_secret(guarded_server):
    security = make_security(secret=WEB)
    with Client([guarded_server.address], security=security) as client:
        client.submit_background("resize", b"photo")
        assert client.echo(b"hello") == b"hello"
    with AdminClient(guarded_server.address, security=security) as admin:
        assert [line.total for line in admin.status()] == [1]


def test_client_without_the_secret_is_told_what_is_wanted(guarded_server):
    with Client([guarded_server.address]) as client, pytest.raises(ServerError, match="AUTH_REQUIRED"):
        client.submit_background("resize", b"photo")


def test_client_with_a_wrong_secret_is_told_so(guarded_server):
    security = make_security(secret=f"web:{'x' * 32}")
    with (
        Client([guarded_server.address], security=security) as client,
        pytest.raises(ServerUnavailable, match="key web is not taken: AUTH_FAILED"),
    ):
        client.echo(b"hello")


def test_client_with_a_secret_leaves_a_server_that_knows_none(memory_server):
    with (
        Client([memory_server.address], security=make_security(secret=WEB)) as client,
        pytest.raises(ServerUnavailable, match="key web is not taken: UNKNOWN_OPTION"),
    ):
        client.submit_background("resize", b"photo")

    assert not memory_server.store.unfinished


RULES = """
key:web     submit,status  resize mail.*
key:worker  work           resize
"""


@pytest.mark.parametrize(
    ("packet", "verb"), [((T.GET_STATUS, b"H:a:1"), "status"), ((T.SET_CLIENT_ID, b"me"), "other")]
)
def test_stranger_is_counted_by_what_it_asked_for(guarded_server, packet, verb):
    with guarded_server.peer() as stranger:
        stranger.say(*packet)
        assert refusal_of(stranger) == "AUTH_REQUIRED"

    assert guarded_server.server._gatekeeper.refused == {("AUTH_REQUIRED", verb): 1}


def test_strangers_that_stay_silent_leave_places_for_others_once_they_are_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(identify, "PROOF_LIMIT_S", 1.0)
    monkeypatch.setattr("gearjobs.server.entrance.admission.UNPROVEN_LIMIT", 2)
    with running_memory_server(config_of(tmp_path)) as server, ExitStack() as stack:
        known = stack.enter_context(server.peer())
        prove(known, WEB)
        strangers = [stack.enter_context(server.peer()) for _ in range(3)]
        strangers[2].expect_end(timeout_s=5.0)
        known.expect_quiet()
        for stranger in strangers[:2]:
            stranger.expect_end(timeout_s=5.0)

        with server.peer() as late:
            prove(late, WEB)
    assert server.server._admission.turned_away == {TurnedAway.UNPROVEN_FULL: 1}


def test_rules_alone_need_no_secrets(tmp_path):
    rules = "net:127.0.0.0/8 submit resize"
    with running_memory_server(config_of(tmp_path, rules=rules, secrets="")) as server, server.peer() as peer:
        peer.submit_background(b"resize")
        peer.say(T.SUBMIT_JOB, b"pay", b"", b"")

        assert peer.expect(T.ERROR) == [b"ACCESS_DENIED", b"local may not submit pay"]
        peer.say(T.OPTION_REQ, AUTH_OPTION + b"web:" + b"1" * 64)
        assert refusal_of(peer) == "UNKNOWN_OPTION"


def test_peer_that_no_rule_speaks_of_may_do_nothing(tmp_path):
    config = config_of(tmp_path, rules="net:10.0.0.0/8 all *", secrets="")
    with running_memory_server(config) as server, server.peer() as peer:
        peer.say(T.SET_CLIENT_ID, b"me")

        assert peer.expect(T.ERROR) == [b"ACCESS_DENIED", b"local may do nothing here"]


def test_reload_changes_grants_and_drops_peers_whose_secret_is_gone(tmp_path):
    with (
        running_memory_server(config_of(tmp_path, rules=RULES)) as server,
        server.peer() as web,
        server.peer() as worker,
    ):
        prove(web, WEB)
        prove(worker, WORKER)
        (tmp_path / "rules").write_text("key:* submit pay")
        (tmp_path / "secrets").write_text(f"{WEB}\n")
        server.do(server.server.reload)

        worker.expect_end()
        web.submit_background(b"pay")
        web.say(T.SUBMIT_JOB, b"resize", b"", b"")
        assert refusal_of(web) == "ACCESS_DENIED"


def test_reload_takes_from_workers_what_they_may_no_longer_do(tmp_path):
    rules = "key:web submit *\nkey:worker work *\nlocal status *\n"
    with (
        running_memory_server(config_of(tmp_path, rules=rules)) as server,
        server.peer() as web,
        server.peer() as worker,
    ):
        prove(web, WEB)
        prove(worker, WORKER)
        handle = web.submit_background(b"pay")
        worker.can_do(b"pay", b"resize")
        worker.grab()
        (tmp_path / "rules").write_text(rules.replace("work *", "work resize"))
        server.do(server.server.reload)

        eventually(lambda: b"pay\t1\t0\t0\n" in web.ask("status"), 5.0, "the job to wait again")
        assert b"resize\t0\t0\t1\n" in web.ask("status")
        worker.say(T.WORK_COMPLETE, handle, b"forged")
        assert refusal_of(worker) == "JOB_NOT_FOUND"
        worker.say(T.GRAB_JOB)
        worker.expect(T.NO_JOB)


def test_reload_drops_peers_whose_secret_is_another_now(tmp_path):
    with running_memory_server(config_of(tmp_path)) as server, server.peer() as peer:
        prove(peer, WEB)
        (tmp_path / "secrets").write_text(f"web:{'n' * 32}\n")
        server.do(server.server.reload)

        peer.expect_end()


def test_reload_of_broken_rules_keeps_the_old_ones(tmp_path, caplog):
    with running_memory_server(config_of(tmp_path, rules=RULES)) as server, server.peer() as web:
        prove(web, WEB)
        (tmp_path / "rules").write_text("everybody may everything")
        server.do(server.server.reload)
        eventually(lambda: "keep certificates, secrets and rules" in caplog.text, 5.0, "the line in the log")

        web.submit_background(b"resize")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"secrets": "web:short"}, "secrets: the secret web must be 32 or more"),
        ({"rules": "web all *"}, "rules: access rule in line 1: who must be"),
        ({"secret_file": "/nowhere/secrets", "secrets": ""}, "cannot read the secrets in /nowhere/secrets: No such"),
    ],
)
def test_files_that_are_wrong_are_no_start(tmp_path, options, words):
    with pytest.raises(UsageError, match=words), running_memory_server(config_of(tmp_path, **options)):
        pass


def test_secrets_that_anybody_can_read_are_told_of(tmp_path, caplog):
    config = config_of(tmp_path)
    (tmp_path / "secrets").chmod(0o644)

    with running_memory_server(config):
        assert "anybody on this machine can read the secrets" in caplog.text


@pytest.mark.parametrize(
    ("options", "warnings"),
    [({}, 1), ({"secret_file": "x"}, 0), ({"access_file": "x"}, 0), ({"ssl": True}, 1), ({"ssl_ca_file": "x"}, 1)],
)
def test_open_server_on_the_network_says_so_once(caplog, options, warnings):
    identify.warn_if_open(ServerConfig(**options), ["127.0.0.1", "0.0.0.0", "10.0.0.7"])

    assert caplog.text.count("whoever reaches it may run jobs") == warnings


def test_certificate_without_ssl_is_told_of(caplog):
    identify.warn_if_open(ServerConfig(ssl_certificate="server.pem"), ["127.0.0.1", "::1", "unix:/run/jobs.sock"])

    assert [record.getMessage() for record in caplog.records] == [
        "a certificate is given but not --ssl: connections are not encrypted"
    ]


def test_secret_can_be_told_by_its_owner_alone():
    assert repr(make_security(secret=WEB).secret) == repr(Secret("web", b"anything"))
