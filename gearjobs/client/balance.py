"""How a client of several job servers chooses among them: always the first, or by each job's unique.

`order` takes the first server of the list that lives; the others are for its failure. `unique` spreads the jobs over
all of them; those of one unique go to one server while it lives, whoever submits them: only so are they one job, where
the servers do not share a database. A job without a unique goes by its handle, and else wherever its turn is. The order
of the servers for a key is `gearjobs.servers`'.
"""

from __future__ import annotations

import itertools
from typing import Final, Literal, get_args

from gearjobs.client.requests import JobRequest
from gearjobs.errors import UsageError

Balance = Literal["order", "unique"]

#: The unique of jobs that are one job where their payloads are.
_BY_PAYLOAD: Final = b"-"

BALANCES: Final[tuple[str, ...]] = get_args(Balance)


class KeyChoice:
    """What a client hands in as the key of each submission.

    Args:
        balance: `order` or `unique`.

    Raises:
        UsageError: it is another word.
    """

    def __init__(self, balance: Balance) -> None:
        if balance not in BALANCES:
            raise UsageError(f"balance must be one of {', '.join(BALANCES)}, got {balance!r}")
        self._is_by_unique = balance == "unique"
        # One step to other threads.
        self._turns = itertools.count()

    def of_request(self, request: JobRequest) -> bytes:
        """Return the key of a submission."""
        if not self._is_by_unique:
            return b""
        if request.unique == _BY_PAYLOAD:
            return _BY_PAYLOAD + request.payload
        return request.unique or request.handle or b"%d" % next(self._turns)

    def of_unique(self, unique: str | bytes) -> bytes:
        """Return the key of a question about a unique."""
        if not self._is_by_unique:
            return b""
        return unique.encode() if isinstance(unique, str) else unique
