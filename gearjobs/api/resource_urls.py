"""The URLs of everything but jobs, beside `jobs/`.

Included by `gearjobs.urls`, in its namespace; each path has its view and a name, and what may be done there stands in
the view.
"""

from __future__ import annotations

from django.urls import path

from gearjobs.api import (
    failure_views,
    group_views,
    health_views,
    live_views,
    operation_views,
    queue_views,
    schedule_views,
    stat_views,
    task_views,
)
from gearjobs.api.long_poll import answering_late
from gearjobs.api.status_links import SignedStatus

urlpatterns = [
    path("signed/<str:token>/", answering_late(SignedStatus), name="signed-status"),
    path("tasks/", task_views.TaskList.as_view(), name="task-list"),
    path("tasks/<str:name>/", task_views.TaskDetail.as_view(), name="task-detail"),
    path("groups/", group_views.GroupList.as_view(), name="group-list"),
    path("groups/<str:group_id>/", group_views.GroupDetail.as_view(), name="group-detail"),
    path("groups/<str:group_id>/cancel/", group_views.GroupCancel.as_view(), name="group-cancel"),
    path("schedules/", schedule_views.ScheduleList.as_view(), name="schedule-list"),
    path("schedules/<str:pk>/", schedule_views.ScheduleDetail.as_view(), name="schedule-detail"),
    path("schedules/<str:pk>/runs/", schedule_views.ScheduleRuns.as_view(), name="schedule-runs"),
    path("schedules/<str:pk>/run/", schedule_views.ScheduleRunNow.as_view(), name="schedule-run"),
    path("schedules/<str:pk>/pause/", schedule_views.SchedulePause.as_view(), name="schedule-pause"),
    path("schedules/<str:pk>/resume/", schedule_views.ScheduleResume.as_view(), name="schedule-resume"),
    path("queues/", queue_views.QueueList.as_view(), name="queue-list"),
    # A function may be called anything, slashes included.
    path("queues/<path:name>/pause/", queue_views.QueuePause.as_view(), name="queue-pause"),
    path("queues/<path:name>/resume/", queue_views.QueueResume.as_view(), name="queue-resume"),
    path("queues/<path:name>/clear/", queue_views.QueueClear.as_view(), name="queue-clear"),
    path("queues/<path:name>/", queue_views.QueueDetail.as_view(), name="queue-detail"),
    path("workers/", live_views.WorkerList.as_view(), name="worker-list"),
    path("workers/<path:worker_id>/<str:verb>/", live_views.WorkerControl.as_view(), name="worker-control"),
    path("servers/", live_views.ServerList.as_view(), name="server-list"),
    path("problems/", live_views.TroubleList.as_view(), name="problem-list"),
    path("stats/", stat_views.Stats.as_view(), name="stats"),
    path("stats/series/", stat_views.StatSeries.as_view(), name="stat-series"),
    path("failures/", failure_views.FailureList.as_view(), name="failure-list"),
    path("failures/<str:fingerprint>/", failure_views.FailureDetail.as_view(), name="failure-detail"),
    path("failures/<str:fingerprint>/mute/", failure_views.FailureMute.as_view(), name="failure-mute"),
    path("failures/<str:fingerprint>/retry/", failure_views.FailureRetry.as_view(), name="failure-retry"),
    path("failures/<str:fingerprint>/discard/", failure_views.FailureDiscard.as_view(), name="failure-discard"),
    path("operations/", operation_views.OperationList.as_view(), name="operation-list"),
    path("operations/<str:operation_id>/", operation_views.OperationDetail.as_view(), name="operation-detail"),
    path("operations/<str:operation_id>/stop/", operation_views.OperationStop.as_view(), name="operation-stop"),
    path("audit/", operation_views.AuditList.as_view(), name="audit-list"),
    path("health/live/", health_views.HealthLive.as_view(), name="health-live"),
    path("health/ready/", health_views.HealthReady.as_view(), name="health-ready"),
]
