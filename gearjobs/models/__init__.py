"""The tables: one row a background job, and the pieces it streamed."""

from gearjobs.models.job import DETAIL_STATUS, Job, JobStatus, StatusDetail
from gearjobs.models.job_output import JobOutput

__all__ = ["DETAIL_STATUS", "Job", "JobOutput", "JobStatus", "StatusDetail"]
