"""`manage.py gearadmin` and `manage.py gearman` in a project whose job server runs in this process."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command

from gearjobs.management.commands.gearadmin import Command as GearadminCommand
from gearjobs.management.commands.gearman import Command as GearmanCommand
from tests.support.job_server import MemoryServer, running_memory_server

COMMANDS = {"gearadmin": GearadminCommand, "gearman": GearmanCommand}


@pytest.fixture
def server(settings) -> Iterator[MemoryServer]:
    with running_memory_server() as server:
        settings.GEARJOBS = {"SERVERS": [str(server.address)]}
        yield server


def typed(name: str, *words: str) -> int:
    """Return the exit code of a command that is typed; what it prints is for `capsysbinary`."""
    try:
        COMMANDS[name]().run_from_argv(["manage.py", name, *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_status_is_that_of_the_projects_server(server, capsysbinary):
    assert typed("gearman", "-f", "résumé", "-b", "x") == 0
    assert typed("gearadmin", "--status", "--settings=any", "--traceback") == 0

    assert capsysbinary.readouterr().out == "résumé\t1\t0\t0\n.\n".encode()


def test_server_that_is_named_wins_over_the_projects(server, settings, capsysbinary):
    settings.GEARJOBS = {"SERVERS": ["127.0.0.1:1"]}

    assert typed("gearadmin", "--status") == 1
    assert typed("gearadmin", "-h", server.host, "-p", str(server.port), "--status") == 0
    assert capsysbinary.readouterr().out == b".\n"


@pytest.mark.parametrize(
    ("name", "words"), [("gearadmin", ["--unknown"]), ("gearadmin", []), ("gearman", ["-x"]), ("gearman", [])]
)
def test_wrong_words_end_with_1_and_are_said_on_stderr(server, name, words, capsysbinary):
    assert typed(name, *words) == 1

    said = capsysbinary.readouterr()
    assert (said.out, said.err[: len(name)]) == (b"", name.encode())


@pytest.mark.parametrize(("name", "words"), [("gearadmin", ["--status"]), ("gearman", ["-f", "f", "x"])])
def test_settings_that_cannot_be_used_are_said_and_end_with_1(settings, name, words, capsysbinary):
    settings.GEARJOBS = {"SECURITY": {"TLS": True, "CA_FILE": "nowhere"}}

    assert typed(name, *words) == 1
    assert b"cannot read the TLS file nowhere" in capsysbinary.readouterr().err


@pytest.mark.parametrize(("name", "beginning"), [("gearadmin", b"usage: gearadmin"), ("gearman", b"Usage: gearman")])
def test_help_is_the_programs(server, name, beginning, capsysbinary):
    COMMANDS[name]().print_help("manage.py", name)

    assert capsysbinary.readouterr().out.startswith(beginning)


def test_help_names_the_projects_server(server, capsysbinary):
    assert typed("gearman", "-H") == 0

    assert str(server.address).encode() in capsysbinary.readouterr().out


def test_call_command_asks_by_options_and_by_words(server):
    out = io.StringIO()
    call_command("gearman", "--", "-f", "resize", "-b", "x", stdout=out)
    call_command("gearadmin", "--show-unique-jobs", status=True, stdout=out)

    # In the order of gearmand's tool.
    assert out.getvalue() == "\n.\nresize\t1\t0\t0\n.\n"


def test_call_command_raises_where_a_program_ends_with_1(server):
    err = io.StringIO()
    with pytest.raises(CommandError, match="a job failed, or none could be submitted"):
        call_command("gearman", "--", "-x", stderr=err)
    assert err.getvalue().startswith("gearman: option -x not recognized")
    with pytest.raises(CommandError, match="what is to be asked"):
        call_command("gearadmin")
    with pytest.raises(CommandError, match="the job server refused"):
        call_command("gearadmin", "--json", "--drop-function=none", stdout=io.StringIO())
