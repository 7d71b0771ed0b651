"""python-gearman's constants: priorities, and the states of a job request.

The values are python-gearman's own, since programs print and store them. What the states mean is told where they are
set, in `client_handler`.
"""

from __future__ import annotations

from typing import Final

from gearjobs.servers import DEFAULT_PORT

DEFAULT_GEARMAN_PORT: Final = DEFAULT_PORT

PRIORITY_NONE: Final = None
PRIORITY_LOW: Final = "LOW"
PRIORITY_HIGH: Final = "HIGH"

#: Not submitted, or the connection broke: what became of it is not known.
JOB_UNKNOWN: Final = "UNKNOWN"
#: Submitted, not answered yet.
JOB_PENDING: Final = "PENDING"
#: The server has it.
JOB_CREATED: Final = "CREATED"
#: The worker reported a failure, or the server refused the job.
JOB_FAILED: Final = "FAILED"
#: The worker reported the result.
JOB_COMPLETE: Final = "COMPLETE"
