"""Where a library with python-gearman's interface is tried: a job server, peers that misbehave, workers in threads.

The old library and ours go through the same calls (`client_calls`, `worker_calls`, `admin_calls`); what a call showed
is described in plain JSON, without what differs from run to run, so that the two can be compared word by word. A
payload is `bytes` here and was a Python 2 string there, so both are given a codec by `describe`.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from gearjobs.errors import GearjobsError

#: Seconds for anything that is to happen soon; the machine may be busy.
SOON_S: Final = 10.0
#: Seconds a call waits that is to time out.
SHORT_S: Final = 0.05
#: Seconds after which a worker looks whether it is to stop.
LOOK_S: Final = 0.05

_HANDLE = re.compile(r"H:[^:]+:.+", re.DOTALL)
_CHANCE = re.compile(r"(?:[0-9a-f]{2}){4,}")
#: Keys whose values are times.
_TIMES: Final = ("time_received", "last_time_received")
_ROOTS: Final = (Exception, BaseException, object, GearjobsError)
_REQUEST_ATTRIBUTES: Final = (
    "background",
    "complete",
    "connection_attempts",
    "data_updates",
    "exception",
    "max_connection_attempts",
    "priority",
    "result",
    "state",
    "status",
    "timed_out",
    "warning_updates",
)


class Stage:
    """One library beside one job server.

    Args:
        library: the package: `gearman`, or `gearjobs.compat.gearman`.
        server: `host:port`.
        names_are_bytes: whether workers must know their tasks as bytes, as gearman3's do.
    """

    def __init__(self, library: Any, server: str, *, names_are_bytes: bool = False) -> None:
        self.library = library
        self.server = server
        self.names_are_bytes = names_are_bytes

    def client(self, *servers: str, **attributes: Any) -> Any:
        """Return a client of a subclass that has those attributes."""
        return type("Client", (self.library.GearmanClient,), attributes)(list(servers or (self.server,)))

    def worker(self, tasks: dict[str, Callable[[Any, Any], Any]], **attributes: Any) -> Any:
        """Return a worker of a subclass that has those attributes, with its tasks registered."""
        attributes = {"is_to_stop": False, "after_poll": lambda worker, _activity: not worker.is_to_stop, **attributes}
        worker = type("Worker", (self.library.GearmanWorker,), attributes)([self.server])
        for task, callback in tasks.items():
            worker.register_task(self.name(task), callback)
        return worker

    def admin(self, *servers: str, **arguments: Any) -> Any:
        return self.library.GearmanAdminClient(list(servers or (self.server,)), **arguments)

    def name(self, task: str) -> Any:
        """Return a task's name as a worker has it."""
        return task.encode() if self.names_are_bytes else task

    @contextmanager
    def working(self, worker: Any) -> Iterator[None]:
        """Let the worker work in a thread; stop it at the end of the block."""
        faults: list[BaseException] = []

        def work() -> None:
            try:
                worker.work(LOOK_S)
            except BaseException as fault:  # noqa: BLE001 - told to the test, from the thread it belongs to
                faults.append(fault)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            worker.is_to_stop = True
            thread.join(SOON_S)
        assert not thread.is_alive(), f"the worker did not stop within {SOON_S} s"
        assert not faults, f"the worker ended with {faults[0]!r}"

    def outcome(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Return the description of what the action returned, or raised: every name by which that can be caught."""
        try:
            return describe(action(*arguments))
        except Exception as error:  # noqa: BLE001 - the call's outcome, whatever it is
            return {"raised": [_exception_name(kind) for kind in type(error).__mro__ if kind not in _ROOTS]}


def describe(value: Any) -> Any:
    """Return a value as JSON that is the same in each run."""
    if isinstance(value, bytes):
        return {"bytes": _steady(value.decode("latin-1"))}
    if isinstance(value, str):
        return _steady(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, dict):
        return {
            _key(key): "<time>" if key in _TIMES and element else describe(element) for key, element in value.items()
        }
    if isinstance(value, tuple | set | deque):
        return {type(value).__name__: [describe(element) for element in value]}
    if isinstance(value, list):
        return [describe(element) for element in value]
    if hasattr(value, "max_connection_attempts"):
        return {"request": {name: describe(getattr(value, name)) for name in _REQUEST_ATTRIBUTES}}
    if hasattr(value, "to_dict"):
        return {"job": describe(value.to_dict())}
    return {"class": type(value).__name__}


@contextmanager
def silent_server() -> Iterator[str]:
    """`host:port` of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield "{}:{}".format(*listening.getsockname())


@contextmanager
def breaking_server() -> Iterator[str]:
    """`host:port` of a server that closes each connection as soon as something came."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_break_all, args=(listening,))
        thread.start()
        try:
            yield "{}:{}".format(*listening.getsockname())
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join(SOON_S)


def absent_server() -> str:
    """`host:port` of a port nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return "{}:{}".format(*probe.getsockname())


def _break_all(listening: socket.socket) -> None:
    while True:
        try:
            connected, _address = listening.accept()
        except OSError:
            return
        with connected, suppress(OSError):
            connected.settimeout(1.0)
            connected.recv(65536)


def _exception_name(kind: type) -> str:
    module = kind.__module__.removeprefix("gearjobs.compat.")
    return kind.__name__ if module == "builtins" else f"{module}.{kind.__name__}"


def _steady(text: str) -> str:
    if _HANDLE.fullmatch(text):
        return "<handle>"
    return f"<{len(text)} digits of chance>" if _CHANCE.fullmatch(text) else text


def _key(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)
