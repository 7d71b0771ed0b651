"""Another attempt at a job of a stock gearmand, which cannot run a failed job again: the job is submitted anew.

It has another handle then, and a unique made from the old one, so that a worker that is lost between the submission and
the end of the old job makes no second copy. The attempts are counted in the payload, which says also that nobody waits
for the job: only such jobs are submitted again. gearmand knows whole seconds only, and 1.1 calls no worker when a time
comes: ours ask by themselves every ten seconds.
"""

from __future__ import annotations

import logging
import time
from hashlib import blake2b
from typing import Protocol

from gearjobs.client.requests import job_request, put_in_background
from gearjobs.errors import GearjobsError
from gearjobs.tasks.job_client import client_of
from gearjobs.tasks.payload import attempt_of, decode_call, encode_call

logger = logging.getLogger("gearjobs.tasks")

#: Bytes of the new unique's digest: 32 characters, below every server's limit.
_DIGEST_BYTES = 16
#: Seconds below which a job is submitted without a time: gearmand's clock has no fractions.
_LEAST_DELAY_S = 1.0


class StockJob(Protocol):
    """A job of a stock server."""

    handle: str
    function: bytes
    unique: bytes
    payload: bytes
    #: `host:port` of the server.
    server: str


def submit_again(job: StockJob, *, retry_in_s: float, priority: int) -> bool:
    """Submit the job's next attempt to its server; return whether it is there."""
    args, kwargs = decode_call(job.payload)
    attempt = attempt_of(job.payload) + 1
    payload = encode_call(args, kwargs, attempt=attempt)
    seed = b"\0".join((job.handle.encode(), job.unique, b"%d" % attempt))
    request = job_request(
        job.function, payload, unique=blake2b(seed, digest_size=_DIGEST_BYTES).hexdigest(), priority=priority
    )
    put_in_background(request, run_at=time.time() + retry_in_s if retry_in_s >= _LEAST_DELAY_S else 0.0)
    try:
        (outcome,) = client_of((job.server,)).submit_all([request])
    except GearjobsError as error:
        outcome_error: object = error
    else:
        if isinstance(outcome, str):
            logger.info("submitted again job=%s attempt=%d as=%s in_s=%.1f", job.handle, attempt, outcome, retry_in_s)
            return True
        outcome_error = outcome
    logger.error("failed to submit again job=%s attempt=%d error=%s", job.handle, attempt, outcome_error)
    return False
