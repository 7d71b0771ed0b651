"""One part of the demo as a child process: start it, wait until it serves, stop it.

A part writes its output to a log file of its own. It runs in its own session, so that Ctrl-C in the terminal reaches
`rundemo` alone, which then stops the parts one after the other. On Linux a part also gets SIGTERM when `rundemo` itself
is killed.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

#: Seconds between two looks at something that is waited for.
LOOK_AGAIN_S: Final = 0.1
#: Seconds a part may take to stop: longer than any job of the demo runs.
STOP_TIMEOUT_S: Final = 20.0
#: Lines of a log shown when its part fails.
TAIL_LINES: Final = 25
#: prctl's PR_SET_PDEATHSIG (linux/prctl.h).
_PR_SET_PDEATHSIG: Final = 1


class PartError(Exception):
    """A part of the demo did not start, did not answer in time, or died; the sentence says which and shows its log."""


class Part:
    """A child process of the demo.

    Args:
        name: what people call it.
        command: the program and its arguments.
        log: where its output goes; an older log is replaced.
        env: its whole environment.
        inherited_fds: file descriptors it keeps open.
    """

    def __init__(
        self, name: str, command: Sequence[str], *, log: Path, env: Mapping[str, str], inherited_fds: Sequence[int] = ()
    ) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                pass_fds=inherited_fds,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  # rundemo has one thread
            )

    def check_alive(self) -> None:
        """Raise PartError if the process has ended."""
        code = self._process.poll()
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise PartError(f"The {self.name} {how}.\n{self.log_tail()}")

    def wait_until(self, what: str, look: Callable[[], T | None], *, timeout_s: float) -> T:
        """Return what `look` returns once it is not None.

        Raises:
            PartError: the process ended, or `timeout_s` seconds passed; the text names `what` was waited for.
        """
        deadline = time.monotonic() + timeout_s
        while (seen := look()) is None:
            self.check_alive()
            if time.monotonic() > deadline:
                raise PartError(f"The {self.name} did not {what} within {timeout_s:.0f} s.\n{self.log_tail()}")
            time.sleep(LOOK_AGAIN_S)
        return seen

    def finish(self, *, timeout_s: float) -> None:
        """Wait for a part that ends by itself.

        Raises:
            PartError: it failed, or `timeout_s` seconds passed.
        """
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise PartError(f"The {self.name} did not end within {timeout_s:.0f} s.\n{self.log_tail()}") from None
        if code:
            self.check_alive()

    def stop(self) -> str:
        """End the process: SIGTERM, and SIGKILL to its whole session when it takes longer than STOP_TIMEOUT_S.

        Returns:
            What happened, in words; what must worry somebody begins with a capital letter.
        """
        if self._process.poll() is not None:
            return f"Had ended before, with exit code {self._process.returncode}"
        self._process.terminate()
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            return f"Killed: it did not stop within {STOP_TIMEOUT_S:.0f} s"
        return "stopped" if code in {0, -signal.SIGTERM} else f"Stopped with exit code {code}"

    def log_tail(self) -> str:
        """Return the last lines of the log, with its address."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]
        body = "\n".join(f"    {line}" for line in lines) or "    (empty)"
        return f"The end of {self.log}:\n{body}"


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
