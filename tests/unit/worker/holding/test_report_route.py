"""Where reports go while their server is found, lost and found again."""

from __future__ import annotations

from typing import cast

import pytest

from gearjobs.worker.holding import report_route
from gearjobs.worker.holding.report_route import ReportRoute
from gearjobs.worker.worker_connection import WorkerConnection


class FakeConnection:
    """Takes reports, or is broken."""

    def __init__(self, *, is_broken: bool = False) -> None:
        self.is_broken = is_broken
        self.taken = b""

    def report(self, packets: bytes, *, timeout_s: float = 30.0) -> bool:
        if not self.is_broken:
            self.taken += packets
        return not self.is_broken

    def report_last(self, packets: bytes) -> None:
        self.report(packets)


def connection(fake: FakeConnection) -> WorkerConnection:
    return cast(WorkerConnection, fake)


@pytest.fixture
def own() -> FakeConnection:
    return FakeConnection()


@pytest.fixture
def route(own: FakeConnection) -> ReportRoute:
    return ReportRoute(connection(own))


def test_reports_go_where_the_run_is(route, own):
    route.report(b"a")
    route.report(b"b")

    assert own.taken == b"ab"
    assert route.close() == b""


def test_reports_without_a_server_go_first_when_one_is_found(route):
    found = FakeConnection()
    route.lead_to(None)
    route.report(b"a")

    route.lead_to(connection(found))
    route.report(b"b")

    assert found.taken == b"ab"


def test_report_a_broken_connection_did_not_take_is_kept(route, own):
    own.is_broken = True

    route.report(b"a")

    assert route.close() == b"a"


def test_leading_to_the_same_connection_changes_nothing(route, own):
    route.lead_to(connection(own))

    assert own.taken == b""


def test_reports_beyond_the_bound_are_dropped(monkeypatch, route):
    monkeypatch.setattr(report_route, "MAX_BACKLOG_BYTES", 3)
    route.lead_to(None)

    for packet in (b"ab", b"cd", b"e"):
        route.report(packet)

    assert route.close() == b"abe"


def test_reports_after_the_end_are_dropped(route, own):
    route.close()

    route.report(b"late")

    assert own.taken == b""
    assert route.close() == b""


def test_last_report_follows_what_was_kept(route, own):
    route.lead_to(None)
    route.report(b"a")
    # Led back where nothing can be sent at the moment.
    own.is_broken = True
    route.lead_to(connection(own))
    route.report(b"b")
    own.is_broken = False

    route.report_last(b"z")

    assert own.taken == b"bz"


def test_last_report_without_a_server_is_lost(route, own):
    route.lead_to(None)

    route.report_last(b"z")

    assert own.taken == b""
