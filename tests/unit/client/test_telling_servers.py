"""Telling every server that its store says something else of functions."""

from __future__ import annotations

import pytest

from gearjobs.client.client import Client
from gearjobs.server.queue_desk import ControlKeeper, PauseWish
from gearjobs.servers import ServerAddress
from tests.support.eventually import eventually
from tests.support.gearmand import free_port
from tests.support.job_server import running_memory_server


class Ear(ControlKeeper):
    """Counts how often it is told."""

    def __init__(self) -> None:
        self.times = 0

    def look_soon(self) -> None:
        self.times += 1

    def keep(self, wish: PauseWish) -> None:
        pytest.fail(f"nobody paused anything, got {wish}")


def test_every_server_is_told_and_one_that_is_down_is_passed_over():
    ears = Ear(), Ear()
    gone = ServerAddress("127.0.0.1", free_port())
    with (
        running_memory_server(keeper=ears[0]) as one,
        running_memory_server(keeper=ears[1]) as two,
        Client([one.address, gone, two.address]) as client,
    ):
        client.queues_changed()

        eventually(lambda: [ear.times for ear in ears] == [1, 1], 5, "both servers to be told")


def test_nothing_is_raised_where_no_server_is_there():
    with Client([ServerAddress("127.0.0.1", free_port())]) as client:
        client.queues_changed()
