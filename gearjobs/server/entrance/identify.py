"""Finds out who a peer is: by certificate, by a secret it proves, by where it comes from; and what that lets it do.

Where neither secrets nor rules are configured nobody is asked, and connections have no credentials at all: a server
like gearmand. With secrets alone, whoever proves one, or was let in by a verified certificate or HTTP token, may do
everything; with rules, what they grant. The files are read at the start and again on SIGHUP, all of them or none; peers
that are there keep their connection unless their secret is gone, and get the new grants. The exchange itself is
`protocol/auth`'s, the rules are `core/access`'s, what a packet needs is `gatekeeper`'s.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from gearjobs.core.access import AccessRules, Grants, Identity, parse_rules
from gearjobs.errors import UsageError, WireError
from gearjobs.protocol.auth import AUTH_OPTION, NONCE_BYTES, Secret, ServerExchange, parse_secrets
from gearjobs.server.config import ServerConfig
from gearjobs.server.connection import Connection
from gearjobs.server.entrance.admin_rights import is_local
from gearjobs.server.entrance.credentials import Credentials
from gearjobs.server.entrance.refusal_log import Failure, RefusalLog
from gearjobs.tls import ServerTls, TlsFiles, fingerprint, first_certificate, make_server_context

logger = logging.getLogger("gearjobs.server")

#: Seconds in which a peer that must prove a secret has to.
PROOF_LIMIT_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Trust:
    """What the files say."""

    tls: ServerTls | None
    secrets: Mapping[str, Secret]
    rules: AccessRules | None


class Identification:
    """Who is who, for one server.

    Args:
        config: names the files.
        on_known: told of every connection that has nothing more to show.

    Raises:
        UsageError: a file is missing or wrong.
    """

    def __init__(self, config: ServerConfig, *, on_known: Callable[[Connection], None]) -> None:
        self.failures = RefusalLog(time.monotonic)
        self._config = config
        self._on_known = on_known
        self._decoy = secrets.token_bytes(NONCE_BYTES)
        self._trust = _read(config)

    @property
    def must_prove(self) -> bool:
        """Whether peers have to show who they are, or to shake hands, before they are served."""
        # Not what the files said at the start: they may be read again.
        return self._config.ssl or bool(self._config.secret_file)

    @property
    def tls(self) -> ServerTls | None:
        """What the next handshake needs; None where connections are plain."""
        return self._trust.tls

    def reload(self, connections: Iterable[Connection]) -> None:
        """Read the files again; where they are wrong, say so and go on with what was read before."""
        before = self._trust.secrets
        try:
            self._trust = _read(self._config)
        except UsageError as error:
            logger.error("keep certificates, secrets and rules as they were: %s", error)
            return
        changed = {key_id for key_id, secret in before.items() if self._trust.secrets.get(key_id) != secret}
        for connection in connections:
            if connection.credentials is not None:
                self._judge_again(connection, connection.credentials, changed)

    def greet(self, connection: Connection) -> None:
        """Give a new connection its credentials, if anybody asks for any here."""
        trust = self._trust
        if trust.rules is None and not trust.secrets:
            self._on_known(connection)
            return
        names = connection.known_as | ({"local"} if is_local(connection.host) else frozenset())
        identity = Identity(names, connection.host)
        exchange = None
        if trust.secrets:
            exchange = ServerExchange(trust.secrets, self._decoy, binding=connection.tls_binding)
        connection.credentials = credentials = Credentials(identity, exchange, self._grants_of(identity))
        # A certificate that was verified, or the HTTP token, is as good as a secret.
        credentials.is_proven = bool(connection.known_as)
        if credentials.is_admitted or exchange is None:
            self._on_known(connection)
        else:
            asyncio.get_running_loop().call_later(PROOF_LIMIT_S, self._judge_silence, connection)

    def authenticate(self, connection: Connection, exchange: ServerExchange, option: bytes) -> bytes:
        """Take a step of the exchange and return its answer; after the second step the peer is who it said.

        Raises:
            WireError: the step is wrong; fatal when it was one too many.
        """
        try:
            if option.startswith(AUTH_OPTION):
                return exchange.challenged(option, secrets.token_bytes(NONCE_BYTES))
            answer = exchange.proven(option)
        except WireError as error:
            self.failures.note(Failure.PROOF, error.text, address=connection.address, claimed=exchange.claimed)
            raise
        self._admit(connection, exchange.claimed)
        return answer

    def _admit(self, connection: Connection, key_id: str) -> None:
        credentials = connection.credentials
        if credentials is None:
            raise AssertionError("a peer was authenticated where nobody asks for credentials")
        others = {name for name in credentials.identity.names if not name.startswith("key:")}
        credentials.identity = replace(credentials.identity, names=frozenset({*others, f"key:{key_id}"}))
        credentials.grants = self._grants_of(credentials.identity)
        credentials.is_proven = True
        self._on_known(connection)
        logger.info("admit peer=%s as=%s", connection.address, credentials.identity)

    def _grants_of(self, identity: Identity) -> Grants | None:
        return None if self._trust.rules is None else self._trust.rules.grants_of(identity)

    def _judge_again(self, connection: Connection, credentials: Credentials, changed: set[str]) -> None:
        if any(f"key:{key_id}" in credentials.identity.names for key_id in changed):
            logger.info("close peer=%s: its secret is gone or another", connection.address)
            connection.close()
            return
        credentials.grants = self._grants_of(credentials.identity)
        if credentials.exchange is not None:
            credentials.exchange = ServerExchange(self._trust.secrets, self._decoy, binding=connection.tls_binding)

    def _judge_silence(self, connection: Connection) -> None:
        credentials = connection.credentials
        if credentials is not None and not credentials.is_admitted and not connection.is_closed:
            reason = f"no proof within {PROOF_LIMIT_S:g} s"
            self.failures.note(Failure.SILENCE, reason, address=connection.address)
            connection.abort()


def warn_if_open(config: ServerConfig, hosts: Iterable[str]) -> None:
    """Say so in the log where the network reaches the server and nothing keeps anybody out."""
    reachable = [host for host in hosts if not is_local(host)]
    is_guarded = bool(config.secret_file or config.access_file or (config.ssl and config.ssl_ca_file))
    if reachable and not is_guarded:
        shown = ", ".join(reachable)
        logger.warning("listen on %s: whoever reaches it may run jobs; see --secret-file and --ssl-ca-file", shown)
    if config.ssl_certificate and not config.ssl:
        logger.warning("a certificate is given but not --ssl: connections are not encrypted")


def _read(config: ServerConfig) -> _Trust:
    return _Trust(_read_tls(config), _read_secrets(config), _read_rules(config))


def _read_tls(config: ServerConfig) -> ServerTls | None:
    files = TlsFiles(config.ssl_ca_file, config.ssl_certificate, config.ssl_key, config.ssl_crl_file)
    if not config.ssl:
        return None
    context = make_server_context(files)
    return ServerTls(context, fingerprint(first_certificate(files.certificate)))


def _read_secrets(config: ServerConfig) -> Mapping[str, Secret]:
    if not config.secret_file:
        return {}
    path = Path(config.secret_file)
    lines = _lines_of(path, "secrets")
    if path.stat().st_mode & stat.S_IROTH:
        logger.warning("anybody on this machine can read the secrets in %s: chmod o-r it", path)
    try:
        return parse_secrets(lines)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _read_rules(config: ServerConfig) -> AccessRules | None:
    if not config.access_file:
        return None
    path = Path(config.access_file)
    try:
        return parse_rules(_lines_of(path, "access rules"))
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from error


def _lines_of(path: Path, what: str) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the {what} in {path}: {getattr(error, 'strerror', None) or error}") from error
