"""python-gearman's small tools that programs import: a stopwatch, the reading of server names.

Nothing of gearjobs' own is put here; the name of this module is python-gearman's.
"""

from __future__ import annotations

import select as select_module
import time
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from gearjobs.compat.gearman.constants import DEFAULT_GEARMAN_PORT
from gearjobs.compat.gearman.errors import WrongServer
from gearjobs.errors import UsageError
from gearjobs.servers import parse_server

Element = TypeVar("Element")


class Stopwatch:
    """Counts a time down.

    Args:
        time_remaining: seconds; None for no end.
    """

    def __init__(self, time_remaining: float | None) -> None:
        self.stop_time = None if time_remaining is None else time.monotonic() + time_remaining

    def get_time_remaining(self) -> float | None:
        """Return the seconds left, 0.0 when the time is over; None when there is no end."""
        return None if self.stop_time is None else max(0.0, self.stop_time - time.monotonic())

    def has_time_remaining(self, time_comparison: float | None = None) -> bool:
        """Whether the time is not over: now, or at another time by the clock of `stop_time`, which is monotonic."""
        now = time.monotonic() if time_comparison is None else time_comparison
        return self.stop_time is None or now < self.stop_time


def disambiguate_server_parameter(
    hostport_tuple: str | tuple[str, int | str], default_port: int = DEFAULT_GEARMAN_PORT
) -> tuple[str, int]:
    """Return host and port of `host`, `host:port`, `[::1]:port` or `(host, port)`.

    Raises:
        WrongServer: it is none of these.
    """
    if not isinstance(hostport_tuple, str):
        host, port = hostport_tuple
        return host, int(port or default_port)
    try:
        address = parse_server(hostport_tuple)
    except UsageError as error:
        raise WrongServer(str(error)) from error
    has_port = hostport_tuple.strip().rpartition("]")[2].partition(":")[2] != ""
    return address.host, address.port if has_port else default_port


def select(
    rlist: Iterable[Any], wlist: Iterable[Any], xlist: Iterable[Any], timeout: float | None = None
) -> tuple[list[Any], list[Any], list[Any]]:
    """`select.select`; interrupted waits go on by themselves since Python 3.5."""
    return select_module.select(rlist, wlist, xlist, timeout)


def unlist(given_list: Sequence[Element]) -> Element | None:
    """Return the only element; None of an empty list.

    Raises:
        ValueError: there are several.
    """
    if len(given_list) > 1:
        raise ValueError(f"expected a list of one at most, got {len(given_list)}: {given_list!r}")
    return given_list[0] if given_list else None
