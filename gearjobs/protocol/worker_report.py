"""What WORKER_REPORT carries: what a worker and its process are and do, for whoever watches them.

Pure: JSON to a dataclass and back. The server keeps the last report of each connection as it came; who shows it reads
it here. It is news for people and never an instruction, so that a report that cannot be read harms nobody.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Final, Never

from gearjobs.errors import WireError
from gearjobs.protocol.packets import ErrorCode

#: Longest report taken: the queues of a worker and some names; the server keeps one for each connection.
MAX_REPORT_BYTES: Final = 4096
#: Most queues that a report names; the rest is cut off by who writes it.
MAX_QUEUES: Final = 50
#: Longest name in a report.
MAX_NAME_CHARACTERS: Final = 255
#: The same where the report is too long otherwise: three names of so many escapes of twelve bytes leave room enough.
_CUT_NAME_CHARACTERS: Final = 64


class WorkerState(StrEnum):
    """What a worker is at."""

    #: It waits for a job.
    IDLE = "idle"
    #: It runs one.
    BUSY = "busy"
    #: It takes no jobs until it is told to resume.
    QUIET = "quiet"
    #: It ends once its job has ended.
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerReport:
    """One worker and the process it is part of."""

    #: Of its process.
    pid: int = 0
    host: str = ""
    #: Of gearjobs.
    version: str = ""
    #: The group of `runworkers` it belongs to; empty for a worker of another program.
    group: str = ""
    state: str = WorkerState.IDLE
    #: The queues it serves; empty where it does not know.
    queues: tuple[str, ...] = ()
    #: Memory of its process that is not swapped out.
    rss_bytes: int = 0
    #: Jobs of its process that ended, the failed ones among them.
    jobs_done: int = 0
    jobs_failed: int = 0
    #: Unix seconds of the start of its process.
    started_at: float = 0.0
    #: Unix seconds since which it is in this state.
    since: float = 0.0


def encode_report(report: WorkerReport) -> bytes:
    """Return the packet's argument; what is too long for it is cut."""
    said = asdict(report)
    said["queues"] = [name[:MAX_NAME_CHARACTERS] for name in report.queues[:MAX_QUEUES]]
    body = json.dumps(said).encode()
    if len(body) > MAX_REPORT_BYTES:
        said["queues"] = []
        body = json.dumps(said).encode()
    if len(body) > MAX_REPORT_BYTES:
        # What is beyond ASCII is written as escapes: a name may come in shorter than it goes out.
        names = {name: said[name][:_CUT_NAME_CHARACTERS] for name in ("host", "version", "group")}
        body = json.dumps(said | names).encode()
    return body


def decode_report(body: bytes) -> WorkerReport:
    """Read a report; keys that are not known are passed over.

    Raises:
        WireError: INVALID_PACKET, with what was expected and what came.
    """
    if len(body) > MAX_REPORT_BYTES:
        _refuse(f"a worker's report must have at most {MAX_REPORT_BYTES} bytes, got {len(body)}")
    try:
        document: object = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise WireError(ErrorCode.INVALID_PACKET, f"a worker's report must be JSON, got {body[:75]!r}") from error
    if not isinstance(document, dict):
        _refuse(f"a worker's report must be a JSON object, got {body[:75]!r}")
    report = WorkerReport(
        pid=_whole_number(document, "pid"),
        host=_name(document, "host"),
        version=_name(document, "version"),
        group=_name(document, "group"),
        state=_name(document, "state") or WorkerState.IDLE,
        queues=_queues(document),
        rss_bytes=_whole_number(document, "rss_bytes"),
        jobs_done=_whole_number(document, "jobs_done"),
        jobs_failed=_whole_number(document, "jobs_failed"),
        started_at=_unix_s(document, "started_at"),
        since=_unix_s(document, "since"),
    )
    if report.state not in tuple(WorkerState):
        _refuse(f"a worker's state must be one of {', '.join(WorkerState)}, got {report.state[:40]!r}")
    return report


#: The keys of a report.
REPORT_KEYS: Final = tuple(one.name for one in fields(WorkerReport))


def _refuse(text: str) -> Never:
    raise WireError(ErrorCode.INVALID_PACKET, text)


def _whole_number(document: dict[str, object], key: str) -> int:
    value = document.get(key, 0)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        _refuse(f"a worker's {key} must be a whole number from 0 upwards, got {str(value)[:40]!r}")
    return value


def _unix_s(document: dict[str, object], key: str) -> float:
    value = document.get(key, 0.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**40:
        _refuse(f"a worker's {key} must be unix seconds, got {str(value)[:40]!r}")
    return float(value)


def _name(document: dict[str, object], key: str) -> str:
    value = document.get(key, "")
    if not isinstance(value, str) or len(value) > MAX_NAME_CHARACTERS:
        _refuse(f"a worker's {key} must be text of at most {MAX_NAME_CHARACTERS} characters, got {str(value)[:40]!r}")
    return value


def _queues(document: dict[str, object]) -> tuple[str, ...]:
    value = document.get("queues", [])
    if not isinstance(value, list) or len(value) > MAX_QUEUES or not all(isinstance(name, str) for name in value):
        _refuse(f"a worker's queues must be a list of at most {MAX_QUEUES} names, got {str(value)[:40]!r}")
    return tuple(value)
