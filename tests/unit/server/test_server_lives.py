"""A server whose jobs were taken over begins anew on the same ports, until it is asked to stop."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable

import pytest

from gearjobs.core.function_brake import QueueControl
from gearjobs.core.jobs import FunctionName
from gearjobs.errors import StoreError, StoreFenced
from gearjobs.server.config import ServerConfig
from gearjobs.server.server_lives import RETRY_S, OnListening, ServerLives
from tests.support.time_travel import advance, aeventually, travelling, turns

RESIZE = FunctionName(b"resize")
FENCED = StoreFenced("another job server took the jobs over")


class FakeServer:
    """A JobServer that ends as it is told to."""

    def __init__(self, config: ServerConfig, on_listening: OnListening, end: Exception | None) -> None:
        self.config = config
        self.http_addresses = [("127.0.0.1", 8081)] if config.http_port is not None else []
        self.stopping = asyncio.Event()
        self.calls: list[str] = []
        #: What it had to obey, one after the other.
        self.controls: list[object] = []
        self._on_listening = on_listening
        self._end = end

    async def serve(self) -> None:
        if isinstance(self._end, StoreError) and not isinstance(self._end, StoreFenced):
            raise self._end
        self._on_listening([("127.0.0.1", 4731)])
        if self._end is not None:
            raise self._end
        await self.stopping.wait()

    def obey(self, controls: object, settled: object = ()) -> None:
        self.controls.append(controls)

    def stop(self) -> None:
        self.stopping.set()

    def drain(self) -> None:
        self.calls.append("drain")

    def reload(self) -> None:
        self.calls.append("reload")

    def adopt_jobs(self) -> None:
        self.calls.append("adopt")


class Lives:
    """ServerLives of fake servers, which end one after the other as given; the last one goes on."""

    def __init__(self, *ends: Exception | None, config: ServerConfig | None = None) -> None:
        self.servers: list[FakeServer] = []
        self.announced: list[object] = []
        remaining = list(ends)

        def make(config: ServerConfig, on_listening: OnListening) -> FakeServer:
            self.servers.append(FakeServer(config, on_listening, remaining.pop(0) if remaining else None))
            return self.servers[-1]

        make_server: Callable[..., FakeServer] = make
        self.lives = ServerLives(
            config or ServerConfig(port=0),
            make_server,  # type: ignore[arg-type]  # stand-ins
            on_listening=lambda *addresses: self.announced.append(addresses),
        )


@travelling
async def test_server_is_served_until_it_is_asked_to_stop():
    scene = Lives()
    serving = asyncio.ensure_future(scene.lives.serve())
    await turns()
    scene.lives.reload()
    scene.lives.adopt_jobs()
    scene.lives.stop()
    await serving

    assert scene.announced == [([("127.0.0.1", 4731)], [])]
    assert [server.calls for server in scene.servers] == [["reload", "adopt"]]


@travelling
async def test_server_whose_jobs_were_taken_over_begins_anew_on_its_ports_and_is_announced_once(caplog):
    scene = Lives(FENCED, config=ServerConfig(port=0, http_port=0))
    serving = asyncio.ensure_future(scene.lives.serve())
    await turns()
    scene.lives.stop()
    await serving

    assert len(scene.announced) == 1
    assert [(server.config.port, server.config.http_port) for server in scene.servers] == [(0, 0), (4731, 8081)]
    assert "begin anew: another job server took the jobs over" in caplog.text
    assert caplog.records[0].levelno == logging.ERROR


@travelling
async def test_store_that_is_down_when_a_server_begins_anew_is_waited_for():
    scene = Lives(FENCED, StoreError("connection refused"))
    serving = asyncio.ensure_future(scene.lives.serve())
    await turns()
    assert len(scene.servers) == 2

    await advance(RETRY_S)
    await aeventually(lambda: len(scene.servers) == 3, "the third server")
    scene.lives.stop()
    await serving


@travelling
async def test_store_that_is_down_when_the_first_server_begins_ends_the_start():
    with pytest.raises(StoreError, match="connection refused"):
        await Lives(StoreError("connection refused")).lives.serve()


@travelling
async def test_stop_while_the_store_is_waited_for_ends_it():
    scene = Lives(FENCED, StoreError("connection refused"))
    serving = asyncio.ensure_future(scene.lives.serve())
    await turns()

    scene.lives.stop()
    await serving

    assert len(scene.servers) == 2


@travelling
async def test_server_that_drains_while_the_store_is_waited_for_does_not_begin_anew():
    # It began anew without draining, and went on for ever.
    scene = Lives(FENCED, StoreError("connection refused"))
    serving = asyncio.ensure_future(scene.lives.serve())
    await turns()

    scene.lives.drain()
    await advance(RETRY_S)
    await serving

    assert len(scene.servers) == 2


@travelling
async def test_pid_file_that_a_server_left_is_removed_at_the_end(tmp_path):
    pid_file = tmp_path / "server.pid"
    pid_file.write_text(f"{os.getpid()}\n")
    scene = Lives(FENCED, StoreError("connection refused"), config=ServerConfig(port=0, pid_file=pid_file))
    serving = asyncio.ensure_future(scene.lives.serve())
    await turns()
    assert pid_file.exists()

    scene.lives.stop()
    await serving

    assert not pid_file.exists()


@travelling
async def test_pid_file_of_another_process_is_left_alone(tmp_path):
    pid_file = tmp_path / "server.pid"
    pid_file.write_text("1\n")
    scene = Lives(FENCED, config=ServerConfig(port=0, pid_file=pid_file))
    scene.lives.drain()
    await scene.lives.serve()

    assert pid_file.read_text() == "1\n"


@travelling
async def test_draining_server_does_not_begin_anew():
    scene = Lives(FENCED)
    scene.lives.drain()
    await scene.lives.serve()

    assert [server.calls for server in scene.servers] == [["drain"]]


@travelling
async def test_every_life_obeys_what_operators_said_last():
    scene = Lives(FENCED)
    at_first, later = {RESIZE: QueueControl(is_paused=True)}, {RESIZE: QueueControl(concurrency=1)}
    scene.lives.begin_with(at_first)
    scene.lives.stop()
    await scene.lives.serve()

    scene.lives.obey(later)

    assert scene.servers[0].controls == [at_first, later]


@travelling
async def test_life_after_a_take_over_obeys_from_its_start():
    scene = Lives(FENCED)
    said = {RESIZE: QueueControl(is_paused=True)}
    scene.lives.begin_with(said)
    serving = asyncio.ensure_future(scene.lives.serve())
    await turns()
    scene.lives.stop()
    await serving

    assert [server.controls for server in scene.servers] == [[said], [said]]
