"""How the process of a job server was asked to run: one frozen value beside ServerConfig, which says what it serves.

Each field's sentence and default are here; the command line's spelling of them is in `options`. What carries them out:
`process_limits`, `daemon` and `log_targets`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """What the process is and where its log goes."""

    #: Detach from the terminal and run in the background.
    daemon: bool = False
    #: Open files the process may have, connections among them; 0 for as many as the system lets the user have.
    file_descriptors: int = 0
    #: Leave a core file when the process dies of a fault, as large as the user may have.
    coredump: bool = False
    #: User to become; "" to stay who it is.
    user: str = ""
    #: Path of the log file, `stderr` or `none`; "" for syslog where that is asked for, else stderr.
    log_file: str = ""
    #: Log to syslog, too.
    syslog: bool = False
    #: Least urgent level that is logged, in gearmand's words.
    verbose: str = "INFO"
    #: How a line of the log looks on stderr and in a file: `text`, or `json`, an object a line.
    log_format: str = "text"
    #: Where background jobs live: `database` is the project's, `builtin` the memory of the process.
    queue_type: str = "database"
