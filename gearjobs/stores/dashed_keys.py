"""Records in stores that have one key for each: gearmand joins function and unique with a dash.

Both may have dashes themselves, so a key alone does not say where the function ends. gearmand takes the first dash, and
so loses functions with one; here the dashes of a UUID, libgearman's unique where a client gives none, are known for
what they are. What we add to a record is kept apart from it, sealed with a digest and the function's length: a record
that gearmand wrote anew under the same key is then gearmand's, and a key of ours is read as it was written.
"""

from __future__ import annotations

import re
import zlib
from typing import Final

from gearjobs.stores.queue_records import QueueRecord, RecordName

#: libgearman's unique, with the dash before it.
_UUID: Final = re.compile(rb"-([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\Z")
_MARKS: Final = (b"gearjobs:", b"~gearjobs:")


def join_name(name: RecordName) -> bytes:
    """Return the key of a record, without the queue's prefix."""
    return b"%b-%b" % (name.function, name.key)


def split_name(key: bytes) -> RecordName:
    """Return whose record gearmand has under that key, without its prefix; without a function where it is nobody's."""
    if found := _UUID.search(key):
        return RecordName(key[: found.start()], found[1])
    function, dash, unique = key.partition(b"-")
    return RecordName(function if dash else b"", unique)


def seal_extras(record: QueueRecord) -> bytes:
    """Return the record's extras with what tells whose they are."""
    return b"%b%d:%b" % (_digest(record), len(record.name.function), record.extras)


def open_extras(sealed: bytes, record: QueueRecord, *, key: bytes) -> None:
    """Give the record its extras and its name, if they were sealed for it.

    Args:
        sealed: what stands beside the record; empty for nothing, and anything where somebody else wrote it.
        record: as it was read.
        key: its key, without the queue's prefix.
    """
    digest = _digest(record)
    if not sealed.startswith(digest):
        return
    length, _, extras = sealed[len(digest) :].partition(b":")
    if length.isdigit():
        record.name = RecordName(key[: int(length)], key[int(length) + 1 :])
        record.extras = extras


def beside(prefix: bytes) -> bytes:
    """Return what begins keys that gearmand does not take for jobs: it takes all that begin with the prefix."""
    return next(name for name in (mark + prefix for mark in _MARKS) if not name.startswith(prefix))


def _digest(record: QueueRecord) -> bytes:
    return b"%08x:%d:" % (zlib.crc32(record.payload), record.lane)
