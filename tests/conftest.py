"""Fixtures for every test: gearjobs' own job server, in memory and as the real command; databases."""

from __future__ import annotations

pytest_plugins = [
    "gearjobs.testing.pytest_plugin",
    "tests.support.databases",
    "tests.support.job_server",
    "tests.support.queue_servers",
    "tests.support.sharing_servers",
    "tests.support.unix_paths",
]
