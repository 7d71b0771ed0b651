"""A library that knows TLS and certificates, and nothing of ours: it is let in by its certificate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gearjobs.server.config import ServerConfig
from tests.support.certificates import Authority
from tests.support.job_server import running_memory_server

pytestmark = [pytest.mark.interop, pytest.mark.slow]

PROGRAM = Path(__file__).parent / "programs" / "gear_over_tls.py"


def test_gear_works_over_tls_with_its_certificate(tmp_path):
    pytest.importorskip("gear")
    ca = Authority.make(tmp_path / "ca")
    shown, own = ca.sign("server", alternative="IP:127.0.0.1"), ca.sign("gear")
    (tmp_path / "rules").write_text("cert:gear submit,work reverse")
    config = ServerConfig(
        listen=("127.0.0.1",),
        port=0,
        ssl=True,
        ssl_ca_file=str(ca.certificate),
        ssl_certificate=str(shown.certificate),
        ssl_key=str(shown.key),
        access_file=str(tmp_path / "rules"),
    )

    with running_memory_server(config) as server:
        files = [str(own.key), str(own.certificate), str(ca.certificate)]
        words = [sys.executable, str(PROGRAM), server.host, str(server.port), *files]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60)

    assert ended.stdout == "100000 9876543210\n", ended.stderr
