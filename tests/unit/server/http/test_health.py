"""When a job server says that clients may be sent to it."""

from __future__ import annotations

import pytest

from gearjobs.server.http.health import OUTAGE_S, SLOW_COMMIT_S, reasons_not_ready


class FakeStoreSide:
    """As much of Durability as health asks for."""

    def __init__(self, *, outage_age_s: float | None = None, age_s: float = 0.0, has_lease: bool = True) -> None:
        self.is_lease_held = has_lease
        self._outage_age_s = outage_age_s
        self._age_s = age_s

    def outage_age_s(self, now: float) -> float | None:
        assert now == 7.0
        return self._outage_age_s

    def step_age_s(self, now: float) -> float:
        assert now == 7.0
        return self._age_s


@pytest.mark.parametrize(
    ("durability", "is_stopping", "reasons"),
    [
        (FakeStoreSide(), False, []),
        (FakeStoreSide(outage_age_s=OUTAGE_S), False, []),
        (FakeStoreSide(age_s=SLOW_COMMIT_S), False, []),
        (FakeStoreSide(), True, ["the job server is stopping"]),
        (FakeStoreSide(outage_age_s=OUTAGE_S - 0.1, age_s=60.0), False, ["the store refuses commits"]),
        (FakeStoreSide(age_s=SLOW_COMMIT_S + 0.1), False, ["the store has not answered for more than 5 s"]),
        (FakeStoreSide(has_lease=False), False, ["other job servers may own the background jobs of this one"]),
        (FakeStoreSide(outage_age_s=0.0), True, ["the job server is stopping", "the store refuses commits"]),
    ],
)
def test_reasons_not_to_send_clients(durability, is_stopping, reasons):
    assert reasons_not_ready(durability, is_stopping=is_stopping, now=7.0) == reasons
