"""The command line as gearmand reads it: forms, errors, and which of several sources wins."""

from __future__ import annotations

import shlex
from itertools import chain
from pathlib import Path

import pytest

from gearjobs.errors import SettingsError
from gearjobs.server.command.command_line import CommandLine
from gearjobs.server.command.options import OPTIONS
from tests.support.command_words import RIGHT, WRONG

NO_FILE = "no/such/gearmand.conf"


def read(line: str, *, environment: dict[str, str] | None = None, config_file: str = NO_FILE) -> dict[str, object]:
    options = chain.from_iterable(OPTIONS.values())
    return CommandLine(options, environment=environment or {}, default_config_file=config_file).read(shlex.split(line))


def refusal(line: str) -> str:
    with pytest.raises(SettingsError) as refused:
        read(line)
    return str(refused.value)


@pytest.mark.parametrize("line", RIGHT)
def test_what_gearmand_takes_is_taken(line: str):
    assert read(line)


@pytest.mark.parametrize("line", WRONG)
def test_what_gearmand_refuses_is_refused(line: str):
    assert refusal(line)


@pytest.mark.parametrize("line", ["--port=10", "--port 10", "-p 10", "-p10", "-p +10"])
def test_value_may_be_given_in_each_form(line: str):
    assert read(line) == {"port": 10}


def test_switches_may_be_joined_and_the_last_may_have_a_value():
    assert read("-dRj3") == {"daemon": True, "round_robin": True, "job_retries": 3}


def test_option_takes_the_next_word_whatever_it_looks_like():
    assert read("--log-file --daemon") == {"log_file": "--daemon"}


def test_empty_value_is_the_option_left_out():
    assert read("-L '' -u '' -p ''") == {}


def test_listen_may_be_given_several_times():
    assert read("-L 10.0.0.1 --listen=::1") == {"listen": ("10.0.0.1", "::1")}


def test_nothing_else_may_be_given_twice():
    assert refusal("-p 1 --port=2") == "option '--port' cannot be specified more than once"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("foo", "unrecognised option 'foo'"),
        ("--verb=DEBUG", "unrecognised option '--verb=DEBUG'; did you mean --verbose?"),
        ("-Rd10", "unrecognised option '-Rd10'"),
        ("-vvv", "unrecognised option '-vvv'; option -v has been deprecated, please use --verbose"),
        ("--port", "the required argument for option '--port' is missing"),
        ("--port=", "the argument for option '--port' should follow immediately after the equal sign"),
        ("--daemon=1", "option '--daemon' does not take any arguments"),
    ],
)
def test_refusal_is_gearmands_sentence(line: str, sentence: str):
    assert refusal(line) == sentence


def test_wrong_value_is_refused_with_what_was_expected():
    assert refusal("-p 65536") == (
        "the argument ('65536') for option '--port' is invalid: expected a whole number from 0 to 65535"
    )


def test_name_of_a_service_is_kept_for_the_start():
    assert read("--port=gearman") == {"port": "gearman"}


def test_configuration_file_is_read(tmp_path: Path):
    file = tmp_path / "gearmand.conf"
    file.write_text("--port 17 \r\n# a comment --port 3\n  --verbose=DEBUG\t-d\n")

    assert read(f"--config-file={file}") == {
        "config_file": str(file),
        "port": 17,
        "verbose": "DEBUG",
        "daemon": True,
    }


def test_command_line_wins_over_configuration_file(tmp_path: Path):
    file = tmp_path / "gearmand.conf"
    file.write_text("--port 17 --job-retries 5")

    assert read("-p 18", config_file=str(file)) == {"port": 18, "job_retries": 5}


def test_configuration_file_is_refused_for_a_wrong_word(tmp_path: Path):
    file = tmp_path / "gearmand.conf"
    file.write_text("--prot 17")

    assert refusal(f"--config-file {file}") == "unrecognised option '--prot'; did you mean --port?"


def test_configuration_file_that_was_named_must_exist():
    assert refusal("--config-file=no/such.conf").startswith("Could not open configuration file. no/such.conf: ")


def test_environment_stands_in_for_what_is_given_nowhere_else(tmp_path: Path):
    file = tmp_path / "gearmand.conf"
    file.write_text("--port 17")
    environment = {"GEARMAND_PORT": "19", "GEARMAND_SERVER_PEM": "server.pem", "GEARMAND_SERVER_KEY": ""}

    assert read("-d", environment=environment) == {"daemon": True, "port": 19, "ssl_certificate": "server.pem"}
    assert read("-p 18", environment=environment)["port"] == 18
    assert read("", environment=environment, config_file=str(file))["port"] == 17
