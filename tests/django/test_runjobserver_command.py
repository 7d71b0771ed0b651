"""The command `runjobserver` inside Django: GEARJOBS as its defaults, `call_command`, and what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from gearjobs.errors import SettingsError
from gearjobs.management.commands.runjobserver import Command, make_configs
from gearjobs.server.config import AdminPolicy


def run(*words: str) -> None:
    Command().run_from_argv(["manage.py", "runjobserver", *words])


def test_gearjobs_gives_the_defaults_and_the_command_line_wins(settings):
    settings.GEARJOBS = {"SERVER": {"PORT": 17, "LISTEN": ["10.0.0.1"]}}

    assert make_configs({})[1].port == 17
    assert make_configs({})[1].listen == ("10.0.0.1",)
    assert make_configs({"port": 18, "listen": ("::1",)})[1].port == 18


def test_everything_about_outages_and_admins_may_stand_in_gearjobs(settings):
    keys = {"STORE_TIMEOUT_S": 3, "LEASE_TTL_S": 20, "REATTACH_S": 40, "STOCK_GRACE_S": 5, "SOCKET_MODE": "600"}
    settings.GEARJOBS = {"SERVER": {**keys, "ADMIN": "off"}}

    config = make_configs({})[1]

    assert {key: getattr(config, key.lower()) for key in keys} == keys
    assert config.admin is AdminPolicy.OFF
    assert make_configs({"admin": "all"})[1].admin is AdminPolicy.ALL


def test_wrong_setting_is_told_before_anything_is_begun(settings):
    settings.GEARJOBS = {"SERVER": {"PROT": 17}}

    with pytest.raises(SettingsError, match="PORT"):
        make_configs({})


def test_wrong_option_is_told_with_the_program_s_name_and_ends_with_1(capsys):
    with pytest.raises(SystemExit) as ended:
        run("--prot=17")

    assert ended.value.code == 1
    assert capsys.readouterr().err == "manage.py runjobserver: unrecognised option '--prot=17'; did you mean --port?\n"


def test_right_options_only_checked_end_well(capsys):
    run("--check-args", "--port=17")

    assert capsys.readouterr() == ("", "")


def test_help_is_printed_where_stdout_is_captured(capsys):
    run("--help")

    assert capsys.readouterr().out.startswith("Usage: manage.py runjobserver [options]")


def test_program_is_named_as_it_was_called(capsys):
    Command().print_help("/usr/lib/django/__main__.py", "runjobserver")

    assert capsys.readouterr().out.startswith("Usage: python -m django runjobserver ")


@pytest.mark.parametrize("options", [{"protocol": "gopher"}, {"port": "no-such-service"}, {"backlog": "many"}])
def test_call_command_raises_what_cannot_be(options):
    with pytest.raises(CommandError) as refused:
        call_command("runjobserver", **options)

    assert refused.value.returncode == 1


def test_call_command_takes_words_as_well(tmp_path: Path):
    with pytest.raises(CommandError, match="missing required --libsqlite3-db"):
        call_command("runjobserver", "--queue-type", "LibSQLite3", "-p", "0", "--pid-file", str(tmp_path / "pid"), "-d")
