"""The thread beside a job server that carries bulk operations out, one at a time.

Any number of servers of a database may have one: each operation is taken on by one of them, and by another where that
one gave no sign of life. It works also where no worker runs: that is when somebody cancels what waits.
"""

from __future__ import annotations

import logging
import os
import random
import socket
import time
from contextlib import suppress
from typing import Final

from django.db import Error, connections

from gearjobs.core.handles import RANDOM_BITS, make_incarnation
from gearjobs.errors import GearjobsError, ServerUnavailable
from gearjobs.models import BulkOperation
from gearjobs.records.side_thread import SideThread, keeps_rows
from gearjobs.settings import gearjobs_settings
from gearjobs.tasks.bulk_runs import claim_operation, fail_operation, run_portion

logger = logging.getLogger("gearjobs.actions")

#: Seconds between two looks for operations, and before what did not work is tried again.
LOOK_S: Final = 2.0
#: How much longer than a portion took it rests after it.
_REST: Final = 1.0


class BulkThread(SideThread):
    """Carries operations out from `start` to `stop`.

    Args:
        look_s: seconds between two looks.
    """

    def __init__(self, *, look_s: float = LOOK_S) -> None:
        super().__init__("gearjobs-bulk")
        self._look_s = look_s
        # Containers may have the same name and the same process ids.
        life = make_incarnation(time.time(), random.SystemRandom().getrandbits(RANDOM_BITS))
        self._name = f"{socket.gethostname()[:64]}:{os.getpid()}:{life}"

    def _run(self) -> None:
        connection = connections[gearjobs_settings().database]
        while not self._stopping.wait(self._look_s):
            try:
                operation = claim_operation(self._name)
                if operation is not None:
                    self._carry_out(operation)
            except Error as error:
                logger.warning("cannot look for operations, will try again error=%s", error)
                with suppress(Error):
                    connection.close()
            except Exception:
                # A wall: the next look may find others.
                logger.exception("stumble over bulk operations")
        with suppress(Error):
            connection.close()

    def _carry_out(self, operation: BulkOperation) -> None:
        logger.info("begin operation=%s verb=%s", operation.pk, operation.verb)
        goes_on = True
        while goes_on and not self._stopping.is_set():
            began_at = time.monotonic()
            try:
                goes_on = run_portion(operation)
            except (ServerUnavailable, Error) as error:
                logger.warning("cannot go on with operation=%s, will try again error=%s", operation.pk, error)
                self._stopping.wait(self._look_s)
            except Exception as error:
                # A wall: whoever took it on again would fail again, and do a part of the portion each time.
                if not isinstance(error, GearjobsError):
                    logger.exception("stumble over operation=%s", operation.pk)
                fail_operation(operation, error)
                return
            else:
                self._stopping.wait((time.monotonic() - began_at) * _REST)
        logger.info("end operation=%s", operation.pk)


def make_bulk_thread(queue_type: str) -> BulkThread | None:
    """Return what carries operations out beside a job server, not yet started; None for one that keeps no rows."""
    return BulkThread() if keeps_rows(queue_type) else None
