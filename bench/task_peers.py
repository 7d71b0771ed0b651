"""The libraries that run tasks for Django, each with two worker processes and a job that does nothing.

Settings are the libraries' own defaults but where one would make the measurement say something else than how fast the
library is; those stand in `setting`, and are printed with the results.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.peer_venvs import venv_python, versions

#: Applications of Django that a site with models of jobs has.
_BASE_APPS: Final = ("django.contrib.contenttypes", "django.contrib.auth")
_MANAGE: Final = ("{python}", "-m", "django")


@dataclass(frozen=True, slots=True)
class TaskPeer:
    """One library in one setting.

    `{python}`, `{port}` and `{redis}` in commands and settings become this reading's.
    """

    name: str
    #: The file of `bench/noop` that speaks for it.
    module: str
    #: What is installed in its virtual environment, and whose versions are told.
    packages: Sequence[str]
    #: Where the project's database is: `sqlite`, `postgres`, or nowhere.
    database: str = ""
    needs_redis: bool = False
    apps: Sequence[str] = ()
    settings: Mapping[str, object] = field(default_factory=dict)
    #: Whether one call can enqueue many jobs.
    enqueues_many: bool = False
    #: What runs besides the workers.
    servers: Sequence[Sequence[str]] = ()
    workers: Sequence[Sequence[str]] = ()
    #: What was set, and why, for the reader.
    setting: str = "two worker processes"

    @property
    def is_ours(self) -> bool:
        return self.module == "tasks"

    def python(self) -> Path:
        """Return its interpreter; installs the library at the first use."""
        if self.is_ours:
            return Path(sys.executable)
        return venv_python(self.module.removesuffix("_tasks").replace("_", "-"), self.packages)

    def version(self) -> str:
        names = [package.partition("[")[0] for package in self.packages]
        return f"{versions(self.python(), names)}; {self.setting}"


def _gearjobs(name: str, database: str, *, durability: str = "full") -> TaskPeer:
    survives = "power loss" if durability == "full" else "a killed server, not power loss"
    return TaskPeer(
        name,
        "tasks",
        ["gearjobs", "Django"],
        database,
        apps=[*_BASE_APPS, "gearjobs", "bench.noop"],
        settings={"GEARJOBS": {"SERVERS": ["127.0.0.1:{port}"]}},
        enqueues_many=True,
        servers=[[*_MANAGE, "runjobserver", "--listen=127.0.0.1", "--port={port}", f"--durability={durability}"]],
        workers=[[*_MANAGE, "runworkers", "--processes", "2", "-v", "0"]],
        setting=f"two worker processes; jobs survive {survives}",
    )


def _celery(name: str, database: str) -> TaskPeer:
    return TaskPeer(
        name,
        "celery_tasks",
        ["celery[redis]", "django-celery-results"],
        database,
        needs_redis=True,
        apps=[*_BASE_APPS, "django_celery_results"],
        workers=[
            ["{python}", "-m", "celery", "-A", "bench.noop.celery_tasks", "worker", "--concurrency=2", "-l", "ERROR"]
        ],
        setting="prefork pool of two; results asked for every 5 ms instead of 500",
    )


def _django_q(name: str, database: str, broker: Mapping[str, object], *, needs_redis: bool) -> TaskPeer:
    cluster = {"name": "bench", "workers": 2, "save_limit": 0, "timeout": 60, "retry": 120, "log_level": "ERROR"}
    return TaskPeer(
        name,
        "django_q_tasks",
        ["django-q2", "redis"],
        database,
        needs_redis=needs_redis,
        apps=[*_BASE_APPS, "django_q"],
        settings={"Q_CLUSTER": {**cluster, **broker}},
        workers=[[*_MANAGE, "qcluster"]],
        setting="two worker processes, all results kept",
    )


def _django_tasks_db(name: str, database: str) -> TaskPeer:
    return TaskPeer(
        name,
        "django_tasks_db_tasks",
        ["django-tasks-db", "django-tasks"],
        database,
        apps=[*_BASE_APPS, "django_tasks", "django_tasks_db"],
        settings={"TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}},
        workers=[[*_MANAGE, "db_worker"]] * 2,
    )


TASK_PEERS: Final = (
    _gearjobs("gearjobs, SQLite", "sqlite"),
    _gearjobs("gearjobs, PostgreSQL", "postgres"),
    _gearjobs("gearjobs --durability process, SQLite", "sqlite", durability="process"),
    _gearjobs("gearjobs --durability process, PostgreSQL", "postgres", durability="process"),
    _celery("Celery, Redis + SQLite", "sqlite"),
    _celery("Celery, Redis + PostgreSQL", "postgres"),
    TaskPeer(
        "RQ, Redis",
        "rq_tasks",
        ["rq"],
        needs_redis=True,
        enqueues_many=True,
        workers=[["{python}", "-m", "rq.cli", "worker", "bench", "-w", "rq.worker.SimpleWorker", "-u", "{redis}", "-q"]]
        * 2,
        setting="two SimpleWorkers, which do not fork for each job; results in Redis, in memory",
    ),
    TaskPeer(
        "Dramatiq, Redis",
        "dramatiq_tasks",
        ["dramatiq[redis]"],
        needs_redis=True,
        workers=[["{python}", "-m", "dramatiq", "bench.noop.dramatiq_tasks", "--processes", "2"]],
        setting="two processes of eight threads; results in Redis, in memory",
    ),
    TaskPeer(
        "Huey, Redis",
        "huey_tasks",
        ["huey", "redis"],
        needs_redis=True,
        workers=[
            ["{python}", "-m", "huey.bin.huey_consumer", "bench.noop.huey_tasks.huey", "-w", "2", "-k", "process"]
        ],
        setting="two worker processes; results in Redis, in memory",
    ),
    _django_q("django-q2, Redis + SQLite", "sqlite", {"redis": "{redis}"}, needs_redis=True),
    _django_q("django-q2, PostgreSQL", "postgres", {"orm": "default"}, needs_redis=False),
    TaskPeer(
        "Procrastinate, PostgreSQL",
        "procrastinate_tasks",
        ["procrastinate[django]"],
        "postgres",
        enqueues_many=True,
        apps=[*_BASE_APPS, "procrastinate.contrib.django", "bench.noop"],
        settings={"PROCRASTINATE_AUTODISCOVER_MODULE_NAME": "procrastinate_tasks"},
        workers=[[*_MANAGE, "procrastinate", "worker", "--concurrency", "10"]] * 2,
        setting="two processes, ten coroutines each; keeps that a job succeeded, no value",
    ),
    _django_tasks_db("django-tasks-db, SQLite", "sqlite"),
    _django_tasks_db("django-tasks-db, PostgreSQL", "postgres"),
)
