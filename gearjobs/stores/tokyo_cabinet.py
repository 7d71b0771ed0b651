"""Reading the queue that gearmand's libtokyocabinet module left in a file; nothing is ever written there.

Tokyo Cabinet has no driver that is still kept, but its own programs list a file: `tchmgr` a hash (.tch), `tcbmgr` a B+
tree (.tcb). A record's value is the function, the unique, priority and time as digits, each with a NUL behind it, and
the data. Source: gearmand's libgearman-server/plugins/queue/tokyocabinet/queue.cc.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gearjobs.errors import StoreError, UsageError
from gearjobs.stores.queue_records import QueueRecord, RecordName

logger = logging.getLogger("gearjobs.stores")

#: What every file of Tokyo Cabinet begins with.
MAGIC: Final = b"ToKyO CaBiNeT"
#: Where a file says which kind it is -> the program that lists it.
_KIND_AT: Final = 32
_LISTERS: Final = {0: "tchmgr", 1: "tcbmgr"}
_VALUE: Final = re.compile(rb"([^\0]+)\0([^\0]*)\0([012])(\d*)\0(.*)", re.DOTALL)


def read_file(path: Path) -> Iterator[QueueRecord]:
    """Yield the records of a file, in its order; what cannot be a job is logged and left out.

    Raises:
        UsageError: it is no hash or tree of Tokyo Cabinet, or the program that lists it is not installed.
        StoreError: it cannot be read to its end.
    """
    lister = _lister_of(path)
    # As hexadecimal digits, key and value with a tab between, a record a line.
    command = [lister, "list", "-nl", "-pv", "-px", str(path.absolute())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as listing:  # noqa: S603 - a known program
        for line in listing.stdout or ():
            key, _, value = line.partition(b"\t")
            if (record := _record(bytes.fromhex(key.decode()), bytes.fromhex(value.decode()))) is not None:
                yield record
        _, said = listing.communicate()
    if listing.returncode:
        raise StoreError(f"{path} could not be read to its end: {said.decode(errors='replace').strip()}")


def _lister_of(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_KIND_AT + 1)
    program = _LISTERS.get(head[_KIND_AT]) if head.startswith(MAGIC) and len(head) > _KIND_AT else None
    if program is None:
        raise UsageError(f"{path} must be a hash (.tch) or a B+ tree (.tcb) of Tokyo Cabinet, and is neither")
    found = shutil.which(program)
    if found is None:
        raise UsageError(f"{path} is read by Tokyo Cabinet's own {program}: install it (Debian: tokyocabinet-bin)")
    return found


def _record(key: bytes, value: bytes) -> QueueRecord | None:
    found = _VALUE.fullmatch(value)
    if found is None:
        logger.warning("leave key=%r alone: it is no job as gearmand writes one", key)
        return None
    function, unique, lane, when, payload = found.groups()
    return QueueRecord(RecordName(function, unique), int(lane), payload, int(when or b"0"), b"")
