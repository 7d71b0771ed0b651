"""A directory for Unix sockets, whose paths must be shorter than those that pytest gives."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Where a socket may be made."""
    with tempfile.TemporaryDirectory(prefix="gj-", dir="/tmp") as directory:
        yield Path(directory) / "jobs.sock"
