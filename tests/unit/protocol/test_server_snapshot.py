"""What one server tells of itself in one line, and how it is read back."""

from __future__ import annotations

import json

import pytest

from gearjobs.errors import WireError
from gearjobs.protocol.server_snapshot import (
    FunctionFigures,
    PeerFigures,
    RunFigures,
    ServerSnapshot,
    parse_snapshot,
    render_snapshot,
)
from gearjobs.protocol.worker_report import WorkerReport

RESIZE = FunctionFigures(
    name="resize",
    high=1,
    normal=2,
    low=3,
    scheduled=4,
    running=5,
    workers=6,
    benched=1,
    throttled=2,
    is_paused=True,
    oldest_queued_at=1000.5,
    entered_per_s=1.5,
    taken_per_s=0.5,
)
WORKER = PeerFigures(
    client_id="web-1",
    address="10.0.0.1:5000",
    functions=("resize", "größe"),
    benched=("resize",),
    runs=(RunFigures(handle="H:1", function="resize", started_at=990.0, attempt=2),),
    awaited=1,
    report=WorkerReport(pid=7, host="box", queues=("mail",)),
)
FULL = ServerSnapshot(
    at=1001.0,
    version="1.0",
    host="box",
    pid=42,
    started_at=1.0,
    is_draining=True,
    is_store_down=True,
    store_busy_s=0.25,
    is_lease_held=False,
    pending_changes=9,
    connections=3,
    workers=2,
    busy_workers=1,
    functions=(RESIZE, FunctionFigures(name="idle")),
    functions_left_out=5,
    peers=(WORKER, PeerFigures(client_id="-", address="10.0.0.2:5000")),
    peers_left_out=6,
)


@pytest.mark.parametrize("snapshot", [FULL, ServerSnapshot(at=0.0)])
def test_snapshot_is_read_as_it_was_written(snapshot):
    assert parse_snapshot(render_snapshot(snapshot)) == snapshot


def test_answer_is_a_list_of_one_line():
    line, end, rest = render_snapshot(FULL).split(b"\n")

    assert (json.loads(line)["pid"], end, rest) == (42, b".", b"")


def test_what_a_newer_server_says_is_passed_over():
    assert parse_snapshot(b'{"at": 7, "moods": ["fine"]}') == ServerSnapshot(at=7.0)


def test_figures_that_follow_from_others():
    assert (RESIZE.waiting, FULL.uptime_s, ServerSnapshot(at=1.0, started_at=2.0).uptime_s) == (6, 1000.0, 0.0)


@pytest.mark.parametrize(
    ("peer", "is_worker"),
    [
        (WORKER, True),
        (PeerFigures(client_id="quiet", address="a", report=WorkerReport()), True),
        (PeerFigures(client_id="-", address="a", awaited=3), False),
    ],
)
def test_worker_is_told_from_a_client(peer, is_worker):
    assert peer.is_worker is is_worker


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"ERR UNKNOWN_SHOW_ARGUMENTS\r\n", "a snapshot must be JSON"),
        (b"[" * 100_000, "a snapshot must be JSON"),
        (b"[]", "its parts must be JSON objects"),
        (b'{"at": "now"}', "at must be a number, got 'now'"),
        (b'{"at": true}', "at must be a number"),
        (b'{"at": NaN}', "at must be a number"),
        (b'{"at": 1e999}', "at must be a number"),
        (b'{"pid": -1}', "pid must be a whole number from 0 upwards, got -1"),
        (b'{"pid": 1%s}' % (b"0" * 4000), "pid must be a whole number"),
        (b'{"pid": true}', "pid must be a whole number"),
        (b'{"pid": 1.5}', "pid must be a whole number"),
        (b'{"host": 7}', "host must be text, got 7"),
        (b'{"is_draining": 1}', "is_draining must be true or false, got 1"),
        (b'{"functions": {}}', "functions must be a list"),
        (b'{"functions": [7]}', "its parts must be JSON objects, got 7"),
        (b'{"peers": [{"functions": [7]}]}', "functions must be a list of names, got 7"),
        (b'{"peers": [{"report": 7}]}', "a worker's report must be a JSON object"),
    ],
)
def test_what_cannot_be_read_is_refused(body, text):
    with pytest.raises(WireError, match=text):
        parse_snapshot(body)
