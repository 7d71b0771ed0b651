"""From given values to configurations: defaults, names of services, and protocols."""

from __future__ import annotations

import pytest

from gearjobs.errors import SettingsError
from gearjobs.server.command.option_configs import make_process_config, make_server_config
from gearjobs.server.command.process_config import ProcessConfig
from gearjobs.server.config import AdminPolicy, ServerConfig


def test_nothing_given_is_the_default():
    assert make_server_config({}) == ServerConfig()
    assert make_process_config({}) == ProcessConfig()


def test_each_configuration_takes_what_it_has_a_field_for():
    values = {"port": 17, "daemon": True, "verbose": "NOTICE", "threads": 8, "keepalive_idle_s": 5}

    assert make_server_config(values) == ServerConfig(port=17, verbose="NOTICE", keepalive_idle_s=5)
    assert make_process_config(values) == ProcessConfig(daemon=True, verbose="NOTICE")


def test_port_may_be_the_name_of_a_service():
    assert make_server_config({"port": "http"}).port == 80


def test_unknown_service_is_refused():
    with pytest.raises(SettingsError, match=r"expected a port's number or a service.*, got 'no-such-service'"):
        make_server_config({"port": "no-such-service"})


def test_http_is_served_only_where_the_protocol_is_asked_for():
    assert make_server_config({"http_port": 90}).http_port is None
    assert make_server_config({"protocol": "http"}).http_port == 8080
    assert make_server_config({"protocol": "http", "http_port": 90}).http_port == 90


def test_unknown_protocol_is_refused():
    with pytest.raises(SettingsError, match="Unknown protocol module : gopher"):
        make_server_config({"protocol": "gopher"})


@pytest.mark.parametrize("word", ["local", "all", "off"])
def test_who_may_administer_is_one_of_the_policies(word):
    assert make_server_config({"admin": word}).admin is AdminPolicy(word)


@pytest.mark.parametrize(
    "given",
    [
        {"secret_file": "secrets"},
        {"access_file": "rules"},
        {"ssl": True, "ssl_ca_file": "ca.pem"},
        {"listen": ("127.0.0.1", "unix:/run/jobs.sock")},
    ],
)
def test_peers_that_can_show_who_they_are_may_be_the_ones_to_administer(given):
    assert make_server_config({"admin": "auth", **given}).admin is AdminPolicy.AUTH


@pytest.mark.parametrize("given", [{}, {"ssl_ca_file": "ca.pem"}, {"ssl": True}, {"listen": ("::1",)}])
def test_server_that_nobody_could_ever_administer_is_refused(given):
    with pytest.raises(SettingsError, match="--admin auth means nobody where peers cannot show who they are"):
        make_server_config({"admin": "auth", **given})
