"""The parts of the demo together: the job server, the workers and the web server, started and stopped in order.

Each part is started only when the one before it serves. They are told of each other by the environment alone
(DEMO_VAR, DATABASE_URL, GEARJOBS_SERVERS), as they would be in production.
"""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from demo_site.rundemo.part import Part
from demo_site.rundemo.ports import HOST, is_free, listen
from gearjobs.client.admin_client import AdminClient
from gearjobs.errors import GearjobsError

BASE_DIR: Final = Path(__file__).resolve().parent.parent.parent
#: Seconds a part may take until it serves; a cold disk and one busy core included.
START_TIMEOUT_S: Final = 40.0
#: Seconds for the first migration of a new database.
MIGRATE_TIMEOUT_S: Final = 60.0
#: Threads of the web server: pages that poll are short requests, and many.
WEB_THREADS: Final = 8

#: What `runjobserver` says when it listens.
_LISTENING = re.compile(r"listening on \S*:(\d+)\b")


class House:
    """The running demo.

    Args:
        var_dir: where it keeps everything it writes.
        say: prints one line for the person at the terminal.
    """

    def __init__(self, var_dir: Path, say: Callable[[str], None]) -> None:
        self._log_dir = var_dir / "log"
        self._say = say
        self._env = {**os.environ, "DEMO_VAR": str(var_dir), "PYTHONUNBUFFERED": "1"}
        self._parts: list[Part] = []
        #: Where the job server listens, once it is started.
        self.job_server = ""
        #: Address of the web site, once it is started.
        self.site = ""

    def prepare_database(self) -> None:
        """Migrate the database and make the users."""
        for command in (["migrate", "--no-input"], ["prepare_demo"]):
            part = self._start(f"command {command[0]}", _manage(*command), f"{command[0]}.log")
            part.finish(timeout_s=MIGRATE_TIMEOUT_S)
            self._parts.remove(part)

    def start_job_server(self, port: int) -> None:
        """Start `manage.py runjobserver` on `port`, or on a free port when that one is taken."""
        if not is_free(port):
            self._say(f"Port {port} is taken (by gearmand, perhaps): the job server takes a free one.")
            port = 0
        pid_file = self._log_dir / "jobserver.pid"
        command = _manage("runjobserver", "--listen", HOST, "--port", str(port), "--pid-file", str(pid_file))
        part = self._start("job server", command, "jobserver.log")
        self.job_server = part.wait_until("listen", lambda: _listening_address(part.log), timeout_s=START_TIMEOUT_S)
        part.wait_until("answer", self._version, timeout_s=START_TIMEOUT_S)
        self._env["GEARJOBS_SERVERS"] = self.job_server

    def start_workers(self, processes: int) -> None:
        """Start `manage.py runworkers` and wait until the first worker stands ready."""
        command = _manage("runworkers", "--processes", str(processes))
        part = self._start("workers", command, "workers.log")
        part.wait_until("come to the job server", self._has_worker, timeout_s=START_TIMEOUT_S)

    def start_web(self, port: int) -> None:
        """Start gunicorn on `port`, or on a free port when that one is taken, and wait for the first page."""
        with listen(port) as listener:
            chosen = listener.getsockname()[1]
            if port and chosen != port:
                self._say(f"Port {port} is taken: the web site takes {chosen}.")
            part = self._start("web server", _gunicorn(listener), "web.log", inherited_fds=[listener.fileno()])
        self.site = f"http://{HOST}:{chosen}/"
        part.wait_until("answer", self._login_page, timeout_s=START_TIMEOUT_S)

    def check_alive(self) -> None:
        """Raise PartError if a part has ended."""
        for part in self._parts:
            part.check_alive()

    def stop(self) -> bool:
        """Stop the parts, the last started first; return whether every one of them stopped as it should."""
        has_worry = False
        while self._parts:
            part = self._parts.pop()
            words = part.stop()
            has_worry = has_worry or words[0].isupper()
            self._say(f"  {part.name}: {words}")
        return not has_worry

    def _start(self, name: str, command: list[str], log_name: str, *, inherited_fds: list[int] | None = None) -> Part:
        part = Part(name, command, log=self._log_dir / log_name, env=self._env, inherited_fds=inherited_fds or ())
        self._parts.append(part)
        return part

    def _version(self) -> str | None:
        try:
            with AdminClient(self.job_server) as admin:
                return admin.version()
        except GearjobsError:
            return None

    def _has_worker(self) -> bool | None:
        try:
            with AdminClient(self.job_server) as admin:
                return True if any(worker.functions for worker in admin.workers()) else None
        except GearjobsError:
            return None

    def _login_page(self) -> bool | None:
        try:
            with urlopen(f"{self.site}accounts/login/", timeout=2) as page:  # noqa: S310  # our own site
                return True if page.status == 200 else None
        except (URLError, OSError):
            return None


def _manage(*arguments: str) -> list[str]:
    return [sys.executable, str(BASE_DIR / "manage.py"), *arguments]


def _gunicorn(listener: socket.socket) -> list[str]:
    return [
        *(sys.executable, "-m", "gunicorn", "demo_site.wsgi"),
        *("--chdir", str(BASE_DIR)),
        *("--bind", f"fd://{listener.fileno()}"),
        *("--threads", str(WEB_THREADS)),
        *("--access-logfile", "-"),
    ]


def _listening_address(log: Path) -> str | None:
    found = _LISTENING.search(log.read_text(encoding="utf-8", errors="replace"))
    return f"{HOST}:{found[1]}" if found else None
