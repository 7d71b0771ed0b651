"""Many requests on their way: which of them go to which job server, and how many of them in one write.

Pure, for the blocking and the asynchronous client. Each request goes to the first server of its key; a server that
failed is left out from then on, and what it was to have goes to the next ones, unless it may have acted on some of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from gearjobs.client.requests import JobRequest
from gearjobs.client.server_walk import Repeat, ServerFailed, unavailable
from gearjobs.servers import ServerAddress

#: Submissions, and bytes of their payloads, that are written before their answers are read: enough to make the round
#: trip cheap, and to let the server commit them together; few enough for it never to wait for this reader.
PORTION: Final = 500
PORTION_BYTES: Final = 4_194_304


class Portions:
    """The requests that no server has answered yet; iterating gives servers, and the indexes of what each gets next.

    Args:
        requests: what is to be sent.
        key_of: returns the key of a request, empty for the order of the list.
        to_try: returns the servers worth asking for a key, best first.
        every: all servers.

    Raises:
        ServerUnavailable: there is no server to ask; here or later, in the iteration.
    """

    def __init__(
        self,
        requests: Sequence[JobRequest],
        key_of: Callable[[JobRequest], bytes],
        *,
        to_try: Callable[[bytes], Sequence[ServerAddress]],
        every: Sequence[ServerAddress],
    ) -> None:
        self._requests = requests
        self._keys = [key_of(request) for request in requests]
        self._to_try = to_try
        self._every = every
        self._failures: list[ServerFailed] = []
        self._left_out: set[ServerAddress] = set()
        self._queues: dict[ServerAddress, deque[int]] = {}
        self._assign(range(len(requests)))

    def __iter__(self) -> Iterator[tuple[ServerAddress, list[int]]]:
        while self._queues:
            address, queue = next(iter(self._queues.items()))
            portion = self._take(queue)
            if not queue:
                del self._queues[address]
            yield address, portion

    def failed(self, address: ServerAddress, portion: Iterable[int], failure: ServerFailed) -> None:
        """The server could not be used for the portion.

        Raises:
            ServerUnavailable: it may have acted on the portion, or there is no other server.
        """
        self._failures.append(failure)
        if failure.repeat is not Repeat.ANYWHERE:
            raise unavailable(self._every, self._failures) from failure
        self._left_out.add(address)
        self._assign([*portion, *self._queues.pop(address, ())])

    def _assign(self, indexes: Iterable[int]) -> None:
        firsts: dict[bytes, ServerAddress] = {}
        for index in indexes:
            key = self._keys[index]
            if key not in firsts:
                firsts[key] = self._first(key)
            self._queues.setdefault(firsts[key], deque()).append(index)

    def _first(self, key: bytes) -> ServerAddress:
        for address in self._to_try(key):
            if address not in self._left_out:
                return address
        raise unavailable(self._every, self._failures) from (self._failures[-1] if self._failures else None)

    def _take(self, queue: deque[int]) -> list[int]:
        portion: list[int] = []
        portion_bytes = 0
        while queue and len(portion) < PORTION and portion_bytes <= PORTION_BYTES:
            portion.append(queue.popleft())
            portion_bytes += len(self._requests[portion[-1]].payload)
        return portion
