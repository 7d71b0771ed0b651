"""Notices as they come over the wire."""

from __future__ import annotations

from collections import deque

import pytest

from gearjobs.core.reattachment import ResumeVerdict
from gearjobs.errors import WireError
from gearjobs.protocol.codec import Packet
from gearjobs.protocol.packets import PacketType
from gearjobs.worker.holding.server_notices import CancelAsked, OutcomeSettled, Renewed, ResumeAnswered, read_notice

T = PacketType


@pytest.mark.parametrize(
    ("packet", "notice"),
    [
        (Packet(T.OUTCOME_SETTLED, (b"H:a:1",)), OutcomeSettled(b"H:a:1")),
        (
            Packet(T.RESUME_RES, (b"H:a:1", b"3", b"refused")),
            ResumeAnswered(b"H:a:1", 3, ResumeVerdict.REFUSED),
        ),
        (Packet(T.CANCEL_NOTICE, (b"H:a:1", b"0")), CancelAsked(b"H:a:1", is_forced=False)),
        (Packet(T.CANCEL_NOTICE, (b"H:a:1", b"1")), CancelAsked(b"H:a:1", is_forced=True)),
        (Packet(T.RENEW_RES, (b"1",)), Renewed(5.0, is_held=True)),
        (Packet(T.RENEW_RES, (b"0",)), Renewed(5.0, is_held=False)),
    ],
)
def test_notice_is_read(packet, notice):
    assert read_notice(packet, deque([5.0])) == notice


def test_answers_to_renewals_come_in_the_order_of_the_questions():
    renewals = deque([5.0, 7.5])

    notices = [read_notice(Packet(T.RENEW_RES, (b"1",)), renewals) for _ in range(2)]

    assert notices == [Renewed(5.0, is_held=True), Renewed(7.5, is_held=True)]


@pytest.mark.parametrize(
    "packet",
    [
        Packet(T.RENEW_RES, (b"1",)),
        Packet(T.RESUME_RES, (b"H:a:1", b"x", b"accepted")),
        Packet(T.RESUME_RES, (b"H:a:1", b"1", b"perhaps")),
        Packet(T.RESUME_RES, (b"H:a:1", b"1", b"\xff")),
    ],
)
def test_what_was_not_asked_or_cannot_be_read_is_fatal(packet):
    with pytest.raises(WireError) as fault:
        read_notice(packet, deque())

    assert fault.value.is_fatal
