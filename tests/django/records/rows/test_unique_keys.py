"""The key of a unique place means what the queue's own index means."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gearjobs.core.coalescing import UniqueIndex
from gearjobs.core.jobs import FunctionName, Job, JobHandle
from gearjobs.records.rows.unique_keys import unique_key

PARTS = st.sampled_from([b"", b"-", b"a", b"ab", b"b", b"1", b"1 1", b"\0", b"A", b"\xff"])


@given(st.tuples(PARTS, PARTS, PARTS), st.tuples(PARTS, PARTS, PARTS))
def test_two_jobs_have_one_key_exactly_where_the_queue_lets_one_join_the_other(one, other):
    index = UniqueIndex()
    index.add(Job(JobHandle(b"H:a:1"), FunctionName(one[0]), one[1], one[2], 0, True, 0.0))

    joins = index.find(FunctionName(other[0]), other[1], other[2]) is not None

    assert (unique_key(*one) is not None and unique_key(*one) == unique_key(*other)) == joins


def test_key_fits_its_column():
    assert len(unique_key(b"f" * 1_000, b"-", b"p" * 100_000) or "") == 64
