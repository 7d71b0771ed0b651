"""Job servers that say what a test wants, and figures of the past, for the screens."""

from __future__ import annotations

import socket
import time

import pytest

from gearjobs.models import FunctionRollup
from gearjobs.protocol.wire_text import to_bytes
from gearjobs.records.rows.function_keys import function_key
from tests.support.fake_job_server import run_fake_job_server


@pytest.fixture
def fake(settings):
    """A job server that answers, alone in the settings."""
    with run_fake_job_server() as server:
        settings.GEARJOBS = {"SERVERS": [server.address]}
        yield server


@pytest.fixture
def dead_address():
    """An address at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def add_figures(db):
    """Write what a function's jobs did, so many minutes ago; an empty name is all functions together."""

    def add(function: str = "", *, minutes_ago: int = 2, **figures) -> FunctionRollup:
        key = function_key(to_bytes(function)) if function else ""
        starts_s = int(time.time() // 60 - minutes_ago) * 60
        return FunctionRollup.objects.create(
            starts_s=starts_s, width_s=60, function=function, function_key=key, server="server-1", **figures
        )

    return add
