"""gearjobs for asyncio programs: a client, a worker and an administrative client; they need no Django settings."""

from __future__ import annotations

from gearjobs.aio.async_admin_client import AsyncAdminClient
from gearjobs.aio.async_client import AsyncClient, AsyncStartedJob
from gearjobs.aio.async_running_job import AsyncRunningJob
from gearjobs.aio.async_worker import AsyncWorker

__all__ = ["AsyncAdminClient", "AsyncClient", "AsyncRunningJob", "AsyncStartedJob", "AsyncWorker"]
