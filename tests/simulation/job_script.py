"""What a simulated job does when it is run, written in its payload: how long, and how it ends.

The payload is also the job's identity: no two submits have the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

#: Runs of a job that is tried again, those lost with their workers not counted, and seconds from each to the next.
RETRY_ATTEMPTS: Final = 3
RETRY_IN_S: Final = 1.5


class Ending(Enum):
    """How a run ends if nothing happens to its worker."""

    COMPLETE = b"complete"
    FAIL = b"fail"
    #: It fails and is to run again, until it has run `RETRY_ATTEMPTS` times: then it completes.
    RETRY = b"retry"
    #: Every worker that runs it dies of it.
    POISON = b"poison"


@dataclass(frozen=True, slots=True)
class JobScript:
    """One job."""

    number: int
    duration_s: float
    ending: Ending

    def payload(self) -> bytes:
        """Return the script as a payload."""
        return b"%d|%f|%b" % (self.number, self.duration_s, self.ending.value)


def read_script(payload: bytes) -> JobScript:
    """Read what `JobScript.payload` wrote."""
    number, duration, ending = payload.split(b"|")
    return JobScript(int(number), float(duration), Ending(ending))
