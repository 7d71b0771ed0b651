"""The tables: one row a background job, the pieces it streamed, and the job servers that own jobs."""

from gearjobs.models.job import DETAIL_STATUS, Job, JobStatus, StatusDetail
from gearjobs.models.job_output import JobOutput
from gearjobs.models.server_row import JobServer

__all__ = ["DETAIL_STATUS", "Job", "JobOutput", "JobServer", "JobStatus", "StatusDetail"]
