"""The job servers that gearjobs' client and worker are tested against, each test against each."""

from __future__ import annotations

import pytest

from gearjobs.servers import ServerAddress
from tests.support.gearmand import gearmand

__all__ = ["any_server", "gearmand"]

#: Names of fixtures that give the address of a fresh job server.
JOB_SERVERS = [
    pytest.param("gearmand", marks=pytest.mark.interop),
]


@pytest.fixture(params=JOB_SERVERS)
def any_server(request: pytest.FixtureRequest) -> ServerAddress:
    """A fresh job server of each kind."""
    address = request.getfixturevalue(request.param)
    assert isinstance(address, ServerAddress)
    return address
