"""Signals of worker processes; those of tasks are Django's own, in `django.tasks.signals`.

All are sent in the worker process, by `send_robust`: a receiver that raises is logged and changes nothing. The sender
is None.
"""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

#: A worker process begins, just forked, and takes jobs next: the moment to open what must not be shared with other
#: processes. Argument: `worker_id`, the client id that servers and job records show.
worker_started: Final = Signal()
#: A worker process has done its last job. Argument: `worker_id`. Not sent by a process that is killed.
worker_stopped: Final = Signal()
