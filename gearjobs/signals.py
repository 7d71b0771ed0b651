"""Signals of worker processes, of operators' actions, and of jobs where Django's own say less.

`django.tasks.signals` has the start and the end of each task: task_finished is sent once a job, after its last attempt.
All are sent in the worker process, by `send_robust`: a receiver that raises is logged and changes nothing. The sender
is None for those of worker processes; for those of jobs it is the class of the task's backend, as Django has it. A run
that is ended by force has its signals sent from another thread, while it goes on, and the process ends right after.
"""

from __future__ import annotations

from typing import Final

from django.dispatch import Signal

#: A worker process begins, just forked, and takes jobs next: the moment to open what must not be shared with other
#: processes. Argument: `worker_id`, the client id that servers and job records show.
worker_started: Final = Signal()
#: A worker process has done its last job. Argument: `worker_id`. Not sent by a process that is killed.
worker_stopped: Final = Signal()
#: A run failed, and the same job runs again; task_finished is not sent. Arguments: `task_result`, whose status is READY
#: and whose errors end with this one, `error` and `retry_in_s`, the seconds until then.
job_retrying: Final = Signal()
#: A job that was cancelled while it ran has stopped; task_finished was sent. Argument: `task_result`.
job_cancelled: Final = Signal()
#: A run took longer than the task's timeout, or ended with SoftTimeout at its soft_timeout; task_finished or
#: job_retrying was sent. Arguments: `task_result`, `error` and `retry_in_s`, None where the job has failed.
job_timed_out: Final = Signal()
#: An operator did something: paused a queue, retried failed jobs, stopped a worker. Sent in the process that did it,
#: after it was written down. Argument: `action`, an `OperatorAction`.
operator_action: Final = Signal()
