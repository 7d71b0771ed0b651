"""Stores side by side on one database, which is made once for a file of tests and emptied between them."""

from __future__ import annotations

import pytest

from gearjobs.models import Job, JobOutput, JobServer
from tests.support.store_thread import SHORT_LEASE, StoreThread


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("postgres_server", marks=pytest.mark.postgres, id="postgresql"),
        pytest.param("mariadb_server", marks=pytest.mark.mysql, id="mariadb"),
    ],
)
def kept_database(request):
    """A database of each kind that several job servers may share."""
    server = request.getfixturevalue(request.param)
    server.make_ready()
    database = server.create_database()
    yield database
    server.make_ready()
    server.drop_database(database)


@pytest.fixture
def shared_database(kept_database):
    """The same, answering."""
    kept_database.server.make_ready()
    return kept_database


@pytest.fixture
def alias(shared_database, django_alias):
    """The same, empty, as Django calls it."""
    name = django_alias(shared_database.settings)
    yield name
    for model in (JobOutput, Job, JobServer):
        model.objects.using(name).all().delete()


@pytest.fixture
def make_server(alias):
    """Make a store in a thread of its own; at the end all vanish."""
    made: list[StoreThread] = []

    def make(owner: str, *, lease=SHORT_LEASE) -> StoreThread:
        made.append(StoreThread(alias, owner, lease=lease))
        return made[-1]

    yield make
    for server in made:
        server.end()
