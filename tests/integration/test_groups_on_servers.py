"""Groups on real job servers that share a database: every step once, whatever happens to the servers."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gearjobs import GroupResult, chain, chord, group
from gearjobs.models import Job
from gearjobs.tasks.function_names import function_of
from gearjobs.worker.running_job import RunningJob
from gearjobs.worker.worker import Worker
from tests.support.eventually import eventually
from tests.support.few_tasks import add
from tests.support.running_worker import running
from tests.support.sharing_servers import LEASE_S
from tests.support.whole_values import answer, expected

pytestmark = pytest.mark.slow

#: Seconds in which everything must have ended, a take-over among it.
ENDED_S = 60.0
WHOLES = 15


@pytest.fixture
def both(new_sharing_server):
    servers = new_sharing_server(), new_sharing_server()
    for server in servers:
        server.start()
    return servers


@pytest.fixture
def alias(shared_database, django_alias, settings, both):
    alias = django_alias(shared_database.settings)
    settings.GEARJOBS = {"DATABASE": alias, "SERVERS": [str(server.address) for server in both]}
    return alias


class Hands:
    """Four workers at both servers that answer calls of `add`, and what they answered."""

    def __init__(self, addresses) -> None:
        self.runs: Counter[str] = Counter()
        self.pause_s = 0.0
        self._addresses = addresses

    def worker(self, number: int) -> Worker:
        worker = Worker(self._addresses, client_id=f"hand {number}")
        worker.register(function_of(add), self._run)
        return worker

    def _run(self, job: RunningJob) -> bytes:
        self.runs[job.handle] += 1
        time.sleep(self.pause_s)
        return json.dumps(answer(job.payload)).encode()


@pytest.fixture
def hands(both) -> Iterator[Hands]:
    hands = Hands([server.address for server in both])
    workers = [hands.worker(number) for number in range(4)]
    with ExitStack() as stack:
        for worker in workers:
            stack.enter_context(running(worker))
        yield hands
        # All at once: each waits a while for a killed server to take note of what it was told.
        for worker in workers:
            worker.stop()


def whole_of(number: int):
    left = chain(add.s(number, "a"), add.s("b"), group(add.s("c"), add.s("d") | add.s("e")))
    return chord([left, add.s(number, "f")], add.s("end"))


def has_ended(result: GroupResult) -> bool:
    result.refresh()
    return result.is_finished


def test_wholes_of_every_shape_are_done_by_two_servers(alias, hands):
    parts = [whole_of(number) for number in range(WHOLES)]

    results = [part.enqueue() for part in parts]

    eventually(lambda: all(map(has_ended, results)), ENDED_S, "all wholes to end")
    assert [result.return_value for result in results] == [expected(part) for part in parts]
    assert set(hands.runs.values()) == {1}


def test_whole_goes_on_when_a_server_is_killed_in_the_middle_of_it(alias, both, hands):
    hands.pause_s = 0.05
    parts = [whole_of(number) for number in range(WHOLES)]
    results = [part.enqueue() for part in parts]
    eventually(lambda: sum(hands.runs.values()) > WHOLES, ENDED_S, "the first steps")

    both[0].kill9()

    eventually(lambda: all(map(has_ended, results)), ENDED_S + LEASE_S, "all wholes to end")
    assert [result.return_value for result in results] == [expected(part) for part in parts]
    counted = Job.objects.using(alias).filter(status="SUCCESSFUL").count()
    assert counted == sum(result.total for result in results) == len(hands.runs)


def test_cancelled_whole_starts_nothing_more(alias, hands):
    hands.pause_s = 0.2
    result = chain(*[add.s(number) for number in range(50)]).enqueue()
    eventually(lambda: sum(hands.runs.values()) >= 2, ENDED_S, "the second step")

    result.cancel()

    eventually(lambda: has_ended(result), ENDED_S, "the whole to end")
    assert sum(hands.runs.values()) < 50
    assert result.succeeded + result.failed == 50
