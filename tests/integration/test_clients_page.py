"""docs/clients.md by the letter: its workers run as programs, its sessions are typed into Python, promises compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gearjobs.client.admin_client import AdminClient
from gearjobs.servers import ServerAddress
from tests.support.documented_shop import PROMISED, Page, compared
from tests.support.eventually import eventually
from tests.support.job_server import ROOT, running_memory_server

pytestmark = pytest.mark.slow

PAGE = Page("clients.md")
PROGRAMS = {found[1]: code for code in PAGE.sessions if (found := re.match(r"# (\w+\.py)\n", code))}
SESSIONS = [code for code in PAGE.sessions if code not in PROGRAMS.values()]
#: Seconds a program may take.
SOON_S = 30.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerAddress]:
    """A server with the page's workers."""
    directory = tmp_path_factory.mktemp("programs")
    with running_memory_server() as memory_server:
        processes = [start(directory / name, code, memory_server.address) for name, code in PROGRAMS.items()]
        with AdminClient(memory_server.address) as admin:
            # One blocking worker, and twenty lanes; and this client.
            eventually(lambda: len(admin.workers()) == 22, SOON_S, "the page's workers to be at work")
        yield memory_server.address
        for process in processes:
            process.terminate()
        ends = [process.communicate(timeout=SOON_S)[1] for process in processes]
    assert ends == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]


def start(path: Path, code: str, server: ServerAddress) -> subprocess.Popen[str]:
    """Run a program of the page at this server."""
    path.write_text(placed(code, server), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(path)], env=environment, stderr=subprocess.PIPE, text=True
    )


def placed(code: str, server: ServerAddress) -> str:
    """Return the code with this server's address in place of the default one."""
    return code.replace("127.0.0.1:4730", str(server)).replace("localhost:4730", f"localhost:{server.port}")


@pytest.mark.parametrize("number", range(len(SESSIONS)))
def test_session_gives_what_the_page_promises(server: ServerAddress, number: int) -> None:
    lines = placed(SESSIONS[number], server).splitlines()
    script = PROMISED + "\n".join(map(compared, lines)) + "\nimport sys\nassert 'django' not in sys.modules\n"

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=SOON_S
    )

    assert (done.returncode, done.stderr) == (0, ""), script


def test_page_has_its_programs_and_sessions() -> None:
    assert (len(PROGRAMS), len(SESSIONS)) == (2, 5)
