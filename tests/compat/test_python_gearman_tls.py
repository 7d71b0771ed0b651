"""python-gearman's TLS hosts: the server is verified, by its name too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gearjobs.compat import gearman
from gearjobs.compat.gearman.errors import ServerUnavailable
from gearjobs.server.config import ServerConfig
from tests.support.certificates import Authority
from tests.support.job_server import running_memory_server

SOON_S = 10.0


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_tls_host_is_used_when_its_name_is_the_certificates(tmp_path: Path, name: str):
    authority = Authority.make(tmp_path / "authority")
    server_side = authority.sign("server", alternative="IP:127.0.0.1").files(authority)
    mine = authority.sign("client").files(authority)
    config = ServerConfig(
        listen=("127.0.0.1",),
        port=0,
        ssl=True,
        ssl_ca_file=server_side.ca_file,
        ssl_certificate=server_side.certificate,
        ssl_key=server_side.key,
    )

    with running_memory_server(config) as server:
        host: dict[str, Any] = {"host": name, "port": server.port}
        host |= {"keyfile": mine.key, "certfile": mine.certificate, "ca_certs": mine.ca_file}
        client, admin = gearman.GearmanClient([host]), gearman.GearmanAdminClient([host])
        if name == "localhost":
            with pytest.raises(ServerUnavailable):
                client.submit_job("nobody", b"", background=True, poll_timeout=SOON_S)
        else:
            assert client.submit_job("nobody", b"x" * 300_000, background=True, poll_timeout=SOON_S).complete
            assert admin.get_status()[0]["queued"] == 1
            assert admin.ping_server() < SOON_S
