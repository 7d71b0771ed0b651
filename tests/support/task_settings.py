"""TASKS for tests that want another backend than the one a project gets without settings."""

from __future__ import annotations

from gearjobs.tasks.django_tasks import BaseTaskBackend

#: `django.tasks.backends` or `django_tasks.backends`.
_BACKENDS = BaseTaskBackend.__module__.rpartition(".")[0]

IMMEDIATE = {"default": {"BACKEND": f"{_BACKENDS}.immediate.ImmediateBackend", "QUEUES": []}}
DUMMY = {"default": {"BACKEND": f"{_BACKENDS}.dummy.DummyBackend", "QUEUES": []}}
GEARMAN = {
    "default": {
        "BACKEND": "gearjobs.tasks.backend.GearmanBackend",
        "QUEUES": ["default", "images"],
        "OPTIONS": {"SERVERS": ["jobs.test:4730"]},
    }
}
