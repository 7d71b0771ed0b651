"""python-gearman 2.0.2's interface on Python 3: `from gearjobs.compat import gearman`. No Django settings are needed.

The modules of this folder are named as python-gearman's are, since programs import them by those names
(`gearman.job`, `gearman.errors`); what is different in use stands in docs/python-gearman.md.
"""

from __future__ import annotations

import logging
from typing import Final

from gearjobs.compat.gearman import (
    admin_client,
    admin_client_handler,
    client,
    client_handler,
    command_handler,
    compat,
    connection,
    connection_manager,
    constants,
    errors,
    job,
    protocol,
    util,
    worker,
    worker_handler,
)
from gearjobs.compat.gearman.admin_client import GearmanAdminClient
from gearjobs.compat.gearman.client import GearmanClient
from gearjobs.compat.gearman.connection_manager import DataEncoder
from gearjobs.compat.gearman.constants import (
    JOB_COMPLETE,
    JOB_CREATED,
    JOB_FAILED,
    JOB_PENDING,
    JOB_UNKNOWN,
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
)
from gearjobs.compat.gearman.job import GearmanJob, GearmanJobRequest
from gearjobs.compat.gearman.worker import GearmanWorker

#: The release of python-gearman whose interface this is; programs compare it.
__version__: Final = "2.0.2"

NullHandler = logging.NullHandler
#: The loggers below it tell what happens on connections; nothing is printed where the program sets none up.
gearman_root_logger = logging.getLogger("gearman")
gearman_root_logger.addHandler(NullHandler())

__all__ = [
    "JOB_COMPLETE",
    "JOB_CREATED",
    "JOB_FAILED",
    "JOB_PENDING",
    "JOB_UNKNOWN",
    "PRIORITY_HIGH",
    "PRIORITY_LOW",
    "PRIORITY_NONE",
    "DataEncoder",
    "GearmanAdminClient",
    "GearmanClient",
    "GearmanJob",
    "GearmanJobRequest",
    "GearmanWorker",
    "NullHandler",
    "__version__",
    "admin_client",
    "admin_client_handler",
    "client",
    "client_handler",
    "command_handler",
    "compat",
    "connection",
    "connection_manager",
    "constants",
    "errors",
    "gearman_root_logger",
    "job",
    "protocol",
    "util",
    "worker",
    "worker_handler",
]
