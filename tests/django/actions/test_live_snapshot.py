"""All servers at one moment: what adds up, who is shown once, and servers that say nothing."""

from __future__ import annotations

import socket
import time

import pytest

from gearjobs.actions import live_snapshot as asking
from gearjobs.actions.live_snapshot import FunctionState, ServerState, join_peers, live_snapshot, sum_functions
from gearjobs.protocol.packets import PacketType
from gearjobs.protocol.server_snapshot import FunctionFigures, PeerFigures, RunFigures, ServerSnapshot
from gearjobs.protocol.worker_report import WorkerReport
from tests.support.gearmand import running_gearmand
from tests.support.job_server import running_memory_server
from tests.support.wire_peer import WirePeer

T = PacketType
RUN = RunFigures(handle="H:1", function="resize", started_at=5.0)


def server(address, *, functions=(), peers=()):
    return ServerState(address, ServerSnapshot(at=9.0, functions=functions, peers=peers))


def worker(client_id="box-1", *, address="10.0.0.1:5000", report=None, runs=(), benched=()):
    return PeerFigures(
        client_id=client_id, address=address, functions=("resize",), benched=benched, runs=runs, report=report
    )


def test_jobs_of_a_function_add_up_over_servers():
    one = FunctionFigures(name="resize", high=1, running=2, workers=3, oldest_queued_at=50.0, taken_per_s=1.5)
    two = FunctionFigures(name="resize", normal=4, scheduled=5, workers=2, is_paused=True, oldest_queued_at=40.0)
    mail = FunctionFigures(name="mail", low=1)

    states = sum_functions([server("a", functions=(one,)), server("b", functions=(two, mail)), ServerState("c")])

    assert [state.name for state in states] == ["mail", "resize"]
    resize = states[1]
    assert (resize.waiting, resize.running, resize.scheduled, resize.workers) == (5, 2, 5, 3)
    assert (resize.is_paused, resize.oldest_queued_at, resize.taken_per_s) == (True, 40.0, 1.5)


def test_workers_of_other_programs_count_at_every_server_and_ours_once():
    ours = worker(report=WorkerReport(pid=7))
    foreign = worker("-", address="10.0.0.9:4000")
    resize = FunctionFigures(name="resize", workers=2)

    (state,) = sum_functions([server(name, functions=(resize,), peers=(ours, foreign)) for name in ("one", "two")])

    assert state.workers == 3


@pytest.mark.parametrize(("waiting", "taken", "eta_s"), [(10, 2.0, 5.0), (10, 0.0, None), (0, 2.0, 0.0)])
def test_time_until_a_line_is_empty_goes_by_how_fast_it_goes(waiting, taken, eta_s):
    assert FunctionState("resize", normal=waiting, taken_per_s=taken).eta_s == eta_s


def test_worker_of_ours_is_shown_once_with_all_its_servers():
    old, new = WorkerReport(pid=7, jobs_done=1), WorkerReport(pid=7, jobs_done=2)

    (peer,) = join_peers(
        [
            server("one", peers=(worker(report=old, runs=(RUN,)),)),
            server("two", peers=(worker(report=new, benched=("resize",)),)),
        ]
    )

    assert (peer.servers, peer.runs, peer.report, peer.benched) == (["one", "two"], [RUN], new, ["resize"])


def test_busy_workers_come_first_and_clients_last():
    client = PeerFigures(client_id="-", address="10.0.0.2:1", awaited=1)
    idle, busy = worker("idle"), worker("zebra", address="10.0.0.3:1", runs=(RUN,))

    peers = join_peers([server("one", peers=(client, idle, busy))])

    assert [peer.client_id for peer in peers] == ["zebra", "idle", "-"]
    assert [peer.is_worker for peer in peers] == [True, True, False]


def test_server_that_is_down_hides_nothing_of_the_others():
    with running_memory_server() as up, up.peer() as client:
        client.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
        client.expect(T.JOB_CREATED)

        live = live_snapshot([str(up.address), "127.0.0.1:1"])

    assert [state.is_up for state in live.servers] == [True, False]
    assert [(state.name, state.waiting) for state in live.functions] == [("resize", 1)]
    assert len(live.problems) == 1
    assert live.problems[0] == "127.0.0.1:1: Connection refused"


def test_server_that_hangs_costs_its_time_out_and_no_more():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        began_at = time.monotonic()

        live = live_snapshot([address, address], timeout_s=0.2)

    assert time.monotonic() - began_at < 2.0
    assert len(live.problems) == 2


@pytest.mark.parametrize("address", ["x" * 80 + ":4730", "host:port", "unix:/nowhere"])
def test_address_that_cannot_be_is_a_problem_too(address):
    live = live_snapshot([address])

    assert live.problems[0].startswith(f"{address}: ")


def test_name_that_takes_long_to_look_up_is_not_waited_for(monkeypatch):
    def hang(address, timeout_s):
        time.sleep(1.0)
        return ServerState(address)

    monkeypatch.setattr(asking, "_ask", hang)
    monkeypatch.setattr(asking, "_GRACE_S", 0.0)

    live = live_snapshot(["slow"], timeout_s=0.05)

    assert live.problems == ["slow: it did not answer within 0.05 s"]


def test_project_without_servers_is_an_empty_picture():
    live = live_snapshot([])

    assert (live.servers, live.functions, live.peers, live.problems) == ([], [], [], [])


@pytest.mark.interop
def test_stock_gearmand_tells_what_it_can(tmp_path):
    with (
        running_gearmand(tmp_path / "gearmand.log") as gearmand,
        WirePeer(gearmand) as client,
        WirePeer(gearmand) as other,
    ):
        other.can_do(b"mail")
        client.say(T.SUBMIT_JOB_BG, b"resize", b"", b"photo")
        client.expect(T.JOB_CREATED)

        live = live_snapshot([str(gearmand)])

    assert live.servers[0].is_stock
    assert {state.name: (state.waiting, state.workers) for state in live.functions} == {
        "resize": (1, 0),
        "mail": (0, 1),
    }
    assert live.peers[0].functions == ["mail"]
