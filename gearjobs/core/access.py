"""Who may do what to which function: rules, one a line, and what they grant one peer. Pure.

    # who            may                  to functions
    key:web          submit,status        resize mail.*
    cert:worker-*    work                 *
    net:10.2.0.0/16  submit               ping
    local            all                  *

Who: `key:` a secret's id, `cert:` a name of a verified certificate, `unix:` and `uid:` the user at the other end of a
Unix socket, `net:` an address or a network, `local` a peer on this machine, `http` a request that bore the HTTP token,
`*` anybody. Names and functions are shell patterns that must match in whole, case and all: `build` is not `build-evil`.
What no rule grants is refused; rules only add up. Who a peer is, is found out elsewhere (`server/entrance/identify`),
and so is what a packet needs (`server/entrance/gatekeeper`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

from gearjobs.errors import UsageError

#: Who every peer is.
ANYBODY: Final = "*"
#: Verb of a rule that stands for all.
ALL_VERBS: Final = "all"
_KINDS: Final = ("key", "cert", "unix", "uid", "net")
_PLAIN: Final = ("local", "http", ANYBODY)
#: Beginnings of the names that tell peers apart, the strongest first.
_PRINCIPALS: Final = ("key:", "cert:", "unix:", "uid:", "http")


class Verb(StrEnum):
    """What a rule may allow."""

    #: Submit jobs of the function.
    SUBMIT = "submit"
    #: Take and run jobs of the function.
    WORK = "work"
    #: Ask how far its jobs are; for every function, read the admin lines.
    STATUS = "status"
    #: Cancel its jobs.
    CANCEL = "cancel"
    #: Send the admin lines that change it; for every function, those that change the server.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a peer was found to be; everything it is at once."""

    #: `key:web`, `cert:worker-1`, `unix:alice`, `uid:1000`, `local`, `http`.
    names: frozenset[str] = frozenset()
    #: IP address, without brackets; "" where there is none.
    host: str = ""

    def __str__(self) -> str:
        return ",".join(sorted(self.names)) or "nobody"

    @property
    def principal(self) -> str:
        """What its jobs are known by, on whatever connection it comes: the strongest it has shown, else its address."""
        for kind in _PRINCIPALS:
            shown = sorted(name for name in self.names if name.startswith(kind))
            if shown:
                return ",".join(shown)
        return f"net:{self.host}"


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One line of the rules."""

    #: `kind:pattern`, or a word.
    who: str
    verbs: frozenset[Verb]
    #: Shell patterns of functions.
    functions: tuple[bytes, ...]

    def is_for(self, identity: Identity) -> bool:
        """Whether the rule speaks of this peer."""
        if self.who == ANYBODY:
            return True
        kind, _, pattern = self.who.partition(":")
        if kind == "net":
            return _is_in(identity.host, pattern)
        # The kind is part of the name and free of wildcards: a certificate cannot pass as `key:web`.
        return any(fnmatchcase(name, self.who) for name in identity.names)


class Grants:
    """What one peer may do.

    Args:
        rules: those that speak of it.
    """

    def __init__(self, rules: Iterable[AccessRule]) -> None:
        self._patterns: dict[Verb, list[bytes]] = {}
        for rule in rules:
            for verb in rule.verbs:
                self._patterns.setdefault(verb, []).extend(rule.functions)

    @property
    def is_empty(self) -> bool:
        """Whether the peer may do nothing at all."""
        return not self._patterns

    def may(self, verb: Verb, function: bytes) -> bool:
        """Whether it may do this to the function."""
        return any(fnmatchcase(function, pattern) for pattern in self._patterns.get(verb, ()))

    def may_any(self, verb: Verb) -> bool:
        """Whether it may do this to some function."""
        return verb in self._patterns

    def may_every(self, verb: Verb) -> bool:
        """Whether it may do this to whatever function."""
        return b"*" in self._patterns.get(verb, ())


class AccessRules:
    """All rules.

    Args:
        rules: in any order.
    """

    def __init__(self, rules: Iterable[AccessRule]) -> None:
        self._rules = tuple(rules)

    def grants_of(self, identity: Identity) -> Grants:
        """Return what a peer may do."""
        return Grants(rule for rule in self._rules if rule.is_for(identity))


def parse_rules(lines: Iterable[str]) -> AccessRules:
    """Read the rules of a file's lines; empty ones and those that begin with `#` are passed over.

    Raises:
        UsageError: a line is no rule; the sentence names its number. No rules at all are right: nobody may anything.
    """
    rules: list[AccessRule] = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if words and not words[0].startswith("#"):
            try:
                rules.append(_parse_rule(words))
            except (UsageError, ValueError) as error:
                raise UsageError(f"access rule in line {number}: {error}") from error
    return AccessRules(rules)


def _parse_rule(words: list[str]) -> AccessRule:
    if len(words) < 3:
        raise UsageError(f"expected who, what and at least one function, got {' '.join(words)!r}")
    who, verbs, *functions = words
    return AccessRule(_parse_who(who), _parse_verbs(verbs), tuple(pattern.encode() for pattern in functions))


def _parse_who(who: str) -> str:
    kind, colon, pattern = who.partition(":")
    if who in _PLAIN:
        return who
    if not colon or kind not in _KINDS or not pattern:
        raise UsageError(f"who must be key:…, cert:…, unix:…, uid:…, net:… or one of {', '.join(_PLAIN)}, got {who!r}")
    if kind == "net":
        ip_network(pattern)
    return who


def _parse_verbs(words: str) -> frozenset[Verb]:
    if words == ALL_VERBS:
        return frozenset(Verb)
    known = {str(verb): verb for verb in Verb}
    for word in words.split(","):
        if word not in known:
            raise UsageError(f"expected {', '.join(known)} or {ALL_VERBS}, joined by commas, got {word!r}")
    return frozenset(known[word] for word in words.split(","))


def _is_in(host: str, network: str) -> bool:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address in ip_network(network)
