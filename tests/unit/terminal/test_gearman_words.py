"""What gearmand's letters mean, and what is no command line."""

from __future__ import annotations

import pytest

from gearjobs.errors import UsageError
from gearjobs.terminal.gearman_words import read_words
from gearjobs.terminal.server_options import ServerOptions


@pytest.mark.parametrize(
    ("words", "attribute", "value"),
    [
        (["-b"], "is_background", True),
        (["-I"], "priority", 1),
        (["-L"], "priority", -1),
        (["-n"], "is_by_line", True),
        (["-N"], "is_by_line", True),
        (["-N"], "is_stripped", True),
        (["-P"], "has_prefix", True),
        (["-s"], "is_without_input", True),
        (["-v"], "is_verbose", True),
        (["-w"], "is_worker", True),
        (["-d"], "is_daemon", True),
        (["-H"], "wants_help", True),
        (["--help"], "wants_help", True),
        (["-u", "one"], "unique", b"one"),
        (["-u", "\udcff"], "unique", b"\xff"),
        (["-i", "pid"], "pid_file", "pid"),
        (["-c", "3"], "count", 3),
        (["-c", "-3"], "count", 0),
        (["-t", "1500"], "timeout_s", 1.5),
        (["-t", "-1"], "timeout_s", None),
        (["-f", "g"], "functions", [b"f", b"g"]),
        (["-h", "there", "-p 4731", "-S"], "server", ServerOptions(host="there", port=" 4731", ssl=True)),
        (["--ssl", "--ssl-key=key"], "server", ServerOptions(ssl=True, ssl_key="key")),
        (["--secret-file", "file"], "server", ServerOptions(secret_file="file")),
        (["payload", "-b", "other"], "words", [b"payload", b"other"]),
        (["-w", "--", "wc", "-l"], "words", [b"wc", b"-l"]),
    ],
)
def test_word_is_read(words: list[str], attribute: str, value: object):
    assert getattr(read_words(["-f", "f", *words]), attribute) == value


def test_nothing_is_on_that_was_not_said():
    read = read_words(["-f", "f"])

    assert not any([read.is_worker, read.is_background, read.is_by_line, read.has_prefix, read.wants_help, read.words])
    assert (read.priority, read.timeout_s, read.count, read.unique) == (0, None, 0, b"")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Name at least one with -f"),
        (["-f", "f", "-x"], "option -x not recognized"),
        (["-f"], "option -f requires argument"),
        (["-f", "f", "--unknown"], "option --unknown not recognized"),
        (["-f", "f", "-t", "soon"], "-t takes a whole number, got 'soon'"),
        (["-f", "f", "-c", "two"], "-c takes a whole number, got 'two'"),
    ],
)
def test_wrong_command_line_is_refused_with_its_reason(words: list[str], sentence: str):
    with pytest.raises(UsageError, match=sentence):
        read_words(words)


def test_help_needs_no_function():
    assert read_words(["-H"]).wants_help


def test_options_of_others_are_passed_over():
    read = read_words(["-f", "f", "--settings", "site", "--traceback", "x"], passed_over=("settings=", "traceback"))

    assert read.words == [b"x"]
