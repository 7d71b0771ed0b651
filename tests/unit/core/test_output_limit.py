"""How much of a running job's output is recorded."""

from __future__ import annotations

from gearjobs.core.output_limit import OUTPUT_LIMIT_BYTES, OUTPUT_LIMIT_PIECES, part_to_record
from tests.support.core_builders import make_job


def test_pieces_are_recorded_up_to_one_too_many():
    job = make_job()

    parts = [part_to_record(job, b"x") for _ in range(OUTPUT_LIMIT_PIECES + 3)]

    assert parts == [b"x"] * (OUTPUT_LIMIT_PIECES + 1) + [None, None]


def test_bytes_are_recorded_up_to_one_too_many():
    job = make_job()
    half = bytes(OUTPUT_LIMIT_BYTES // 2)

    parts = [part_to_record(job, half) for _ in range(4)]

    assert parts == [half, half, b"\0", None]


def test_empty_piece_is_recorded():
    assert part_to_record(make_job(), b"") == b""


def test_each_job_has_its_own_limit():
    assert part_to_record(make_job(), bytes(2 * OUTPUT_LIMIT_BYTES)) == bytes(OUTPUT_LIMIT_BYTES + 1)
    assert part_to_record(make_job(), b"x") == b"x"
