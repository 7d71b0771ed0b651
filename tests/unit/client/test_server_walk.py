"""A question's way over the servers."""

from __future__ import annotations

import pytest

from gearjobs.client.server_walk import Repeat, ServerFailed, ServerWalk
from gearjobs.errors import ServerUnavailable, WireError
from gearjobs.servers import ServerAddress

A, B = ServerAddress("a"), ServerAddress("b")


def walk_over(*servers: ServerAddress, is_final=lambda _: True) -> ServerWalk[str]:
    return ServerWalk(servers, every=[A, B], is_final=is_final)


def failure(repeat: Repeat, cause: Exception | None = None) -> ServerFailed:
    return ServerFailed(A, cause or ConnectionRefusedError(111, "Connection refused"), repeat=repeat)


def test_final_answer_ends_the_walk():
    walk = walk_over(A, B)
    asked = []

    for address in walk:
        asked.append(address)
        walk.answered("yes")

    assert asked == [A]
    assert walk.outcome() == "yes"


def test_answer_that_is_not_final_is_kept_for_want_of_a_better_one():
    walk = walk_over(A, B, is_final=lambda _: False)

    for address in walk:
        walk.answered(address.host)

    assert walk.outcome() == "b"


def test_next_server_is_asked_where_the_request_may_go_anywhere():
    walk = walk_over(A, B)

    for address in walk:
        if address == A:
            walk.failed(failure(Repeat.ANYWHERE))
        else:
            walk.answered("yes")

    assert walk.outcome() == "yes"


@pytest.mark.parametrize("repeat", [Repeat.NEVER, Repeat.SAME_SERVER])
def test_request_that_may_have_been_acted_on_goes_nowhere_else(repeat):
    walk = walk_over(A, B)

    asked = []
    for address in walk:
        asked.append(address)
        walk.failed(failure(repeat))

    assert asked == [A]
    with pytest.raises(ServerUnavailable, match=r"may or may not have been taken: a:4730 \(Connection refused\)"):
        walk.outcome()


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (TimeoutError("timed out"), "no answer in time"),
        (WireError("INVALID_MAGIC", "no magic"), "not the answer of a Gearman server: INVALID_MAGIC: no magic"),
        (ConnectionAbortedError("closed here"), "closed here"),
    ],
)
def test_reason_of_the_failure_is_told(cause, reason):
    walk = walk_over(A)

    for _ in walk:
        walk.failed(failure(Repeat.ANYWHERE, cause))

    with pytest.raises(ServerUnavailable) as raised:
        walk.outcome()
    assert str(raised.value) == f"no job server could be reached: a:4730 ({reason})"


def test_without_a_server_to_ask_all_are_named():
    with pytest.raises(ServerUnavailable, match=r"none answered in time before: a:4730, b:4730"):
        walk_over().outcome()
