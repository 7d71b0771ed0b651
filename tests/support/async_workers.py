"""An asyncio worker at a scripted server: the worker, the words of the conversation, and how to wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gearjobs.aio import AsyncRunningJob, AsyncWorker
from gearjobs.protocol.attributes import AssignAttributes, encode
from gearjobs.protocol.packets import PacketType
from gearjobs.servers import ServerAddress
from tests.support.scripted_server import PATIENCE_S, Peer, ScriptedServer

T = PacketType
HANDLE = b"H:a:1"


async def echo(job: AsyncRunningJob) -> bytes:
    return job.payload


def worker_of(*servers: ServerAddress, run=echo, limits=None, **options) -> AsyncWorker:
    worker = AsyncWorker(servers, client_id="w1", **options)
    worker.register("f", run, **(limits or {}))
    return worker


@asynccontextmanager
async def working(worker: AsyncWorker) -> AsyncIterator[asyncio.Task[None]]:
    """Let the worker work for the block; stop it at its end."""
    work = asyncio.create_task(worker.work())
    yield work
    worker.stop()
    async with asyncio.timeout(PATIENCE_S):
        await work


class Played:
    """Tells the test that a script came to a point of its conversation."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def reached(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        assert await asyncio.to_thread(self._event.wait, PATIENCE_S), "the script did not come that far"


def assign(peer: Peer, payload: bytes = b"p") -> None:
    """Hand a job to a worker that grabs at a stock server."""
    peer.expect(T.GRAB_JOB_UNIQ)
    peer.say(T.JOB_ASSIGN_UNIQ, HANDLE, b"f", b"u", payload)


def assign_ext(peer: Peer, **attributes) -> None:
    peer.expect(T.GRAB_JOB_EXT)
    peer.say(T.JOB_ASSIGN_EXT, HANDLE, b"f", b"", encode(AssignAttributes(**attributes)), b"p")


def let_sleep(peer: Peer, grab: PacketType = T.GRAB_JOB_UNIQ) -> None:
    peer.expect(grab)
    peer.say(T.NO_JOB)
    peer.expect(T.PRE_SLEEP)


def expect_farewell(peer: Peer) -> None:
    peer.expect(T.RESET_ABILITIES)
    peer.expect_end()


async def play(script, *, has_extensions: bool = False, **options) -> None:
    """Have a worker go through the script; then it sleeps, and says farewell."""
    played = Played()

    def whole(peer: Peer) -> None:
        peer.negotiate_worker(has_extensions=has_extensions)
        script(peer)
        let_sleep(peer, T.GRAB_JOB_EXT if has_extensions else T.GRAB_JOB_UNIQ)
        played.reached()
        expect_farewell(peer)

    with ScriptedServer(whole) as server:
        async with working(worker_of(server.address, **options)):
            await played.wait()
