"""The asyncio worker: takes jobs from one or more job servers, several at a time, and runs them in one event loop.

Each of its lanes (`async_lane`) has connections of its own and runs one job, by the same rules as the blocking worker:
its servers see as many workers as it has lanes. Coroutine functions run in the loop, plain ones in threads. What a
job's function raises is reported and the worker goes on. Django tasks are run by `manage.py runworkers`, not by this.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sequence
from functools import partial

from gearjobs.aio.async_lane import AsyncLane, LaneWishes
from gearjobs.aio.async_rota import AsyncRota
from gearjobs.aio.async_runner import AsyncRun, AsyncRunner
from gearjobs.errors import UsageError
from gearjobs.guarded_socket import NO_SECURITY, Security
from gearjobs.protocol.worker_report import WorkerState
from gearjobs.servers import ServerAddress, ServerList
from gearjobs.worker.ending.run_limits import CANCEL_GRACE_S
from gearjobs.worker.grab_loop import REGRAB_S, GrabLoop
from gearjobs.worker.holding.held_work import HeldWork
from gearjobs.worker.self_restraint import SelfRestraint
from gearjobs.worker.worker_signs import WorkerSigns

logger = logging.getLogger("gearjobs.worker")


class AsyncWorker:
    """A worker of one or more job servers, for one event loop.

    Args:
        servers: `host`, `host:port`, `unix:/path` or ServerAddress; jobs are taken from all of them in turn.
        client_id: the name that servers and job records show; several lanes are `<client_id>.<number>`.
        concurrency: how many jobs it runs at once, each over connections of its own.
        regrab_s: seconds asleep after which it asks a server by itself.
        cancel_grace_s: seconds from the cancel of a running job to the exception in its function.
        security: TLS and the secret to prove, from `gearjobs.guarded_socket.make_security`.

    Raises:
        UsageError: the list of servers or the concurrency cannot be used.
    """

    def __init__(
        self,
        servers: Sequence[str | ServerAddress],
        *,
        client_id: str,
        concurrency: int = 1,
        regrab_s: float = REGRAB_S,
        cancel_grace_s: float = CANCEL_GRACE_S,
        security: Security = NO_SECURITY,
    ) -> None:
        if concurrency < 1:
            raise UsageError(f"concurrency must be 1 or more, got {concurrency!r}")
        # Read now, so that a mistake shows where it was made.
        self._servers = ServerList(servers).addresses
        self._client_id = client_id
        self._concurrency = concurrency
        self._regrab_s = regrab_s
        self._security = security
        self._runner = AsyncRunner(concurrency)
        self._wishes = LaneWishes(cancel_grace_s=cancel_grace_s)
        self._restraint = SelfRestraint()
        self._lanes: list[AsyncLane] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def state(self) -> WorkerState:
        """What the worker is at."""
        if self._wishes.is_stopping:
            return WorkerState.STOPPING
        if self._wishes.is_quiet:
            return WorkerState.QUIET
        return WorkerState.BUSY if any(lane.is_busy for lane in self._lanes) else WorkerState.IDLE

    def register(
        self,
        function: str | bytes,
        run: AsyncRun,
        *,
        timeout_s: float = 0.0,
        run_timeout_s: float = 0.0,
        soft_timeout_s: float = 0.0,
    ) -> None:
        """Offer a function to the job servers.

        Args:
            function: Gearman's function.
            run: called with each job of it: a coroutine function, or a plain one, which runs in a thread.
            timeout_s: seconds after which the server takes a job back and gives it to another worker; 0 for never.
            run_timeout_s: seconds after which a coroutine is ended, where the job itself has no timeout; 0 for never.
            soft_timeout_s: seconds after which SoftTimeout is raised in it, where the job itself has none; 0 for never.

        Raises:
            UsageError: the name cannot be used, or is taken already; or a plain function is to be ended.
        """
        self._runner.register(
            function, run, reclaim_s=timeout_s, run_timeout_s=run_timeout_s, soft_timeout_s=soft_timeout_s
        )

    async def work(self) -> None:
        """Take and run jobs until `stop` is called, and the running ones have ended.

        Cancelled, it gives the running jobs back to their servers.

        Raises:
            UsageError: no function is registered, or it works or has worked already.
        """
        if not self._runner.reclaim_s:
            raise UsageError("the worker can do nothing yet; register a function first")
        if self._loop is not None:
            raise UsageError("an AsyncWorker works once; make another one")
        self._loop = asyncio.get_running_loop()
        self._lanes = [
            AsyncLane(self._rota_maker(number), self._runner, self._wishes) for number in range(self._concurrency)
        ]
        try:
            async with asyncio.TaskGroup() as lanes:
                for lane in self._lanes:
                    lanes.create_task(lane.work(), name="gearjobs-lane")
        finally:
            self._runner.close()

    def stop(self) -> None:
        """Have `work` return once the running jobs have ended; may be called in a signal handler and in any thread."""
        self._wishes.is_stopping = True
        self._wake()

    def quiet(self) -> None:
        """Take no more jobs until `resume`; the running ones end. May be called as `stop` may."""
        self._wishes.is_quiet = True
        self._wake()

    def resume(self) -> None:
        """Take jobs again after `quiet`."""
        self._wishes.is_quiet = False
        self._wake()

    def control(self, verb: str) -> None:
        """Do what an operator said by way of a server; a word of a later version is passed over."""
        action = {"quiet": self.quiet, "resume": self.resume, "stop": self.stop}.get(verb)
        logger.info("Told by an operator verb=%s known=%s", verb, action is not None)
        if action is not None:
            action()

    def stop_on_signals(self) -> None:
        """Make SIGTERM and SIGINT call `stop`; in the main thread's running loop only, which keeps the handlers."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    def _wake(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake_lanes)

    def _wake_lanes(self) -> None:
        for lane in self._lanes:
            lane.wake()

    def _rota_maker(self, number: int) -> partial[AsyncRota]:
        name = self._client_id if self._concurrency == 1 else f"{self._client_id}.{number}"
        client_id = name.encode("utf-8", "backslashreplace").replace(b"\0", b"")
        return partial(self._make_rota, client_id)

    def _make_rota(self, client_id: bytes, held: HeldWork) -> AsyncRota:
        return AsyncRota(
            ServerList(self._servers),
            lambda: GrabLoop(
                self._runner.reclaim_s, client_id=client_id, regrab_s=self._regrab_s, is_resting=self._wishes.is_quiet
            ),
            security=self._security,
            held=held,
            signs=WorkerSigns(lambda: self.state, on_control=self.control),
            restraint=self._restraint,
        )
