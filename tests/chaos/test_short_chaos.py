"""The chaos in short: some seconds of everything that can go wrong, on every kind of database."""

from __future__ import annotations

import pytest

from tests.chaos.runs import run_scenario
from tests.chaos.troubles import SCENARIOS
from tests.support.journal import Promises

pytestmark = pytest.mark.slow

#: Short leases, so that the end is not long in coming: take-over after 3 s, runs come back within 6.
OPTIONS = ("--lease-ttl", "3", "--reattach", "6", "--stock-grace", "3")
#: What they promise: each less a renewal's age.
PROMISES = Promises(stock_grace_s=1.5, resume_grace_s=6.0, resume_within_s=3.0)
LASTS_S = 6.0


def assert_good(account):
    assert account.breaches == []
    assert account.lost == 0
    assert account.recorded == account.promised > 100


@pytest.fixture(autouse=True)
def own_database(django_db_blocker):
    with django_db_blocker.unblock():
        yield


def test_nothing_is_lost_on_sqlite():
    (scenario,) = (one for one in SCENARIOS if one.name == "everything" and "sqlite" in one.databases)

    assert_good(run_scenario(scenario, None, seed=1, lasts_s=LASTS_S, options=OPTIONS, promises=PROMISES))


@pytest.mark.parametrize(
    "server",
    [
        pytest.param("postgres_server", marks=pytest.mark.postgres, id="postgresql"),
        pytest.param("mariadb_server", marks=pytest.mark.mysql, id="mariadb"),
    ],
)
def test_nothing_is_lost_by_two_servers_of_one_database(request, server):
    (scenario,) = (one for one in SCENARIOS if one.name == "everything" and one.servers == 2)
    database = request.getfixturevalue(server)
    database.make_ready()

    assert_good(run_scenario(scenario, database, seed=2, lasts_s=LASTS_S, options=OPTIONS, promises=PROMISES))
