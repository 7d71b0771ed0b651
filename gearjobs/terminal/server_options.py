"""Which job servers a program of a terminal talks to, and how it shows who it is.

Options win, then the environment (libgearman's variables), then the program's home: `localhost:4730`, or within a
project the servers and the security of its settings. Options for TLS and the secret have the names of the job server's
own. A secret is read from a file, because a command line can be seen by everybody on the machine.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from gearjobs.errors import UsageError
from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.protocol.auth import Secret, parse_secrets
from gearjobs.servers import DEFAULT_PORT, UNIX_PREFIX, ServerAddress, parse_server
from gearjobs.tls import ClientTls, TlsFiles

#: libgearman's list of servers, and the one of gearmand's `gearman`.
_SERVER_VARIABLES: Final = ("GEARMAN_SERVERS", "GEARMAN_SERVER")
_DEFAULT_HOST: Final = "localhost"


@dataclass(slots=True)
class ServerOptions:
    """What a command line says; empty where it says nothing."""

    #: Host name, IP address or `unix:/path`.
    host: str = ""
    #: Number or name of a service.
    port: str = ""
    #: Whether TLS is asked for.
    ssl: bool = False
    #: The signers whose certificates of servers are believed.
    ssl_ca_file: str = ""
    #: The certificate to show.
    ssl_certificate: str = ""
    #: Key of that certificate.
    ssl_key: str = ""
    #: File whose first secret, `<key id>:<secret>`, is proven.
    secret_file: str = ""


#: Options that take a file's name -> what the file is.
FILE_OPTIONS: Final = {
    "ssl-ca-file": "certificates of those who sign the servers'; means --ssl (GEARMAND_CA_CERTIFICATE; the system's)",
    "ssl-certificate": "certificate to show; means --ssl (GEARMAN_CLIENT_PEM)",
    "ssl-key": "key of the certificate (GEARMAN_CLIENT_KEY)",
    "secret-file": "secret to prove, a line <key id>:<secret> (GEARJOBS_SECRET_FILE)",
}


@dataclass(frozen=True, slots=True)
class HomeServers:
    """Where a program goes that is told nothing."""

    #: `host[:port]` or `unix:/path`, in order of preference.
    servers: tuple[str, ...] = (f"{_DEFAULT_HOST}:{DEFAULT_PORT}",)
    #: How it shows who it is there.
    security: Security = NO_SECURITY


def servers_of(options: ServerOptions, home: HomeServers, environ: Mapping[str, str]) -> list[ServerAddress]:
    """Return the servers to talk to, in order of preference.

    Raises:
        UsageError: an address cannot be read.
    """
    if options.host or options.port:
        return [_address(options.host or _DEFAULT_HOST, options.port)]
    named = next((environ[name] for name in _SERVER_VARIABLES if environ.get(name)), "")
    return [parse_server(text) for text in (named.split(",") if named else home.servers)]


def security_of(options: ServerOptions, home: HomeServers, environ: Mapping[str, str]) -> Security:
    """Return how to show who this is, and whom to believe.

    Raises:
        UsageError: a file cannot be used.
    """
    files = TlsFiles(
        ca_file=options.ssl_ca_file or environ.get("GEARMAND_CA_CERTIFICATE", ""),
        certificate=options.ssl_certificate or environ.get("GEARMAN_CLIENT_PEM", ""),
        key=options.ssl_key or environ.get("GEARMAN_CLIENT_KEY", ""),
    )
    tls = home.security.tls
    if options.ssl_ca_file or options.ssl_certificate or (options.ssl and (tls is None or files != TlsFiles())):
        tls = ClientTls(files)
    secret_file = options.secret_file or environ.get("GEARJOBS_SECRET_FILE", "")
    return Security(tls, _first_secret(Path(secret_file)) if secret_file else home.security.secret)


def option_values(given: Mapping[str, object]) -> ServerOptions:
    """Return the options of a parser's mapping, which may have others as well."""
    known = {one.name: given[one.name] for one in fields(ServerOptions) if given.get(one.name)}
    return ServerOptions(**known)  # type: ignore[arg-type]  # the parser gives a text, or True for --ssl


def _address(host: str, port: str) -> ServerAddress:
    if host.startswith(UNIX_PREFIX):
        return parse_server(host)
    return ServerAddress(host.removeprefix("[").removesuffix("]"), _port_number(port) if port else DEFAULT_PORT)


def _port_number(text: str) -> int:
    # gearmand's own tests hand over "-p 4730" as one word.
    word = text.strip()
    if word.isascii() and word.isdecimal() and 1 <= int(word) <= 65535:
        return int(word)
    try:
        return socket.getservbyname(word, "tcp")
    except OSError:
        raise UsageError(f"a port must be a number from 1 to 65535 or a service's name, got {text!r}") from None


def _first_secret(path: Path) -> Secret:
    try:
        secrets = parse_secrets(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the secret in {path}: {getattr(error, 'strerror', error)}") from error
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error
    return next(iter(secrets.values()))
