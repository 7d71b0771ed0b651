"""The tables: jobs with attempts, output and groups; job servers; schedules and their runs; what operators look at."""

from gearjobs.models.bulk_row import BulkOperation, BulkState, BulkVerb
from gearjobs.models.failure_group import FailureGroup
from gearjobs.models.function_rollup import ALL_FUNCTIONS, HOUR_S, MINUTE_S, FunctionRollup
from gearjobs.models.idempotent_request import IdempotentRequest
from gearjobs.models.job import DETAIL_STATUS, Job, JobStatus, StatusDetail
from gearjobs.models.job_attempt import AttemptOutcome, JobAttempt
from gearjobs.models.job_group import BLOCKED_OWNER, GroupKind, JobGroup, JobMember
from gearjobs.models.job_output import JobOutput
from gearjobs.models.operator_action import ActionOutcome, OperatorAction
from gearjobs.models.queue_control import QueueControl
from gearjobs.models.schedule import Schedule, ScheduleSource
from gearjobs.models.schedule_run import RunOutcome, ScheduleRun
from gearjobs.models.server_row import JobServer

__all__ = [
    "ALL_FUNCTIONS",
    "BLOCKED_OWNER",
    "DETAIL_STATUS",
    "HOUR_S",
    "MINUTE_S",
    "ActionOutcome",
    "AttemptOutcome",
    "BulkOperation",
    "BulkState",
    "BulkVerb",
    "FailureGroup",
    "FunctionRollup",
    "GroupKind",
    "IdempotentRequest",
    "Job",
    "JobAttempt",
    "JobGroup",
    "JobMember",
    "JobOutput",
    "JobServer",
    "JobStatus",
    "OperatorAction",
    "QueueControl",
    "RunOutcome",
    "Schedule",
    "ScheduleRun",
    "ScheduleSource",
    "StatusDetail",
]
