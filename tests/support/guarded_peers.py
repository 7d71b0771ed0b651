"""A job server that asks who its peers are, and what they say to it: secrets, proofs, refusals."""

from __future__ import annotations

from pathlib import Path

from gearjobs.protocol.auth import NONCE_BYTES, ClientExchange, parse_secret
from gearjobs.server.config import ServerConfig
from tests.support.wire_peer import T, WirePeer

WEB = f"web:{'w' * 32}"
WORKER = f"worker:{'k' * 32}"


def config_of(directory: Path, *, rules: str | None = None, secrets: str = f"{WEB}\n{WORKER}\n", **options):
    """Return a server's configuration with these files."""
    given = {"listen": ("127.0.0.1",), "port": 0, **options}
    if secrets:
        given["secret_file"] = str(directory / "secrets")
        (directory / "secrets").write_text(secrets)
        (directory / "secrets").chmod(0o600)
    if rules is not None:
        given["access_file"] = str(directory / "rules")
        (directory / "rules").write_text(rules)
    return ServerConfig(**given)


def refusal_of(peer: WirePeer) -> str:
    return peer.expect(T.ERROR)[0].decode()


def prove(peer: WirePeer, secret: str) -> None:
    """Prove the secret on this connection."""
    exchange = exchange_of(secret)
    peer.say(T.OPTION_REQ, exchange.challenge())
    peer.say(T.OPTION_REQ, exchange.prove(peer.expect_body(T.OPTION_RES)))
    exchange.verify(peer.expect_body(T.OPTION_RES))


def exchange_of(secret: str) -> ClientExchange:
    return ClientExchange(parse_secret(secret), b"n" * NONCE_BYTES, binding=b"")


def known_of(peer: WirePeer, handle: bytes) -> bytes:
    peer.say(T.GET_STATUS, handle)
    return peer.expect(T.STATUS_RES)[1]


def known_by_unique(peer: WirePeer, unique: bytes) -> bytes:
    peer.say(T.GET_STATUS_UNIQUE, unique)
    return peer.expect(T.STATUS_RES_UNIQUE)[1]
