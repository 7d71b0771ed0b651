"""The screens in the Django admin: the jobs, one job, the job servers, the queues of the live ones, schedules.

Found by Django's autodiscovery where `django.contrib.admin` is installed. A project with an AdminSite of its own
registers them there by `site.register(Job, JobAdmin)`. They only read; what an operator may do to a job is `actions`.
"""

from django.contrib import admin

from gearjobs.admin.group_admin import JobGroupAdmin
from gearjobs.admin.job_admin import JobAdmin
from gearjobs.admin.schedule_admin import ScheduleAdmin
from gearjobs.admin.server_admin import JobServerAdmin
from gearjobs.models import Job, JobGroup, JobServer, Schedule

__all__ = ["JobAdmin", "JobGroupAdmin", "JobServerAdmin", "ScheduleAdmin"]

admin.site.register(Job, JobAdmin)
admin.site.register(JobGroup, JobGroupAdmin)
admin.site.register(JobServer, JobServerAdmin)
admin.site.register(Schedule, ScheduleAdmin)
