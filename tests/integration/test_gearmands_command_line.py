"""Command lines of gearmand, given to gearmand itself and to the real command: the same exit codes, 0 and 1."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gearjobs.version import __version__
from tests.support.command_words import RIGHT, WRONG
from tests.support.gearmand import gearmand_program

ROOT = Path(__file__).resolve().parent.parent.parent
#: Seconds a command that only reads its options may take on a busy machine.
TIMEOUT_S = 30.0


def run(line: str, *, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run `manage.py runjobserver` with the options, in the directory."""
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "runjobserver", *shlex.split(line)],
        cwd=directory,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.support.settings"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )


@pytest.mark.interop
@pytest.mark.parametrize("line", [*RIGHT, *WRONG])
def test_gearmand_itself_ends_as_our_unit_tests_say(line: str, tmp_path: Path):
    ended = subprocess.run(
        [gearmand_program(), *shlex.split(line)], cwd=tmp_path, capture_output=True, timeout=TIMEOUT_S
    )

    assert ended.returncode == (0 if line in RIGHT else 1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("foo", "unrecognised option 'foo'"),
        ("--log", "unrecognised option '--log'; did you mean --syslog?"),
        ("-vvv", "unrecognised option '-vvv'; option -v has been deprecated, please use --verbose"),
        ("--check-args --verbose=BAD", "the argument ('BAD') for option '--verbose' is invalid"),
        ("--config-file=no.conf", "Could not open configuration file. no.conf: "),
        ("--protocol=gopher", "Unknown protocol module : gopher"),
        ("-q libsqlite3", "missing required --libsqlite3-db=<dbfile> argument"),
        ("-q libsqlite3 --libsqlite3-db=no/such/file", "cannot open the lock file "),
        ("-q libsqlite3 --libsqlite3-db=a --libsqlite3-table=a-b", "--libsqlite3-table must be a table's name"),
        ("-q LIBDRIZZLE", "the queue type LIBDRIZZLE is gone: "),
        ("-q nonsense", "Error while initializing the queue : nonsense"),
        ("--port=no-such-service", "expected a port's number or a service of /etc/services, got 'no-such-service'"),
        ("--user=no-such-user", "Could not find user" if os.geteuid() == 0 else "Must be root"),
        ("-q builtin --listen=10 -p 0", "cannot listen on 10 port 0"),
        ("-q builtin -p 0 -P no/such/folder/pid -l none", "cannot write the pid file no/such/folder/pid"),
        ("-d -q builtin --listen=10 -p 0", "cannot listen on 10 port 0"),
    ],
)
def test_what_cannot_be_ends_with_1_and_says_why(line: str, sentence: str, tmp_path: Path):
    ended = run(line, directory=tmp_path)

    assert ended.returncode == 1
    assert f"manage.py runjobserver: {sentence}" in ended.stderr
    assert ended.stdout == ""


@pytest.mark.slow
def test_version_is_told_as_gearmand_tells_it(tmp_path: Path):
    for line in ("--version", "-V"):
        ended = run(line, directory=tmp_path)

        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith(f"\ngearjobs {__version__} - ")


@pytest.mark.slow
def test_help_shows_gearmands_options_and_django_s(tmp_path: Path):
    ended = run("-h", directory=tmp_path)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("Usage: manage.py runjobserver [options]\n\nAllowed options:\n")
    assert "--keepalive-idle SECONDS" in ended.stdout
    assert "--settings MODULE" in ended.stdout


@pytest.mark.slow
def test_help_command_of_django_shows_the_same(tmp_path: Path):
    asked = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "help", "runjobserver"],
        cwd=tmp_path,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.support.settings"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )

    assert asked.stdout == run("--help", directory=tmp_path).stdout


@pytest.mark.slow
def test_check_args_touches_no_file_and_wins_over_help(tmp_path: Path):
    ended = run("--check-args -h -d --log-file=log --pid-file=pid --user=no-such-user --listen=10", directory=tmp_path)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_traceback_is_shown_on_demand(tmp_path: Path):
    ended = run("--traceback --protocol=gopher", directory=tmp_path)

    assert ended.returncode == 1
    assert ended.stderr.startswith("Traceback (most recent call last):")
