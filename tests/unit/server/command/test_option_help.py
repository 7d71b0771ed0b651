"""The help: every option that is not hidden, in gearmand's columns."""

from __future__ import annotations

from itertools import chain

from gearjobs.server.command.option_help import default_text, render_help
from gearjobs.server.command.options import OPTIONS, Option

HELP = render_help(OPTIONS)
BY_NAME = {option.name: option for option in chain.from_iterable(OPTIONS.values())}


def test_every_option_is_shown_but_the_hidden_one():
    shown = {
        name for name, option in BY_NAME.items() if f"{option.spelling} " in HELP or f"{option.spelling}\n" in HELP
    }

    assert BY_NAME.keys() - shown == {"check-args"}


def test_option_is_shown_as_gearmand_shows_it():
    assert "  -p [ --port ] PORT (=4730)            Port to listen on, or a service's name;" in HELP


def test_no_line_is_longer_than_a_terminal():
    assert max(map(len, HELP.splitlines())) <= 80


def test_long_spelling_has_its_sentence_below():
    option = Option("a-very-long-name-of-an-option", "What it does.", argument="SOMETHING")

    assert render_help({"Group": [option]}) == (
        "Allowed options:\n\nGroup:\n  --a-very-long-name-of-an-option SOMETHING\n" + " " * 40 + "What it does.\n"
    )


def test_default_is_shown_where_there_is_one():
    assert default_text(BY_NAME["listen"]) == "127.0.0.1, ::1"
    assert default_text(BY_NAME["worker-wakeup"]) == "1"
    assert not default_text(BY_NAME["file-descriptors"])
    assert not default_text(BY_NAME["daemon"])
    assert not default_text(BY_NAME["threads"])
