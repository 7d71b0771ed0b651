"""New code for a supervisor whose children are at work: first tried beside it, then put in its place by exec.

A fresh Python runs the same command line with `--check`, which reads settings and imports tasks and ends. If that
fails, nothing has happened but a line in the log. If it succeeds, the supervisor executes the command line itself: it
stays the same process, so that its children stay its children and whoever watches it (systemd) sees no change. What the
new program must know of them, it finds in its environment (`Handover`). Signals are held back meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import IO, Final, NoReturn, Self

#: The environment variable that carries a handover.
_VARIABLE: Final = "GEARJOBS_POOL_HANDOVER"
#: Seconds that new code has to prove itself: as long as the slowest project may take to import.
TRIAL_TIMEOUT_S: Final = 120.0
#: What of a failed trial's output is logged.
_COMPLAINT_CHARACTERS: Final = 2000


@dataclass(frozen=True, slots=True)
class KeptBoard:
    """A work board that goes on."""

    descriptor: int
    lane_counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeptChild:
    """A child that goes on."""

    pid: int
    #: Monotonic seconds.
    started_at: float
    group: str
    number: int
    index: int
    #: Its board's place in the list of boards, and its cell's on the board.
    board: int
    cell: int


@dataclass(frozen=True, slots=True)
class Handover:
    """What a supervisor that renews itself leaves to what it becomes."""

    boards: tuple[KeptBoard, ...] = ()
    children: tuple[KeptChild, ...] = ()
    is_quiet: bool = False
    #: Further descriptors that stay open, by name.
    descriptors: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def taken(cls) -> Self:
        """Return what was left to this program, once; an empty one for a program that was started anew."""
        text = os.environ.pop(_VARIABLE, "")
        if not text:
            return cls()
        document = json.loads(text)
        return cls(
            tuple(KeptBoard(one["descriptor"], tuple(one["lane_counts"])) for one in document["boards"]),
            tuple(KeptChild(**one) for one in document["children"]),
            document["is_quiet"],
            document["descriptors"],
        )


@dataclass(slots=True)
class _Trial:
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    ends_at: float


class Renewal:
    """Tries new code, and becomes it.

    Args:
        command: how to run it.
        trial_words: what makes it end after it has proved itself.
        descriptors: further descriptors that stay open, by name.
    """

    def __init__(
        self,
        command: Sequence[str],
        trial_words: Sequence[str] = ("--check",),
        *,
        descriptors: Mapping[str, int] | None = None,
    ) -> None:
        self._command = list(command)
        self._trial_words = list(trial_words)
        self._descriptors = dict(descriptors or {})
        self._trial: _Trial | None = None

    @property
    def is_trying(self) -> bool:
        """Whether new code is on trial."""
        return self._trial is not None

    def begin(self) -> None:
        """Try the code as it is now; a trial that goes on already is begun anew."""
        self.give_up()
        # Open until the verdict.
        output = tempfile.TemporaryFile()  # noqa: SIM115 - as above
        process = subprocess.Popen(  # noqa: S603 - the command line of this very program
            [*self._command, *self._trial_words], stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        self._trial = _Trial(process, output, time.monotonic() + TRIAL_TIMEOUT_S)

    def verdict(self) -> str | None:
        """Return what is wrong with the new code, empty where nothing is; None while that is not known.

        It is told once; then there is no trial any more.
        """
        trial = self._trial
        if trial is None:
            return None
        exit_code = trial.process.poll()
        if exit_code is None and time.monotonic() < trial.ends_at:
            return None
        trial.output.seek(0)
        words = trial.output.read().decode("utf-8", "replace").strip()
        self.give_up()
        if exit_code is None:
            return f"it did not start within {TRIAL_TIMEOUT_S:.0f} s"
        return "" if exit_code == 0 else words[-_COMPLAINT_CHARACTERS:] or f"it ended with exit code {exit_code}"

    def give_up(self) -> None:
        """End a trial that goes on."""
        if self._trial is not None:
            if self._trial.process.poll() is None:
                self._trial.process.kill()
                self._trial.process.wait()
            self._trial.output.close()
            self._trial = None

    def become_new(self, handover: Handover) -> NoReturn:
        """Execute the command line in this process.

        Raises:
            OSError: the system refused; nothing has changed.
        """
        descriptors = {**handover.descriptors, **self._descriptors}
        kept = Handover(handover.boards, handover.children, handover.is_quiet, descriptors)
        for descriptor in (*(board.descriptor for board in kept.boards), *descriptors.values()):
            os.set_inheritable(descriptor, True)
        environment = {**os.environ, _VARIABLE: json.dumps(asdict(kept))}
        os.execve(self._command[0], self._command, environment)  # noqa: S606 - what runs already


def own_command() -> list[str]:
    """Return how this program was started, by the same interpreter."""
    return [sys.executable, *sys.orig_argv[1:]]
