"""Who may send the admin lines that change something: peers on this machine, and nobody else.

gearmand lets everybody. The one question is asked by `operator_commands`; lines that only show are not asked about.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from gearjobs.server.connection import Connection


def may_administer(connection: Connection) -> bool:
    """Tell whether the peer may cancel, create, drop, limit and shut down.

    Where access rules are configured they decide instead, line by line, and `gatekeeper` has asked them before.
    """
    if connection.credentials is not None and connection.credentials.grants is not None:
        return True
    return is_local(connection.host)


def is_local(host: str) -> bool:
    """Tell whether a peer's address is one of this machine's own."""
    try:
        address = ip_address(host)
    except ValueError:
        # It was gone before it could be asked where it is.
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback
