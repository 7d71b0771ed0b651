"""docs/migrate-from-gearmand.md by the letter, from Debian's gearmand with its queue in an SQLite file."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from gearjobs.servers import ServerAddress
from tests.support.foreign_peers import missing
from tests.support.gearmand import free_port, running_gearmand
from tests.support.running_site import RunningSite
from tests.support.shell_page import type_page

pytestmark = [pytest.mark.interop, pytest.mark.slow]

PAGE = "migrate-from-gearmand.md"
SOON_S = 20.0
#: gearmand's tools know no variable for the port; those that name none mean the old server.
_TOOL = """\
#!/bin/sh
case " $* $GEARMAN_SERVER " in *" -p "* | *:*) exec {program} "$@" ;; esac
exec {program} -p {port} "$@"
"""


class GearmandSite(RunningSite):
    """A project without a job server, and a gearmand beside it that has three jobs in a queue.

    Args:
        directory: where everything of it is; the gearmand's queue is `queue.sqlite3`.
        old: the gearmand.
    """

    def __init__(self, directory: Path, old: ServerAddress) -> None:
        super().__init__(directory)
        self.old, self.new = old, ServerAddress(old.host, free_port())
        self.address = str(old)
        self.environment["WORKER_SITE_SERVER"] = self.address
        self.manage(["migrate", "--verbosity", "0"])
        for name in ("gearman", "gearadmin"):
            self.write_program(f"bin/{name}", _TOOL.format(program=shutil.which(name), port=old.port))
        self.write_program("resize", "#!/bin/sh\nsed s/^/small-/\n")
        for unique in ("one", "two", "three"):
            words = ["gearman", "-p", str(old.port), "-b", "-f", "resize", "-u", unique, f"{unique}.jpg"]
            subprocess.run(words, check=True, timeout=SOON_S)

    def write_program(self, name: str, text: str) -> None:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def type_section(self, heading: str) -> str:
        ports = {"4730": str(self.old.port), "4731": str(self.new.port), "sleep 1": "sleep 0.1"}
        return type_page(PAGE, self, ports, heading=heading)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the job table."""
        with closing(sqlite3.connect(self.database, timeout=SOON_S)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM gearjobs_job")]

    def stop(self) -> None:
        with suppress(OSError, ValueError):
            os.kill(int((self.directory / "new.pid").read_text()), signal.SIGTERM)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[GearmandSite]:
    if shutil.which("gearman") is None:
        missing("gearman is not installed (Debian: gearman-tools), so the page was not tried")
    queue = f"--libsqlite3-db={tmp_path / 'queue.sqlite3'}"
    with running_gearmand(tmp_path / "gearmand.log", "-q", "libsqlite3", queue) as old:
        site = GearmandSite(tmp_path, old)
        yield site
        site.stop()


def test_options_are_checked(site: GearmandSite):
    site.type_section("What stays and what is new")


def test_two_servers_side_by_side_lose_nothing(site: GearmandSite):
    site.type_section("Side by side, with no pause")

    # The old server's three are nowhere any more: their worker has printed nothing, and the new one's has its row.
    (row,) = site.rows()
    assert (row["function"], row["payload"], row["result"]) == ("resize", b"two.jpg", b"small-two.jpg")


def test_queue_of_the_old_server_is_in_the_job_table_of_the_new(site: GearmandSite):
    said = site.type_section("In its place, with its queue")

    assert said.endswith("resize\t3\t0\t0\n.\n"), said
    assert {(row["unique"], row["payload"]) for row in site.rows()} == {
        ("one", b"one.jpg"),
        ("two", b"two.jpg"),
        ("three", b"three.jpg"),
    }
