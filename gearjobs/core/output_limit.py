"""How much of what a running job streams is recorded: so many pieces, so many bytes, over all of its attempts.

Waiting clients are sent everything all the same. What is too much is dropped here, before the store: a job that streams
a gigabyte would else fill the memory with changes that wait for their commit, only for the store to throw them away.
The piece that passes a limit is still recorded, cut: by it the store sees that something is missing, and says so in
the job's output. What a job streamed before a restart is counted by the store (`records/rows/output_rows`).
"""

from __future__ import annotations

from typing import Final

from gearjobs.core.jobs import Job, StreamedOutput

#: Pieces kept of one job: a screen full a hundred times over.
OUTPUT_LIMIT_PIECES: Final = 1_000
#: Bytes kept of one job: a log's worth; data that matters belongs in the result or a file.
OUTPUT_LIMIT_BYTES: Final = 1_048_576


def part_to_record(job: Job, body: bytes) -> bytes | None:
    """Return what is to be recorded of a piece, and count it; None once a limit is passed."""
    output = job.output = job.output or StreamedOutput()
    if output.pieces > OUTPUT_LIMIT_PIECES or output.body_bytes > OUTPUT_LIMIT_BYTES:
        return None
    part = body[: OUTPUT_LIMIT_BYTES - output.body_bytes + 1]
    output.pieces += 1
    output.body_bytes += len(part)
    return part
