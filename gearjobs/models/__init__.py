"""The tables: jobs with attempts, output and groups; job servers; schedules and their runs."""

from gearjobs.models.job import DETAIL_STATUS, Job, JobStatus, StatusDetail
from gearjobs.models.job_attempt import AttemptOutcome, JobAttempt
from gearjobs.models.job_group import BLOCKED_OWNER, GroupKind, JobGroup, JobMember
from gearjobs.models.job_output import JobOutput
from gearjobs.models.schedule import Schedule, ScheduleSource
from gearjobs.models.schedule_run import RunOutcome, ScheduleRun
from gearjobs.models.server_row import JobServer

__all__ = [
    "BLOCKED_OWNER",
    "DETAIL_STATUS",
    "AttemptOutcome",
    "GroupKind",
    "Job",
    "JobAttempt",
    "JobGroup",
    "JobMember",
    "JobOutput",
    "JobServer",
    "JobStatus",
    "RunOutcome",
    "Schedule",
    "ScheduleRun",
    "ScheduleSource",
    "StatusDetail",
]
