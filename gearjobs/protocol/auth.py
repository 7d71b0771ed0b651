"""Shared-secret authentication inside OPTION_REQ: a challenge and two proofs. Pure: nonces are handed in.

    > OPTION_REQ gearjobs/auth/1:<key id>:<client nonce>      < OPTION_RES gearjobs/auth/1:<server nonce>
    > OPTION_REQ gearjobs/proof/1:<client proof>              < OPTION_RES gearjobs/proof/1:<server proof>

Nonces and proofs are 32 bytes in lower-case hex. A proof is HMAC-SHA256 under the secret over the prover's label, the
key id, both nonces and what binds it to the TLS connection (empty without TLS), each led by its length in 4 bytes, so
no two transcripts are the same bytes. The labels differ, so a proof cannot be sent back as one's own; the nonces
are new each time, so none can be replayed. A server that asks for no secret knows the options as little as a gearmand
does. Source: the exchange of SCRAM (RFC 5802) without its password hashing: secrets here are random.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from gearjobs.errors import UsageError, WireError
from gearjobs.protocol.packets import ErrorCode

AUTH_OPTION: Final = b"gearjobs/auth/1:"
PROOF_OPTION: Final = b"gearjobs/proof/1:"
#: Bytes of a nonce: no two of a server's lifetime are the same.
NONCE_BYTES: Final = 32
#: Fewest bytes of a secret: 128 bits, as hex.
SECRET_LEAST_BYTES: Final = 32
#: Failures after which a connection is closed.
MAX_TRIES: Final = 3

_CLIENT_LABEL: Final = b"gearjobs auth/1 client"
_SERVER_LABEL: Final = b"gearjobs auth/1 server"
_KEY_ID: Final = re.compile(rb"[A-Za-z0-9._@-]{1,64}")
_HEX: Final = re.compile(rb"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A shared secret and its name."""

    #: Letters, digits and `._@-`; it is no secret.
    key_id: str
    key: bytes = field(repr=False)


def parse_secret(text: str) -> Secret:
    """Read `<key id>:<secret>`.

    Raises:
        UsageError: it is not that, or the secret is too short to be one; the text itself is never shown.
    """
    name, colon, key = text.strip().partition(":")
    if not colon or not _KEY_ID.fullmatch(name.encode()):
        raise UsageError("a secret must be written <key id>:<secret>, the id of 1 to 64 letters, digits and ._@-")
    if len(key.encode()) < SECRET_LEAST_BYTES or not key.isascii() or not key.isprintable() or " " in key:
        sentence = f"the secret {name} must be {SECRET_LEAST_BYTES} or more visible ASCII characters, got {len(key)}"
        raise UsageError(f"{sentence}; `openssl rand -hex 32` makes one")
    return Secret(name, key.encode())


def parse_secrets(lines: Iterable[str]) -> dict[str, Secret]:
    """Read one secret a line, by key id; empty lines and those that begin with `#` are passed over.

    Raises:
        UsageError: a line is no secret, an id comes twice, or there is none at all.
    """
    found: dict[str, Secret] = {}
    for line in filter(None, map(str.strip, lines)):
        if line.startswith("#"):
            continue
        secret = parse_secret(line)
        if secret.key_id in found:
            raise UsageError(f"the key id {secret.key_id} must stand for one secret, it comes twice")
        found[secret.key_id] = secret
    if not found:
        raise UsageError("expected at least one line <key id>:<secret>, got none")
    return found


def client_proof(secret: Secret, client_nonce: bytes, server_nonce: bytes, *, binding: bytes) -> bytes:
    """Return what shows a server that the client knows the secret, in hex."""
    return _proof(_CLIENT_LABEL, secret, (client_nonce, server_nonce, binding))


def server_proof(secret: Secret, client_nonce: bytes, server_nonce: bytes, *, binding: bytes) -> bytes:
    """Return what shows a client that the server knows the secret, in hex."""
    return _proof(_SERVER_LABEL, secret, (client_nonce, server_nonce, binding))


class ClientExchange:
    """The client's half of one exchange.

    Args:
        secret: what to prove.
        nonce: 32 random bytes of this exchange.
        binding: see `tls.fingerprint`; empty without TLS.
    """

    def __init__(self, secret: Secret, nonce: bytes, *, binding: bytes) -> None:
        self._secret = secret
        self._nonce = nonce.hex().encode()
        self._binding = binding
        self._expected = b""

    def challenge(self) -> bytes:
        """Return the first OPTION_REQ's argument."""
        return AUTH_OPTION + self._secret.key_id.encode() + b":" + self._nonce

    def prove(self, answer: bytes) -> bytes:
        """Take the answer to the challenge; return the second OPTION_REQ's argument.

        Raises:
            WireError: fatal; this is no such answer.
        """
        server_nonce = answer.removeprefix(AUTH_OPTION)
        if not answer.startswith(AUTH_OPTION) or not _HEX.fullmatch(server_nonce):
            raise _unproven(f"the server's nonce must be 64 hex digits, got {answer[:100]!r}")
        self._expected = server_proof(self._secret, self._nonce, server_nonce, binding=self._binding)
        return PROOF_OPTION + client_proof(self._secret, self._nonce, server_nonce, binding=self._binding)

    def verify(self, answer: bytes) -> None:
        """Take the answer to the proof.

        Raises:
            WireError: fatal; the server does not know the secret, or stands at the other end of another connection.
        """
        if not self._expected or not hmac.compare_digest(answer, PROOF_OPTION + self._expected):
            raise _unproven("the server's proof is wrong: it does not know the secret")


class ServerExchange:
    """The server's half, for one connection; forgets nothing but what was answered.

    Args:
        secrets: those that are taken now, by key id.
        decoy: stands in for the secret of an unknown key id, so that such an exchange takes as long as any.
        binding: see `tls.fingerprint`; empty without TLS.
    """

    def __init__(self, secrets: Mapping[str, Secret], decoy: bytes, *, binding: bytes) -> None:
        #: Key id the last challenge named, for logs; whoever sent it may have lied.
        self.claimed = ""
        self._secrets = secrets
        self._decoy = decoy
        self._binding = binding
        self._failures = 0
        #: The nonces of the challenge that waits for its proof.
        self._nonces: tuple[bytes, bytes] | None = None

    def challenged(self, option: bytes, nonce: bytes) -> bytes:
        """Take a challenge and return the argument of its OPTION_RES; an older one is void.

        Args:
            option: what came.
            nonce: 32 random bytes of this exchange.

        Raises:
            WireError: it cannot be read; it counts as a failure.
        """
        key_id, _, client_nonce = option.removeprefix(AUTH_OPTION).rpartition(b":")
        if not _KEY_ID.fullmatch(key_id) or not _HEX.fullmatch(client_nonce):
            raise self._failed("a challenge must be <key id>:<64 hex digits>")
        self.claimed = key_id.decode()
        server_nonce = nonce.hex().encode()
        self._nonces = client_nonce, server_nonce
        return AUTH_OPTION + server_nonce

    def proven(self, option: bytes) -> bytes:
        """Take a proof and return the argument of its OPTION_RES: `claimed` is now who the client is.

        Raises:
            WireError: it is wrong, or nothing was to be proven; fatal at the third failure.
        """
        if self._nonces is None:
            raise self._failed("a proof needs a challenge first, and each challenge is good for one")
        nonces, self._nonces = self._nonces, None
        known = self._secrets.get(self.claimed)
        secret = known or Secret(self.claimed, self._decoy)
        expected = client_proof(secret, *nonces, binding=self._binding)
        is_right = hmac.compare_digest(option.removeprefix(PROOF_OPTION), expected)
        if known is None or not is_right:
            raise self._failed("the key id is unknown or the proof is wrong")
        return PROOF_OPTION + server_proof(secret, *nonces, binding=self._binding)

    def _failed(self, text: str) -> WireError:
        self._nonces = None
        self._failures += 1
        return WireError(ErrorCode.AUTH_FAILED, text, is_fatal=self._failures >= MAX_TRIES)


def _proof(label: bytes, secret: Secret, parts: tuple[bytes, ...]) -> bytes:
    transcript = b"".join(len(part).to_bytes(4, "big") + part for part in (label, secret.key_id.encode(), *parts))
    return hmac.new(secret.key, transcript, sha256).hexdigest().encode()


def _unproven(text: str) -> WireError:
    return WireError(ErrorCode.AUTH_FAILED, text, is_fatal=True)
