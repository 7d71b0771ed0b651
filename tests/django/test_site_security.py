"""GEARJOBS["SECURITY"] and the checks that speak of it: what is set is used, and what is missing is said."""

from __future__ import annotations

import ssl

import pytest
from django.core import checks

from gearjobs.actions.live_snapshot import live_snapshot
from gearjobs.checks import check_open_server, check_settings
from gearjobs.errors import UsageError
from gearjobs.guarded_socket import NO_SECURITY
from gearjobs.server.config import ServerConfig
from gearjobs.tasks.job_client import client_of, clients
from gearjobs.tasks.site_security import site_security
from tests.support.job_server import running_memory_server

WEB = f"web:{'w' * 32}"


@pytest.fixture
def guarded_server(tmp_path):
    """A server that wants WEB."""
    secrets = tmp_path / "secrets"
    secrets.write_text(WEB)
    secrets.chmod(0o600)
    with running_memory_server(ServerConfig(listen=("127.0.0.1",), port=0, secret_file=str(secrets))) as server:
        yield server


def test_without_a_setting_connections_are_plain():
    assert site_security() == NO_SECURITY


def test_tls_and_secret_come_from_the_settings(settings):
    settings.GEARJOBS = {"SECURITY": {"TLS": True, "SECRET": WEB}}

    security = site_security()

    assert security.tls is not None
    assert security.tls.context().verify_mode == ssl.CERT_REQUIRED
    assert security.secret is not None
    assert security.secret.key_id == "web"


def test_file_that_is_missing_is_told_at_the_first_use(settings):
    settings.GEARJOBS = {"SECURITY": {"TLS": True, "CA_FILE": "/nowhere/ca.pem"}}

    with pytest.raises(UsageError, match=r"cannot read the TLS file /nowhere/ca\.pem"):
        site_security()


def test_client_of_the_project_proves_its_secret(settings, guarded_server):
    settings.GEARJOBS = {"SECURITY": {"SECRET": WEB}}
    address = str(guarded_server.address)
    try:
        client_of([address]).submit_background("resize", b"photo")
    finally:
        clients.pop(((address,), "order")).close()

    assert len(guarded_server.store.unfinished) == 1


@pytest.mark.parametrize(("security", "is_up"), [({"SECRET": WEB}, True), ({}, False)])
def test_dashboard_shows_a_guarded_server_to_whoever_has_the_secret(settings, guarded_server, security, is_up):
    settings.GEARJOBS = {"SECURITY": security}

    (server,) = live_snapshot([str(guarded_server.address)], timeout_s=5.0).servers

    assert server.is_up == is_up
    assert is_up or "AUTH_REQUIRED" in server.problem


def test_secret_that_is_none_is_reported_and_not_shown(settings):
    settings.GEARJOBS = {"SECURITY": {"SECRET": "web:hunter2"}}

    (report,) = check_settings()

    assert report.id == "gearjobs.E005"
    assert "hunter2" not in report.msg


def test_switch_must_be_true_or_false(settings):
    settings.GEARJOBS = {"SECURITY": {"TLS": 1}}

    (report,) = check_settings()

    assert "must be True or False, got 1" in report.msg


@pytest.mark.parametrize(
    ("server", "ids"),
    [
        ({}, []),
        ({"LISTEN": ["localhost", "127.0.0.2", "::1"]}, []),
        ({"LISTEN": ["0.0.0.0"]}, ["gearjobs.W002"]),
        ({"LISTEN": ["::1", "jobs.example"]}, ["gearjobs.W002"]),
        ({"LISTEN": ["127.0.0.1", "unix:/run/jobs.sock"]}, []),
        ({"LISTEN": ["0.0.0.0"], "SSL": True, "SSL_CERTIFICATE": "a.pem"}, ["gearjobs.W002"]),
        ({"LISTEN": ["0.0.0.0"], "SSL_CA_FILE": "ca.pem"}, ["gearjobs.W002"]),
        ({"LISTEN": ["0.0.0.0"], "SSL": True, "SSL_CA_FILE": "ca.pem"}, []),
        ({"LISTEN": ["0.0.0.0"], "SECRET_FILE": "secrets"}, []),
        ({"LISTEN": ["0.0.0.0"], "ACCESS_FILE": "rules"}, []),
    ],
)
def test_server_that_the_network_reaches_unguarded_is_reported_for_deployment(settings, server, ids):
    settings.GEARJOBS = {"SERVER": server}

    assert [report.id for report in check_open_server()] == ids


def test_open_server_is_reported_by_check_deploy_alone(settings):
    settings.GEARJOBS = {"SERVER": {"LISTEN": ["0.0.0.0"]}}

    assert checks.run_checks(tags=["gearjobs"]) == []
    found = checks.run_checks(tags=["gearjobs"], include_deployment_checks=True)
    assert [report.id for report in found] == ["gearjobs.W002"]
