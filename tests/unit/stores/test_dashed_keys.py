"""Keys that join function and unique with a dash: read as gearmand reads them, or as they were written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearjobs.stores.dashed_keys import beside, join_name, open_extras, seal_extras, split_name
from gearjobs.stores.queue_records import QueueRecord, RecordName

UUID = b"0b7e7a3e-9f1c-11ee-b9d1-0242ac120002"


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (b"resize-u1", RecordName(b"resize", b"u1")),
        (b"resize-", RecordName(b"resize", b"")),
        (b"resize-u-1", RecordName(b"resize", b"u-1")),
        (b"make-big-sheet-" + UUID, RecordName(b"make-big-sheet", UUID)),
        (b"resize-user-" + UUID[:-1], RecordName(b"resize", b"user-" + UUID[:-1])),
        (b"-u1", RecordName(b"", b"u1")),
        (b"resize", RecordName(b"", b"")),
    ],
)
def test_key_of_gearmand_is_read_by_its_first_dash_or_by_a_uuid(key, name):
    assert split_name(key) == name


@given(function=st.binary(max_size=20), key=st.binary(max_size=20), payload=st.binary(max_size=20))
def test_sealed_record_is_read_as_it_was_written(function, key, payload):
    record = QueueRecord(RecordName(function, key), 2, payload, 0, b'{"v":1}')
    joined = join_name(record.name)

    read = QueueRecord(split_name(joined), 2, payload, 0, b"")
    open_extras(seal_extras(record), read, key=joined)

    assert read == record


@pytest.mark.parametrize(("lane", "payload"), [(1, b"payload"), (2, b"another")])
def test_extras_of_another_record_are_not_taken(lane, payload):
    sealed = seal_extras(QueueRecord(RecordName(b"a-b", b"c"), 2, b"payload", 0, b"{}"))

    read = QueueRecord(split_name(b"a-b-c"), lane, payload, 0, b"")
    open_extras(sealed, read, key=b"a-b-c")

    assert (read.name, read.extras) == (RecordName(b"a", b"b-c"), b"")


@pytest.mark.parametrize("prefix", [b"_gear_", b"g", b"gearjobs:", b"~", b"gearjobs:gearjobs:"])
def test_what_stands_beside_the_queue_does_not_begin_as_its_keys_do(prefix):
    assert not beside(prefix).startswith(prefix)
    assert beside(prefix).endswith(prefix)


def test_extras_that_do_not_say_where_the_function_ends_are_nobodys():
    record = QueueRecord(RecordName(b"f", b"u"), 1, b"p", 0, b"{}")
    sealed = seal_extras(record)
    read = QueueRecord(RecordName(b"f", b"u"), 1, b"p", 0, b"")

    open_extras(sealed.replace(b":1:{}", b":x:{}"), read, key=b"f-u")

    assert (read.name, read.extras) == (RecordName(b"f", b"u"), b"")
