"""What makes two failed runs the same.

The function, the exception's class, its message without the particulars, and the project's innermost line of the
traceback. Numbers, ids, addresses and quoted words are what differs between two failures of one kind; line numbers
differ between two releases, and directories between two machines. Messages come from workers of any kind, so that a
group is made up of at most `GROUP_LIMIT` an hour: what comes beyond it is one group for each function.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from gearjobs.core.changes import JobFailure, Outcome
from gearjobs.core.jobs import FunctionName
from gearjobs.protocol.wire_text import to_text
from gearjobs.records.rows.failure_columns import failure_values

#: Groups that one job server's workers can make within an hour.
GROUP_LIMIT: Final = 1_000
#: Characters of a message that are compared, and of a traceback's end that is looked through.
_MESSAGE_LIMIT: Final = 300
_TRACEBACK_LIMIT: Final = 20_000
#: Characters of the column.
_CULPRIT_LIMIT: Final = 500
#: Seconds after which groups may be made again.
_LIMIT_RESET_S: Final = 3600.0
#: Outcomes that are no failure of anybody's code.
_NO_FAILURES: Final = frozenset({Outcome.SUCCEEDED, Outcome.CANCELLED})
#: Hexadecimal digits: 128 bits.
_LENGTH: Final = 32

_FRAME: Final = re.compile(r'^\s*File "(?P<path>[^"\n]+)", line \d+, in (?P<name>.+)$', re.MULTILINE)
_SEPARATOR: Final = re.compile(r"[/\\]")
#: Directories of what is not the project's own code.
FOREIGN_CODE: Final = re.compile(r"site-packages|dist-packages|[/\\]lib[/\\]python\d|^<|[/\\]gearjobs[/\\]")
#: What is particular about a message, and what stands for it; the order matters.
_PARTICULARS: Final = (
    (re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|`[^`\n]*`"), "'…'"),
    (re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"), "#"),
    (re.compile(r"\b(?:0x)?(?=[a-fA-F]*\d)[0-9a-fA-F]{8,}\b"), "#"),
    (re.compile(r"\S+@\S+"), "@"),
    (re.compile(r"[-+]?\d[\d.,:]*"), "#"),
)


@dataclass(frozen=True, slots=True)
class FailureKind:
    """What two runs have in common that failed in the same way."""

    fingerprint: str
    function: str
    error_class: str
    #: The project's innermost line, as file and function; empty where there is none.
    culprit: str
    #: The message of this run.
    message: str


class Fingerprints:
    """Tells the kinds of failures, and no more of them than `GROUP_LIMIT` an hour."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._reset_at = 0.0

    def kind_of(
        self, function: FunctionName, outcome: Outcome, *, failure: JobFailure | None, ended_at: float
    ) -> FailureKind | None:
        """Return the kind of a failure; None for an outcome that is none.

        Args:
            function: what ran.
            outcome: as what the run ended.
            failure: what was said of it.
            ended_at: unix seconds.
        """
        if outcome in _NO_FAILURES:
            return None
        kind = failure_kind(to_text(function), failure_values(outcome, failure))
        if self._is_allowed(kind.fingerprint, ended_at):
            return kind
        return failure_kind(kind.function, {"error_message": "further failures, of too many kinds"})

    def _is_allowed(self, fingerprint: str, now: float) -> bool:
        if now >= self._reset_at:
            self._known.clear()
            self._reset_at = now + _LIMIT_RESET_S
        if fingerprint in self._known:
            return True
        if len(self._known) >= GROUP_LIMIT:
            return False
        self._known.add(fingerprint)
        return True


def failure_kind(function: str, columns: dict[str, str]) -> FailureKind:
    """Return the kind of a failure, given the columns of `failure_values`."""
    error_class, message = columns.get("error_class", ""), columns["error_message"]
    culprit = culprit_of(columns.get("error_traceback", "")[-_TRACEBACK_LIMIT:])
    # The lengths are not needed: no part but the last has a NUL in it.
    parts = "\0".join((function, error_class, culprit, plain_message(message)))
    digest = sha256(parts.encode("utf-8", "surrogatepass")).hexdigest()[:_LENGTH]
    return FailureKind(digest, function, error_class, culprit, message)


def plain_message(message: str) -> str:
    """Return the first line of a message without its particulars."""
    return _plain(message.strip().partition("\n")[0][:_MESSAGE_LIMIT])


@lru_cache(maxsize=1024)
def _plain(line: str) -> str:
    plain = line
    for pattern, sign in _PARTICULARS:
        plain = pattern.sub(sign, plain)
    return plain


# Jobs that fail alike come in crowds; the tracebacks are cut, so that the memory is bounded.
@lru_cache(maxsize=64)
def culprit_of(traceback: str) -> str:
    """Return the innermost line of the project's own code, or of any code where none is the project's."""
    frames = _FRAME.findall(traceback)
    if not frames:
        return ""
    own = [frame for frame in frames if not FOREIGN_CODE.search(frame[0])]
    path, name = (own or frames)[-1]
    # Three levels tell files apart, and not machines.
    place = "/".join(_SEPARATOR.split(path)[-3:])
    return f"{place} in {name}"[-_CULPRIT_LIMIT:]
