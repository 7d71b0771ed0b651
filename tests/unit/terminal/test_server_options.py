"""Which server a program goes to, and how it shows who it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gearjobs.errors import UsageError
from gearjobs.guarded_socket import NO_SECURITY, make_security
from gearjobs.protocol.auth import parse_secret
from gearjobs.servers import ServerAddress
from gearjobs.terminal.server_options import HomeServers, ServerOptions, option_values, security_of, servers_of
from gearjobs.tls import ClientTls, TlsFiles
from tests.support.certificates import Authority

SECRET = f"web:{'s' * 32}"
HOME = HomeServers(("one", "two:4731"), make_security(secret=SECRET))


@pytest.mark.parametrize(
    ("options", "environ", "servers"),
    [
        (ServerOptions(), {}, ["one:4730", "two:4731"]),
        (ServerOptions(host="there"), {}, ["there:4730"]),
        (ServerOptions(port="4732"), {}, ["localhost:4732"]),
        (ServerOptions(host="::1", port=" 4732"), {}, ["[::1]:4732"]),
        (ServerOptions(host="[::1]"), {}, ["[::1]:4730"]),
        (ServerOptions(port="http"), {}, ["localhost:80"]),
        (ServerOptions(host="unix:/run/jobs"), {}, ["unix:/run/jobs"]),
        (ServerOptions(), {"GEARMAN_SERVER": "a:1,b"}, ["a:1", "b:4730"]),
        (ServerOptions(), {"GEARMAN_SERVERS": "a:1", "GEARMAN_SERVER": "b"}, ["a:1"]),
        (ServerOptions(host="there"), {"GEARMAN_SERVER": "a:1"}, ["there:4730"]),
    ],
)
def test_option_wins_over_environment_and_home(options: ServerOptions, environ: dict[str, str], servers: list[str]):
    assert [str(address) for address in servers_of(options, HOME, environ)] == servers


def test_program_without_a_home_goes_to_this_machine():
    assert servers_of(ServerOptions(), HomeServers(), {}) == [ServerAddress("localhost", 4730)]


@pytest.mark.parametrize("port", ["0", "65536", "no such service", "-1"])
def test_port_that_is_none_is_refused(port: str):
    with pytest.raises(UsageError, match="a port must be a number from 1 to 65535 or a service's name"):
        servers_of(ServerOptions(port=port), HOME, {})


def test_home_shows_its_own_security():
    assert security_of(ServerOptions(), HOME, {}).secret == parse_secret(SECRET)
    assert security_of(ServerOptions(), HomeServers(), {}) == NO_SECURITY


@pytest.mark.parametrize("way", ["option", "environment"])
def test_first_secret_of_a_file_is_proven(way: str, tmp_path: Path):
    file = tmp_path / "secrets"
    file.write_text(f"# ours\nadmin:{'a' * 32}\n{SECRET}\n")
    options = ServerOptions(secret_file=str(file)) if way == "option" else ServerOptions()
    environ = {"GEARJOBS_SECRET_FILE": str(file)} if way == "environment" else {}

    secret = security_of(options, HOME, environ).secret

    assert secret == parse_secret(f"admin:{'a' * 32}")


@pytest.mark.parametrize(("text", "sentence"), [(None, "No such file"), ("web:short", "32 or more"), ("", "got none")])
def test_file_without_a_secret_is_refused_by_its_name(text: str | None, sentence: str, tmp_path: Path):
    file = tmp_path / "secrets"
    if text is not None:
        file.write_text(text)

    with pytest.raises(UsageError, match=f"secrets.*{sentence}"):
        security_of(ServerOptions(secret_file=str(file)), HOME, {})


def test_tls_is_what_is_asked_for(tmp_path: Path):
    authority = Authority.make(tmp_path / "ca")
    own = authority.sign("me")

    assert security_of(ServerOptions(ssl=True), HOME, {}).tls is not None
    assert security_of(ServerOptions(ssl_ca_file=str(authority.certificate)), HOME, {}).tls is not None
    shown = {"GEARMAN_CLIENT_PEM": str(own.certificate), "GEARMAN_CLIENT_KEY": str(own.key)}
    assert security_of(ServerOptions(ssl=True), HOME, shown).tls is not None
    # Variables alone ask for nothing.
    assert security_of(ServerOptions(), HOME, shown).tls is None


def test_tls_of_the_home_stays_where_no_file_is_named():
    home = HomeServers(security=make_security(tls=TlsFiles()))

    assert security_of(ServerOptions(ssl=True), home, {}).tls is home.security.tls
    assert isinstance(home.security.tls, ClientTls)


def test_file_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match="cannot read the TLS file nowhere"):
        security_of(ServerOptions(ssl=True), HomeServers(), {"GEARMAND_CA_CERTIFICATE": "nowhere"})


def test_values_of_a_parser_become_options():
    given = {"host": "there", "port": "", "ssl": True, "secret_file": "file", "status": True}

    assert option_values(given) == ServerOptions(host="there", ssl=True, secret_file="file")
