"""What systemd is told by a service of Type=notify, in its own words; without systemd nothing is said.

The protocol is a datagram to the socket that NOTIFY_SOCKET names, of lines NAME=value. WATCHDOG_USEC is the time within
which the service must be heard of again; half of it is asked for here. Source: sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, Self

_MICROSECONDS: Final = 1_000_000


class SystemdNotify:
    """Says what systemd wants to hear.

    Args:
        address: of the socket, `@` first for one without a file; empty for nobody.
        watchdog_s: seconds within which it must be heard of; 0 where nobody watches.
    """

    def __init__(self, address: str = "", watchdog_s: float = 0.0) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        #: Seconds from one `beat` to the next; infinity where nobody watches.
        self.beat_every_s = watchdog_s / 2 if address and watchdog_s > 0 else math.inf
        self._beat_at = 0.0
        self._status = ""

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Return the one that this process was started with."""
        given = os.environ if environment is None else environment
        is_meant = given.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watchdog_us = given.get("WATCHDOG_USEC", "")
        watchdog_s = int(watchdog_us) / _MICROSECONDS if is_meant and watchdog_us.isdecimal() else 0.0
        return cls(given.get("NOTIFY_SOCKET", ""), watchdog_s)

    @property
    def is_on(self) -> bool:
        """Whether anybody listens."""
        return bool(self._address)

    def ready(self) -> None:
        """The service is up, for the first time or after a reload."""
        self._say("READY=1")

    def reloading(self) -> None:
        """The service reloads, and will be `ready` again."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={round(time.monotonic() * _MICROSECONDS)}")

    def stopping(self) -> None:
        """The service ends."""
        self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """Show a sentence in `systemctl status`; said once."""
        if text != self._status:
            self._status = text
            self._say(f"STATUS={text}")

    def beat(self, now: float) -> None:
        """Show that the service lives, when it is time for it; `now` is monotonic seconds."""
        if now >= self._beat_at and self.beat_every_s < math.inf:
            self._beat_at = now + self.beat_every_s
            self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        # systemd not listening is no reason to end.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), self._address)
