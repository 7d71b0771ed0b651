"""Who may send lines that change something, by what the operator chose."""

from __future__ import annotations

import pytest

from gearjobs.core.access import AccessRule, Grants, Identity
from gearjobs.protocol.admin_text import AdminError
from gearjobs.server.config import AdminPolicy
from gearjobs.server.connection import Connection
from gearjobs.server.entrance.admin_rights import UNIX_HOST, reason_to_refuse
from gearjobs.server.entrance.credentials import Credentials
from tests.support.fake_transport import QuietHandler, make_connection

FAR = "10.0.0.9"
RULES = (AccessRule("*", frozenset(), ()),)


def peer(host: str, *, known_as: str = "", credentials: Credentials | None = None) -> Connection:
    connection, _ = make_connection(QuietHandler(), number=1, peer=(host, 4000))
    connection.known_as = frozenset(filter(None, [known_as]))
    connection.credentials = credentials
    return connection


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", UNIX_HOST])
def test_peer_on_this_machine_may_administer(host):
    assert reason_to_refuse(peer(host), AdminPolicy.LOCAL) is None


@pytest.mark.parametrize("host", ["10.0.0.9", "2001:db8::1", "fe80::1%eth0", "::ffff:10.0.0.9"])
def test_peer_elsewhere_may_not(host):
    assert reason_to_refuse(peer(host), AdminPolicy.LOCAL) is AdminError.NOT_ALLOWED


def test_peer_of_unknown_place_may_not():
    connection, _ = make_connection(QuietHandler(), number=1, peer=None)

    assert reason_to_refuse(connection, AdminPolicy.LOCAL) is AdminError.NOT_ALLOWED


def test_whoever_is_let_in_may_where_all_may():
    assert reason_to_refuse(peer(FAR), AdminPolicy.ALL) is None


@pytest.mark.parametrize(
    ("connection", "refusal"),
    [
        (peer("127.0.0.1"), AdminError.NOT_KNOWN),
        (peer(FAR, known_as="cert:ops"), None),
        (peer(FAR, credentials=Credentials(Identity(), None, None)), AdminError.NOT_KNOWN),
        (peer(FAR, credentials=Credentials(Identity(), None, None, is_proven=True)), None),
    ],
    ids=["nearby", "certificate", "nothing proven", "secret"],
)
def test_whoever_has_shown_who_it_is_may_where_that_is_asked_for(connection, refusal):
    assert reason_to_refuse(connection, AdminPolicy.AUTH) is refusal


@pytest.mark.parametrize("policy", [AdminPolicy.LOCAL, AdminPolicy.AUTH, AdminPolicy.ALL])
def test_rules_have_decided_before(policy):
    ruled = Credentials(Identity(), None, Grants(RULES))

    assert reason_to_refuse(peer(FAR, credentials=ruled), policy) is None


def test_nobody_may_where_nobody_is_to_whatever_the_rules_say():
    ruled = Credentials(Identity(), None, Grants(RULES), is_proven=True)

    assert reason_to_refuse(peer("127.0.0.1", credentials=ruled), AdminPolicy.OFF) is AdminError.NO_ADMIN
