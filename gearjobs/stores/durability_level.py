"""What a store may promise for a job that was acknowledged.

The words of `--durability`. What a level costs and means on a database is the store's to say
(`records/sessions/durability_promise`), and it says so when it is opened.
"""

from __future__ import annotations

from enum import StrEnum


class DurabilityLevel(StrEnum):
    """What an acknowledged job survives."""

    #: Nothing is promised: as fast as the store can be.
    MEMORY = "memory"
    #: The end of the job server's process, however it comes.
    PROCESS = "process"
    #: Also that the machine of the store loses its power.
    FULL = "full"
