"""What a connection has shown of itself, and what that lets it do; made by `identify`, asked by `gatekeeper`.

A connection of a server that asks nobody has none.
"""

from __future__ import annotations

from dataclasses import dataclass

from gearjobs.core.access import Grants, Identity
from gearjobs.protocol.auth import ServerExchange


@dataclass(slots=True, eq=False)
class Credentials:
    """One peer's."""

    identity: Identity
    #: The peer's exchange about secrets; None where the server has none.
    exchange: ServerExchange | None
    #: What the rules let it do; None where there are no rules, and it may do everything once it is proven.
    grants: Grants | None
    #: True once it has shown a secret, a certificate or a token.
    is_proven: bool = False

    @property
    def is_admitted(self) -> bool:
        """Whether it may do anything at all but show who it is."""
        return self.is_proven if self.grants is None else not self.grants.is_empty

    @property
    def may_become_more(self) -> bool:
        """Whether a refusal should tell it to show a secret first."""
        return self.exchange is not None and not self.is_proven
