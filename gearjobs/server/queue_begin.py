"""What a server's queue begins with: the rules of its operator, and the names of its jobs.

The configuration says it; here it becomes the words of the core. What the store's side begins with stands in `config`.
"""

from __future__ import annotations

import random
import socket
import time

from gearjobs.core.handles import RANDOM_BITS, HandleMaker, default_prefix, make_incarnation
from gearjobs.core.job_queue import QueueRules
from gearjobs.core.quarantine import BenchRules
from gearjobs.core.reattachment import ReattachRules
from gearjobs.server.config import ServerConfig


def queue_rules(config: ServerConfig, reattach: ReattachRules, *, has_store: bool) -> QueueRules:
    """Return how the queue is to behave."""
    return QueueRules(
        has_store=has_store,
        job_retries=config.job_retries,
        max_crashes=config.max_crashes,
        wakeup_limit=config.worker_wakeup,
        bench=BenchRules(failures=config.bench_after),
        reattach=reattach,
    )


def make_handles(config: ServerConfig) -> HandleMaker:
    """Return what names the jobs of one life of the server."""
    prefix = config.job_handle_prefix or default_prefix(socket.gethostname())
    return HandleMaker(prefix, make_incarnation(time.time(), random.SystemRandom().getrandbits(RANDOM_BITS)))
