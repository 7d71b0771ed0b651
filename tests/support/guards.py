"""The guards of a job server that has none of its parts, for tests of what is shown of them."""

from __future__ import annotations

from gearjobs.core.job_queue import JobQueue
from gearjobs.server.config import ServerConfig
from gearjobs.server.entrance.admission import Admission
from gearjobs.server.entrance.gatekeeper import Gatekeeper
from gearjobs.server.entrance.identify import Identification
from gearjobs.server.http.guard_metrics import Guards
from gearjobs.server.memory_budget import MemoryBudget
from gearjobs.server.operator_commands import OperatorCommands


def make_guards(queue: JobQueue) -> Guards:
    """Return guards that nobody passed yet."""
    admission = Admission(10)
    identification = Identification(ServerConfig(), on_known=admission.prove)
    return Guards(
        admission,
        identification.failures,
        Gatekeeper(queue, identification),
        OperatorCommands(queue, stop=lambda: None, drain=lambda: None),
        MemoryBudget(1_000_000),
    )
