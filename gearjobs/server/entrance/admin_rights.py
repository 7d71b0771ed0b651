"""Who may send the admin lines that change something: by default peers on this machine, and nobody else.

gearmand lets everybody. The one question is asked by `operator_commands`; lines that only show are not asked about.
Access rules, where there are any, decide line by line, and `gatekeeper` has asked them before; `off` holds even then.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Final

from gearjobs.protocol.admin_text import AdminError
from gearjobs.server.config import AdminPolicy
from gearjobs.server.connection import Connection
from gearjobs.servers import UNIX_PREFIX

#: What stands where a peer has no IP address because it came by a Unix socket.
UNIX_HOST: Final = UNIX_PREFIX.removesuffix(":")


def reason_to_refuse(connection: Connection, policy: AdminPolicy) -> AdminError | None:
    """Return why the peer may not cancel, create, drop, limit and shut down; None where it may.

    Args:
        connection: who asks.
        policy: what the operator chose.
    """
    if policy is AdminPolicy.OFF:
        return AdminError.NO_ADMIN
    credentials = connection.credentials
    if policy is AdminPolicy.ALL or (credentials is not None and credentials.grants is not None):
        return None
    if policy is AdminPolicy.AUTH:
        return None if _is_known(connection) else AdminError.NOT_KNOWN
    return None if is_local(connection.host) else AdminError.NOT_ALLOWED


def is_local(host: str) -> bool:
    """Tell whether an address is one of this machine's own: an IP address, or a Unix socket's."""
    if host.startswith(UNIX_HOST):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        # It was gone before it could be asked where it is.
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def _is_known(connection: Connection) -> bool:
    """Tell whether the peer has shown who it is: by a certificate, a token or a secret."""
    return bool(connection.known_as) or (connection.credentials is not None and connection.credentials.is_proven)
