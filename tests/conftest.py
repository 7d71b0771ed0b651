"""Fixtures for every test: gearjobs' own job server, in memory and as the real command."""

from __future__ import annotations

pytest_plugins = ["tests.support.job_server"]
