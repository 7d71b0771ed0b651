"""From the values that were given to the configurations: ServerConfig, ProcessConfig and the stores' QueueOptions.

Here is what `--check-args` does not do: names of services are looked up, and what belongs together is checked. What was
not given keeps the default of its field.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from gearjobs.errors import SettingsError
from gearjobs.server.command.options import DEFAULT_HTTP_PORT
from gearjobs.server.command.process_config import ProcessConfig
from gearjobs.server.config import AdminPolicy, ServerConfig
from gearjobs.servers import UNIX_PREFIX
from gearjobs.stores.durability_level import DurabilityLevel
from gearjobs.stores.queue_options import QueueOptions

#: The protocols beside Gearman's that --protocol may name.
PROTOCOLS: Final = ("http",)


def make_server_config(values: Mapping[str, Any]) -> ServerConfig:
    """Return what the server is to do.

    Args:
        values: by field name; what is no field is passed over.

    Raises:
        SettingsError: a service's name is unknown, there is no such protocol, or nobody could ever administer.
    """
    chosen = dict(values)
    protocol = chosen.pop("protocol", "")
    if protocol and protocol not in PROTOCOLS:
        raise SettingsError(f"Unknown protocol module : {protocol}; there is {', '.join(PROTOCOLS)}")
    if "port" in chosen:
        chosen["port"] = _port_number(chosen["port"])
    http_port = chosen.pop("http_port", DEFAULT_HTTP_PORT)
    if protocol == "http":
        chosen["http_port"] = _port_number(http_port)
    if "admin" in chosen:
        chosen["admin"] = AdminPolicy(chosen["admin"])
    if "durability" in chosen:
        chosen["durability"] = DurabilityLevel(chosen["durability"])
    config = ServerConfig(**_of_fields(ServerConfig, chosen))
    if config.admin is AdminPolicy.AUTH and not _can_know_peers(config):
        raise SettingsError(
            "--admin auth means nobody where peers cannot show who they are: give --secret-file, --ssl-ca-file with "
            f"--ssl, --access-file or --listen {UNIX_PREFIX}/path"
        )
    return config


def make_process_config(values: Mapping[str, Any]) -> ProcessConfig:
    """Return what the process is to be; `values` as for the server's."""
    return ProcessConfig(**_of_fields(ProcessConfig, values))


def make_queue_options(values: Mapping[str, Any]) -> QueueOptions:
    """Return where gearmand's queue stores are; `values` as for the server's."""
    return QueueOptions(**_of_fields(QueueOptions, values))


def _of_fields(kind: type[ServerConfig | ProcessConfig | QueueOptions], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def _can_know_peers(config: ServerConfig) -> bool:
    has_unix_socket = any(host.startswith(UNIX_PREFIX) for host in config.listen)
    has_certificates = config.ssl and config.ssl_ca_file
    return bool(config.secret_file or config.access_file or has_certificates or has_unix_socket)


def _port_number(port: int | str) -> int:
    if isinstance(port, int):
        return port
    try:
        return socket.getservbyname(port, "tcp")
    except OSError as error:
        raise SettingsError(f"expected a port's number or a service of /etc/services, got {port!r}") from error
